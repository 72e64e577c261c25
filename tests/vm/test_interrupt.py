# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C: the target stops, and gdb stands where the processor was. One is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Bench
    from support.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.one_pair]

SPIN = "echo 30 > /sys/module/spinner/parameters/spin"
SPIN_LINE = "echo 60 > /sys/module/spinner/parameters/spin_line"


def interrupt_in(bench: Bench, gdb: Gdb, function: str) -> str:
    """Ctrl-C in a gdb that stands in a function which loops, and no message is on its way out any more. Where the
    break-in meets the timer's work on top of it, it comes again."""
    for _attempt in range(10):
        gdb.send("continue")
        bench.machine.live.wait_until_running(30)
        said = bench.interrupt(gdb)
        if function in said:
            break
    return said


def test_ctrl_c_in_a_looping_module_lands_in_the_loop_and_stepping_goes_on_from_there(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("spinner")
    bench.machine.load("spinner").wait()
    gdb = bench.gdb()
    gdb("tbreak spinner_loop")
    spin = bench.start(gdb, SPIN)
    assert "spinner_loop" in gdb.wait()
    said = interrupt_in(bench, gdb, "spinner_loop")
    assert "received signal SIGINT" in said
    assert "spinner_loop" in said
    assert "spinner.c:" in said
    locals_ = gdb("info locals")
    assert "checksum = " in locals_
    assert "round = " in locals_
    assert "limit = " in locals_
    frames = gdb("bt")
    assert "spinner_run (" in frames
    assert "kgdb" not in frames
    gdb("next")
    assert "spinner_loop" in gdb("frame")
    before = int(gdb("print round").split("=")[1])
    for _ in range(8):
        gdb("next")
    assert int(gdb("print round").split("=")[1]) > before
    gdb("stepi")
    assert "spinner_loop" in gdb("frame")
    gdb("set var stop = 1")
    assert "Value returned is" in gdb("finish")
    assert "spinner_run" in gdb("frame")
    bench.finish(gdb, spin)


def test_one_interrupt_ends_what_gdb_goes_on_with_by_itself(shared_bench: Bench) -> None:
    """A loop of one line: gdb steps into a call in it, has that return, steps on: for ever, at several stops a turn."""
    bench, machine = shared_bench, shared_bench.machine
    bench.build("spinner")
    machine.load("spinner").wait()
    gdb = bench.gdb()
    gdb("skip function spinner_turn")  # `step` goes over it, too
    gdb("tbreak spinner_turn")
    spin = bench.start(gdb, SPIN_LINE)
    assert "spinner_turn" in gdb.wait()
    assert "spinner_line" in gdb("finish")
    for interrupt in (gdb.interrupt, machine.interrupt):
        for command in ("next", "step", "until", "stepi 100000"):
            if "spinner_turn (" in gdb("frame"):
                gdb("finish")
            assert machine.live.stop is not None
            before = machine.live.stop.number
            gdb.send(command)
            on_its_way = machine.live.wait_for_stop(30, after=before)
            machine.live.wait_for_stop(30, after=on_its_way.number)
            interrupt()
            assert "received signal SIGINT" in gdb.wait(20), command
    gdb("set var stop = 1")
    bench.finish(gdb, spin)
