# SPDX-License-Identifier: Apache-2.0
"""How gdb has the target run, step and stop, and how it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.rsp.replies import StopReason
from nullmodem.session.model import State
from support.rig import PID, STACK, Arrival

if TYPE_CHECKING:
    from support.rig import Rig

CPU0, CPU1 = 0x7A1200, 0x7A1201
RIP = 16


def pc(registers: tuple[tuple[int, bytes], ...]) -> int:
    return int.from_bytes(dict(registers)[RIP], "little")


def test_a_breakpoint_is_hit_shown_and_passed(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    at = rig.hook("do_init_module") + 4
    assert gdb.ask(b"Z0,%x,1" % at) == b"OK"
    gdb.send(b"vCont;c")
    rig.until(State.RUNNING)
    rig.happen(Arrival(at))
    stop = gdb.stop()
    assert (stop.signal, stop.reason, pc(stop.registers)) == (5, StopReason.SWBREAK, at)
    assert gdb.ask(b"z0,%x,1" % at) == b"OK"
    gdb.send(b"vCont;c")
    rig.until(State.RUNNING)
    assert at not in rig.machine.software


def test_taking_breakpoints_out_and_putting_them_back_costs_nothing(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    at = rig.kernel.symbol("do_init_module") + 4
    gdb.ask(b"Z0,%x,1" % at)
    before = len(rig.fake.requests)
    for _ in range(5):
        assert gdb.ask(b"z0,%x,1" % at) == b"OK"
        assert gdb.ask(b"Z0,%x,1" % at) == b"OK"
    assert len(rig.fake.requests) == before


def test_a_hardware_breakpoint_and_watchpoints(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    at = rig.kernel.symbol("do_init_module") + 4
    assert gdb.ask(b"Z1,%x,1" % at) == b"OK"
    assert gdb.ask(b"Z2,%x,8" % STACK) == b"OK"
    assert gdb.ask(b"Z4,%x,4" % (STACK + 8)) == b"OK"
    assert gdb.ask(b"Z2,%x,10" % (STACK + 32)).startswith(b"E"), "there is one register left, this takes two"
    assert gdb.ask(b"Z2,%x,8" % (STACK + 32)) == b"OK", "and it is still there"
    gdb.send(b"vCont;c")
    rig.until(State.RUNNING)
    rig.happen(Arrival(at))
    stop = gdb.stop()
    assert (stop.reason, pc(stop.registers)) == (StopReason.HWBREAK, at)
    for kind, address, length in ((1, at, 1), (2, STACK, 8), (4, STACK + 8, 4), (2, STACK + 32, 8)):
        assert gdb.ask(b"z%x,%x,%x" % (kind, address, length)) == b"OK"
    gdb.send(b"vCont;c")
    rig.until(State.RUNNING)
    assert rig.machine.hardware == {}


@pytest.mark.parametrize("resume", [b"c", b"vCont;c", b"vCont;c:-1", b"vCont;c:p1.-1", b"C05", b"vCont;C05"])
def test_every_form_of_continue_lets_it_run(rig: Rig, resume: bytes) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.send(resume)
    rig.until(State.RUNNING)
    gdb.raw(b"\x03")
    assert gdb.stop().signal == 2


@pytest.mark.parametrize("resume", [b"s", b"vCont;s:%x;c", b"vCont;s:p1.%x;c:-1", b"S05", b"vCont;S05:%x"])
def test_every_form_of_step_is_one_instruction(rig: Rig, resume: bytes) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.send(resume % PID if b"%x" in resume else resume)
    stop = gdb.stop()
    assert stop.signal == 5
    assert pc(stop.registers) == rig.break_pc + 1
    assert rig.story.steps == 1


def test_a_range_step_ends_outside_the_range(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.send(b"vCont;r%x,%x:%x;c" % (rig.break_pc - 1, rig.break_pc + 3, PID))
    stop = gdb.stop()
    assert stop.signal == 5
    assert not rig.break_pc - 1 <= pc(stop.registers) < rig.break_pc + 3


def test_another_thread_than_the_one_that_stopped_is_not_stepped(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    assert gdb.ask(b"vCont;s:%x;c" % CPU1).startswith(b"E")
    assert rig.live.state is State.STOPPED


def test_the_idle_task_that_stopped_can_be_stepped_by_the_id_gdb_was_given(rig: Rig) -> None:
    rig.machine.cpus[0].pid = 0
    gdb = rig.gdb()
    stop = gdb.attach()
    assert stop.thread == CPU0
    gdb.send(b"vCont;s:%x;c" % CPU0)
    assert gdb.stop().thread == CPU0


def test_ctrl_c_stops_it(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.send(b"c")
    rig.until(State.RUNNING)
    gdb.raw(b"\x03")
    stop = gdb.stop()
    assert (stop.signal, pc(stop.registers)) == (2, rig.break_pc)


def test_ctrl_c_while_it_stands_is_no_stop_more(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.raw(b"\x03")
    assert gdb.nothing_comes()
    assert gdb.ask(b"qC") == b"QC%x" % PID


@pytest.mark.parametrize("detach", [b"D", b"D;1", b"vKill;1"])
def test_detaching_lifts_breakpoints_and_lets_it_run(rig: Rig, detach: bytes) -> None:
    gdb = rig.gdb()
    gdb.attach()
    at = rig.kernel.symbol("do_init_module") + 4
    gdb.ask(b"Z0,%x,1" % at)
    assert gdb.ask(detach) == b"OK"
    rig.until(State.RUNNING)
    assert at not in rig.machine.software
    assert rig.live.clients() == ()
    assert gdb.ask(b"Z0,%x,1" % at).startswith(b"E"), "it has detached"
    gdb.send(b"vAttach;1")
    assert gdb.stop().thread == PID
    assert gdb.ask(b"D") == b"OK"


def test_k_is_a_detach_without_an_answer(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.send(b"k")
    rig.until(State.RUNNING)
    assert gdb.nothing_comes()
    assert not rig.fake.dead
    assert b"k" not in rig.fake.requests


def test_coming_and_going_many_times_leaves_nothing(rig: Rig) -> None:
    for _ in range(10):
        gdb = rig.gdb()
        gdb.attach()
        gdb.ask(b"Z0,%x,1" % (rig.kernel.symbol("do_init_module") + 4))
        gdb.ask(b"D")
        gdb.vanish()
    assert rig.live.clients() == ()
    assert rig.live.state is State.RUNNING
    assert len(rig.machine.software) == 2  # the session's own


def test_a_gdb_that_vanishes_lets_the_target_run(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.vanish()
    rig.until(State.RUNNING)


def test_a_session_that_is_lost_says_so_and_hangs_up(rig: Rig) -> None:
    waiting, at_prompt = rig.gdb(), rig.gdb()
    waiting.attach()
    at_prompt.attach()
    waiting.send(b"c")
    rig.until(State.RUNNING)
    rig.line.poke(rig.fake.reboot)
    assert waiting.packet() == b"X09"
    assert b"reboots" in waiting.console
    for gdb in (waiting, at_prompt):
        with pytest.raises(EOFError):
            gdb.frame()
