# SPDX-License-Identifier: Apache-2.0
"""Two gdbs on one target: what stops it stops both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.gdb import EVERY_KERNEL_ONE_GDB

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = [
    pytest.mark.vm,
    pytest.mark.gdb,
    pytest.mark.one_pair,
    pytest.mark.parametrize("booted", EVERY_KERNEL_ONE_GDB, indirect=True, scope="module"),
]


def test_a_breakpoint_of_one_stops_both_and_neither_goes_on_by_itself(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("simple")
    bench.machine.load("simple").wait()
    first, second = bench.gdb(), bench.gdb()
    first("monitor take")
    first("break simple_read")
    second("set breakpoint always-inserted on")  # or it would be in only when its "continue" has arrived
    second("break simple_dev_open")
    second.send("continue")
    reading = bench.start(first, "cat /dev/simple")
    assert "received signal SIGINT" in first.wait()
    assert "hit Breakpoint 1, simple_dev_open" in second.wait()
    stop = bench.machine.live.stop
    for gdb in (first, second):
        assert "simple_dev_open" in gdb("bt 1")
        assert "simple_dev_open" in gdb("print $pc")
    assert bench.machine.live.stop == stop
    second.send("continue")
    assert "hit Breakpoint 1, simple_read" in first("continue")
    assert "received signal SIGINT" in second.wait()
    assert "simple_read" in second("bt 1")
    for gdb in (second, first):
        gdb("delete")
    second("detach")
    bench.finish(first, reading)
    bench.interrupt(first)
    first("detach")
