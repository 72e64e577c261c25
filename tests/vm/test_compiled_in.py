# SPDX-License-Identifier: Apache-2.0
"""Breakpoints compiled into a module, ``int $3`` and a call of ``kgdb_breakpoint``, in its init and in its exit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Bench
    from nullmodem.testing.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.one_pair]

SOURCE = (Path(__file__).parents[1] / "modules" / "selfstop" / "selfstop.c").read_text(encoding="utf-8").splitlines()


def line_of(text: str) -> int:
    """The number of the only line of the module's source with this text."""
    (number,) = [number for number, line in enumerate(SOURCE, 1) if text in line]
    return number


def shown_line(gdb: Gdb) -> int:
    """The line gdb stands on."""
    return int(gdb("frame").splitlines()[-1].split()[0])


def check_trap(gdb: Gdb, function: str, line: int) -> None:
    """gdb stands in ``function``, behind the trap of ``line``, with the code's own pc."""
    assert shown_line(gdb) == line + 1
    assert re.match(rf"#0 +{function} \(\)", gdb("bt 1"))
    trap = gdb("print/x *(unsigned char *)($pc - 1)")
    assert "0xcc" in trap
    assert "= 1" in gdb("print steps")


def check_call(gdb: Gdb, function: str, line: int) -> None:
    """gdb stands in the kernel's function, which ``function`` called on ``line``; `finish` leads there."""
    frames = gdb("bt 2")
    assert "#0  kgdb_breakpoint ()" in frames
    assert re.search(rf"#1 .* in {function} \(\) at \S+selfstop.c:{line}\b", frames)
    assert "= 11" in gdb("print steps")
    gdb("finish")
    gdb("next")
    assert shown_line(gdb) == line + 2
    assert "= 111" in gdb("print steps")


def test_they_stop_on_their_line_and_the_machine_goes_on_behind_them(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("selfstop")
    gdb = bench.gdb()
    trap, call = line_of("init's trap"), line_of("init's call")
    said, insmod = bench.load(gdb, "selfstop")
    assert "received signal SIGTRAP" in said
    assert f"selfstop.c:{trap + 1}" in said
    check_trap(gdb, "selfstop_init", trap)
    assert "breakpoint in the code at selfstop:selfstop_init+" in gdb("monitor status")
    said = gdb("continue")
    assert "received signal SIGTRAP" in said
    assert "user code" not in said
    check_call(gdb, "selfstop_init", call)
    bench.finish(gdb, insmod)
    assert "init: 111" in bench.machine.target.console_text()

    trap, call = line_of("exit's trap"), line_of("exit's call")
    bench.interrupt(gdb)
    gdb("break selfstop_exit")
    gdb.send("continue")
    bench.machine.live.wait_until_running(60)
    said, rmmod = bench.hit(gdb, "rmmod selfstop")
    assert "Breakpoint 1, selfstop_exit ()" in said
    while shown_line(gdb) != trap:
        gdb("next")
    gdb("next")  # over the trap, which is no stop of its own then
    check_trap(gdb, "selfstop_exit", trap)
    gdb("stepi")
    gdb("next")
    assert shown_line(gdb) == trap + 2
    assert "received signal SIGTRAP" in gdb("continue")
    check_call(gdb, "selfstop_exit", call)
    bench.finish(gdb, rmmod)
    assert "exit: 111" in bench.machine.target.console_text()


def test_a_breakpoint_on_a_trap_stops_there_once(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("selfstop")
    gdb = bench.gdb()
    trap = line_of("init's trap")
    gdb(f"break selfstop.c:{trap}")
    said, insmod = bench.load(gdb, "selfstop")
    assert f"selfstop.c:{trap}" in said
    assert shown_line(gdb) == trap
    gdb("continue")
    assert "#0  kgdb_breakpoint ()" in gdb("bt 1")
    gdb("delete")
    bench.finish(gdb, insmod)
    bench.machine.live.wait_until_running(60)
    command = bench.machine.run("rmmod selfstop")
    assert "received signal SIGTRAP" in gdb.wait()
    assert "#0  selfstop_exit ()" in gdb("bt 1")
    assert "received signal SIGTRAP" in gdb("continue")
    bench.finish(gdb, command)
