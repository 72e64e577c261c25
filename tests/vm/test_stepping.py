# SPDX-License-Identifier: Apache-2.0
"""Stepping by source line, with runs to the next branch, goes the way that single instructions go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from nullmodem.wire.meter import WireCost

if TYPE_CHECKING:
    from conftest import Bench
    from nullmodem.testing.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.one_pair]

RUN = "echo 4 > /sys/module/stepping/parameters/run"
LINE = re.compile(r"^(?:0x[0-9a-f]+\s+)?(\d+)\t", re.MULTILINE)
FUNCTIONS = (
    "stepping_loop",
    "stepping_straight",
    "stepping_recursion",
    "stepping_switch",
    "stepping_inline_twice",
    "stepping_calls",
)
MOST_STEPS = 40


@pytest.fixture
def stepping(shared_bench: Bench) -> Bench:
    shared_bench.build("stepping")
    shared_bench.machine.load("stepping").wait()
    return shared_bench


def walk(bench: Bench, gdb: Gdb, function: str, command: str) -> tuple[list[tuple[str, str]], WireCost]:
    """The lines and the places of every step from a function's start to its return, and what they cost on the wire."""
    gdb(f"tbreak {function}")
    running = bench.start(gdb, RUN)
    gdb.wait()
    places = []
    before = bench.machine.live.cost
    for _ in range(MOST_STEPS):
        said = gdb(command)
        line = LINE.search(said)
        frame = gdb("info frame").splitlines()[1].split(";")[0]
        places.append((line[1] if line else said, re.sub(r"0x[0-9a-f]+", "", frame)))
        if "stepping_run (" in frame or "in stepping_run" in frame:
            break
    cost = bench.machine.live.cost - before
    gdb("delete")
    bench.finish(gdb, running)
    gdb.interrupt()
    gdb.wait()
    return places, cost


@pytest.mark.slow
@pytest.mark.parametrize("command", ["next", pytest.param("step", marks=pytest.mark.soak)])
def test_lines_are_those_of_single_steps_and_cost_less(stepping: Bench, command: str) -> None:
    gdb = stepping.gdb()
    steps = 0
    total = full_total = WireCost()
    for function in FUNCTIONS:
        gdb("set range-stepping on")
        run, cost = walk(stepping, gdb, function, command)
        gdb("set range-stepping off")
        stepped, full_cost = walk(stepping, gdb, function, command)
        assert run == stepped, function
        total += cost
        full_total += full_cost
        steps += len(run)
    # Where a line is many runs of one or two instructions there is nothing to gain, and its code is read once.
    assert total.round_trips <= full_total.round_trips + len(FUNCTIONS)
    assert steps > 2 * len(FUNCTIONS)
