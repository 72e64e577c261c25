# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C in the middle of a command: one is enough, whatever gdb goes on from by itself meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.session.model import Resume, ResumeKind, State
from support.rig import PID, Arrival

if TYPE_CHECKING:
    from support.rig import Gdb, Rig

STEP = b"vCont;s:%x;c" % PID
SIGINT, SIGTRAP = 2, 5


def stepping(rig: Rig) -> Gdb:
    """A gdb in the middle of ``stepi 100000``, which stands between two of them."""
    gdb = rig.gdb()
    gdb.attach()
    gdb.ask(b"qfThreadInfo")
    step(gdb)
    return gdb


def step(gdb: Gdb) -> int:
    """The signal with which a step ends."""
    gdb.send(STEP)
    return gdb.stop().signal


def interrupted_meanwhile(rig: Rig, who: str) -> None:
    """Somebody wants the target stopped the next time that it runs; the break-in takes its time."""

    def once() -> None:
        rig.story.meanwhile = lambda: None
        assert rig.session.request_interrupt(who)

    rig.story.meanwhile = once


def breakpoint_of_its_own(rig: Rig, gdb: Gdb) -> int:
    """Let gdb run to a breakpoint of its own, as where a call returns to."""
    at = rig.kernel.symbol("do_init_module") + 4
    gdb.ask(b"Z0,%x,1" % at)
    rig.story.to_come.append(Arrival(at))
    gdb.send(b"vCont;c")
    return gdb.stop().signal


@pytest.mark.parametrize("whose", ["gdb", "somebody"])
def test_a_step_that_ends_before_the_break_in_comes_is_the_interrupt(rig: Rig, whose: str) -> None:
    gdb = stepping(rig)
    interrupted_meanwhile(rig, rig.live.clients()[0].id if whose == "gdb" else "")
    assert step(gdb) == SIGINT
    assert rig.live.stop is not None
    assert rig.live.stop.reason.value == "interrupt"


def test_the_break_in_that_comes_after_such_a_step_stops_nobody(rig: Rig) -> None:
    gdb = stepping(rig)
    interrupted_meanwhile(rig, "")
    assert step(gdb) == SIGINT
    gdb.ask(b"qfThreadInfo")
    gdb.send(b"c")
    rig.until(State.RUNNING)
    rig.break_in()
    rig.settle()
    assert gdb.nothing_comes()
    assert rig.fake.running
    gdb.raw(b"\x03")
    assert gdb.stop().signal == SIGINT


def test_ctrl_c_that_crosses_a_steps_end_ends_the_next_before_it_begins(rig: Rig) -> None:
    gdb = stepping(rig)
    steps = rig.story.steps
    gdb.raw(b"\x03")
    assert step(gdb) == SIGINT
    assert rig.story.steps == steps
    gdb.ask(b"qfThreadInfo")
    assert step(gdb) == SIGTRAP, "it has been seen to"


def test_ctrl_c_that_crosses_the_end_of_the_command_is_no_stop_more(rig: Rig) -> None:
    gdb = stepping(rig)
    gdb.raw(b"\x03")
    gdb.ask(b"qfThreadInfo")
    assert step(gdb) == SIGTRAP


def test_ctrl_c_twice_is_one_stop(rig: Rig) -> None:
    gdb = stepping(rig)
    gdb.raw(b"\x03\x03")
    assert step(gdb) == SIGINT
    gdb.raw(b"\x03")
    assert step(gdb) == SIGTRAP


def test_an_interrupt_between_two_steps_of_gdb_keeps_it_from_the_next(rig: Rig) -> None:
    gdb = stepping(rig)
    rig.live.interrupt()
    assert rig.live.wait_for_stop(5).number
    assert step(gdb) == SIGINT


def test_gdb_does_not_go_on_from_a_breakpoint_of_its_own_if_the_target_is_wanted_stopped(rig: Rig) -> None:
    gdb = stepping(rig)
    interrupted_meanwhile(rig, "")
    assert breakpoint_of_its_own(rig, gdb) == SIGTRAP
    steps = rig.story.steps
    assert step(gdb) == SIGINT
    assert rig.story.steps == steps


def test_a_breakpoint_at_which_the_command_ends_is_the_stop_that_was_wanted(rig: Rig) -> None:
    gdb = stepping(rig)
    interrupted_meanwhile(rig, "")
    assert breakpoint_of_its_own(rig, gdb) == SIGTRAP
    gdb.ask(b"qfThreadInfo")
    assert step(gdb) == SIGTRAP


def test_a_breakpoint_that_was_the_stop_wanted_may_be_let_go_from_outside(rig: Rig) -> None:
    gdb = stepping(rig)
    interrupted_meanwhile(rig, "")
    assert breakpoint_of_its_own(rig, gdb) == SIGTRAP
    rig.live.go()
    rig.until(State.RUNNING)


def test_who_waits_for_another_gdb_that_steps_stops_it_with_one_ctrl_c(rig: Rig) -> None:
    gdb = stepping(rig)
    other = rig.gdb()
    other.attach()
    other.send(b"c")
    assert other.nothing_comes()
    other.raw(b"\x03")
    other.stop()
    other.ask(b"qfThreadInfo")  # its own command has ended, not the other's
    assert step(gdb) == SIGINT
    assert rig.live.state is State.STOPPED


def test_an_interrupt_at_a_breakpoint_is_forgotten_with_the_gdb_that_would_have_gone_on(rig: Rig) -> None:
    gdb, other = stepping(rig), rig.gdb()
    interrupted_meanwhile(rig, "")
    assert breakpoint_of_its_own(rig, gdb) == SIGTRAP
    other.attach()
    gdb.vanish()
    other.ask(b"qfThreadInfo")
    assert step(other) == SIGTRAP


def test_a_client_that_does_not_go_on_by_itself_is_not_stopped_again_for_what_has_been_seen(rig: Rig) -> None:
    """A program that steps stands at the end of its command; somebody else attaches meanwhile, or interrupts."""
    program = rig.live.attach("program")
    rig.live.interrupt()
    stop = rig.live.wait_for_stop(5)
    rig.live.acknowledge(program, stop.number)
    rig.live.resume(program, Resume(ResumeKind.STEP))
    stop = rig.live.wait_for_stop(5, after=stop.number)
    rig.gdb().attach()
    rig.live.interrupt()
    steps = rig.story.steps
    rig.live.resume(program, Resume(ResumeKind.STEP))
    assert rig.live.wait_for_stop(5, after=stop.number).reason.value == "step"
    assert rig.story.steps == steps + 1
