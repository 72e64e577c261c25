# SPDX-License-Identifier: Apache-2.0
"""The Python API and gdb agree: on what there is at a stop, and on where a step leads. See docs/decisions."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

import nullmodem
from support.gdb import debian
from support.modules import copy_module
from support.sidebyside import Comparison, compare, gdb_on, steps_of_api, steps_of_gdb, without_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nullmodem import Target

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.timeout(300)]

RUN = "echo 4 > /sys/module/stepping/parameters/run"
READ = "head -c5 /dev/simple"
LEADS = {
    **dict.fromkeys(
        (
            "stepping_run",
            "stepping_loop",
            "stepping_leaf",
            "stepping_straight",
            "stepping_recursion",
            "stepping_switch",
            "stepping_inline_twice",
            "stepping_calls",
            "run_set",
            "kstrtoint",
            "_kstrtoull",
            "param_attr_store",
            "kernfs_fop_write_iter",
            "vfs_write",
        ),
        RUN,
    ),
    **dict.fromkeys(
        (
            "simple_read",
            "simple_sum",
            "simple_read_op",
            "vfs_read",
            "ksys_read",
            "misc_open",
            "chrdev_open",
            "_copy_to_user",
        ),
        READ,
    ),
}
"""Functions of the modules and of the kernel, all compiled at -O2, and what leads to them."""

SOME_STEPS = [("stepping_run", "next", 7), ("stepping_inline_twice", "step", 8), ("stepping_leaf", "finish", 2)]
ALL_STEPS = [
    *((function, "next", 10) for function in LEADS if not function.startswith("_copy")),
    *((function, "step", 12) for function in LEADS if function.startswith(("stepping", "simple", "kstrtoint"))),
    *((function, "finish", 3) for function in ("stepping_leaf", "simple_sum", "kstrtoint", "stepping_recursion")),
]


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One machine with both modules loaded."""
    directory = tmp_path_factory.mktemp("agree")
    with nullmodem.boot(module=copy_module("stepping", directory)) as target:
        target.build(copy_module("counter", directory))
        target.load("simple")
        yield target


@pytest.mark.parametrize(
    "stops",
    [pytest.param(10, id="10"), pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(3600)], id="200")],
)
def test_the_api_and_gdb_see_the_same_at_a_stop(booted: Target, tmp_path: Path, stops: int) -> None:
    """Through one session, at the same time: function, file, line, variables and stack, at places taken at random."""
    chance = random.Random(stops)
    total = Comparison()
    with gdb_on(booted, debian(), tmp_path / "gdb.sock") as gdb:
        booted.wait(timeout=30).continue_()  # the program, which was here first, is the one that has the target run
        stop = booted.interrupt()
        gdb("continue")
        for _ in range(stops):
            function = chance.choice(list(LEADS))
            commands = chance.choices(["next", "step"], k=chance.randrange(5))
            with booted.break_at(function) as breakpoint_:
                gdb.send("continue")
                running = []
                lead = LEADS[function]
                stop = breakpoint_.wait(after=lambda: running.append(booted.start(lead)))  # noqa: B023
            gdb.wait()
            for command in commands:
                before = booted.machine.live.stop
                getattr(stop, command)()
                if booted.machine.live.stop != before:  # into an inlined call the target need not run
                    gdb("continue")  # the stop it has missed is shown
            found = compare(booted, gdb)
            assert found.different == [], (function, commands)
            total.add(found)
            gdb.send("continue")
            stop.continue_()
            running[0].result()
            stop = booted.interrupt()
            gdb.wait()
        stop.continue_()
    print(f"{stops} stops: {total}")
    assert total.frames > 4 * stops
    assert total.equal > 8 * stops
    assert total.only_api == []


@pytest.mark.parametrize("where", ["stepping_inlined", "stepping.c:78"])
def test_what_was_inlined_twice_has_two_places(booted: Target, where: str) -> None:
    with booted.break_at(where) as breakpoint_:
        assert len(breakpoint_.addresses) == 2


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(SOME_STEPS, id="some"),
        pytest.param(ALL_STEPS, marks=[pytest.mark.soak, pytest.mark.timeout(3600)], id="all"),
    ],
)
def test_steps_lead_where_gdbs_lead(booted: Target, tmp_path: Path, cases: list[tuple[str, str, int]]) -> None:
    ours = [steps_of_api(booted, function, LEADS[function], [step] * times) for function, step, times in cases]
    with without_program(booted), gdb_on(booted, debian(), tmp_path / "gdb.sock") as gdb:
        for (function, step, times), places in zip(cases, ours, strict=True):
            assert places == steps_of_gdb(booted, gdb, function, LEADS[function], [step] * times), (function, step)
        gdb("detach")
