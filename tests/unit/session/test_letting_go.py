# SPDX-License-Identifier: Apache-2.0
"""A target that a session lets go of runs, and nobody stops it for a debugger that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import UsageError
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import State, StopReason
from nullmodem.testing.fakemachine import Stop
from support.fakekernel import FOR_ITSELF, ROUNDED_UP
from support.rig import PATIENCE_SECONDS, PID, STACK, Arrival
from support.rigged import kernel_file, rig

if TYPE_CHECKING:
    from support.rig import Rig

__all__ = ["kernel_file", "rig"]


@pytest.fixture
def stopped(rig: Rig) -> Rig:
    rig.live.interrupt()
    rig.live.wait_for_stop(PATIENCE_SECONDS)
    return rig


def said(rig: Rig) -> str:
    return "\n".join(text for _when, text in rig.session.bus.said)


def resumes(rig: Rig) -> int:
    """How often the target was let run by the last stop but ``D``."""
    return rig.fake.requests.count(b"c")


def assert_let_go(rig: Rig) -> None:
    assert rig.fake.requests[-1] == b"D"
    assert rig.fake.running
    assert not rig.fake.connected
    assert not rig.machine.software
    assert not rig.machine.hardware


def want(rig: Rig, kind: BreakpointKind = BreakpointKind.SOFTWARE) -> int:
    """A breakpoint of a client's that stays attached."""
    at = rig.kernel.symbol("module_event") + 4
    rig.live.insert(rig.live.attach("test"), Breakpoint(kind, at, 1))
    return at


def wait(rig: Rig, state: int) -> None:
    """Let the kernel say that it stands on processor 0, and how the other one came into the debugger."""
    rig.kernel.poke(rig.memory, rig.kernel.symbol("kgdb_active"), 0, 4)
    rig.kernel.enter_debugger(rig.memory, 1, STACK + 0x3F00, state)


def test_a_target_that_nothing_is_under_way_in_is_let_go_where_it_stands(stopped: Rig) -> None:
    before = resumes(stopped)
    stopped.live.close(release=True)
    assert resumes(stopped) == before
    assert_let_go(stopped)


def test_where_another_processor_may_have_met_a_breakpoint_the_target_runs_without_it_first(stopped: Rig) -> None:
    before = resumes(stopped)
    at = want(stopped)
    stopped.story.to_come.append(Arrival(at))
    stopped.live.close(release=True)
    assert resumes(stopped) == before + 1
    assert b"z0,%x,1" % at in stopped.fake.requests
    assert stopped.live.stop is not None
    assert stopped.live.stop.reason is StopReason.INTERRUPT, "it ran on where the breakpoint had been"
    assert_let_go(stopped)


def test_one_that_was_never_stopped_from_outside_is_not_let_run_for_what_may_be(stopped: Rig) -> None:
    before = resumes(stopped)
    want(stopped)
    stopped.session.break_ins.works = False
    stopped.live.close(release=True)
    assert resumes(stopped) == before
    assert_let_go(stopped)


def test_a_break_in_that_another_stop_came_before_arrives_first(rig: Rig) -> None:
    rig.live.attach("test")
    asked = []

    def met_by_another() -> None:
        """The break-in is on its way, and a trap in the code comes before it."""
        asked.append(None)
        rig.machine.cpus[0].registers["rip"] = rig.kernel.symbol("do_init_module") + 4
        rig.line.poke(lambda: rig.fake.stop(Stop(cpu=0)))

    def arrive() -> None:
        rig.story.meanwhile = lambda: None
        rig.live._engine.submit(rig.break_in)

    rig.live._break_in, rig.story.meanwhile = met_by_another, arrive
    rig.live.close(release=True)
    assert len(asked) == 1, "and no other is sent"
    assert not rig.session.break_ins.under_way
    assert_let_go(rig)


def test_a_processor_that_waits_to_report_a_stop_does_so_first(rig: Rig) -> None:
    before = resumes(rig)
    wait(rig, FOR_ITSELF)
    rig.story.meanwhile = lambda: wait(rig, ROUNDED_UP)
    rig.live.close(release=True)
    assert resumes(rig) == before + 1
    assert said(rig) == ""
    assert_let_go(rig)


def test_one_that_never_reports_is_not_waited_for_for_ever_and_that_is_said(rig: Rig) -> None:
    wait(rig, FOR_ITSELF)
    rig.live.close(release=True)
    assert "processor 1 has stopped, and has yet to report it; then the kernel stops and waits" in said(rig)
    assert_let_go(rig)


def test_a_target_that_cannot_be_stopped_once_more_runs_on_with_nothing_armed(stopped: Rig) -> None:
    def fail() -> None:
        raise UsageError("no way in")

    want(stopped)
    stopped.live._break_in = fail
    stopped.live.close(release=True)
    assert "the target runs on with nothing armed; it could not be stopped to say that we go: no way in" in said(
        stopped
    )
    assert stopped.fake.running
    assert not stopped.machine.software
    assert stopped.live.state is State.RUNNING


def test_a_fault_is_left_to_the_kernel_before(rig: Rig) -> None:
    """It would stop there again, and wait."""
    rig.live.attach("test")
    at = rig.machine.cpus[0].registers["rip"] = rig.kernel.symbol("do_init_module") + 4
    rig.line.poke(lambda: rig.fake.stop(Stop(signal=11, cpu=0)))
    assert rig.live.wait_for_stop(PATIENCE_SECONDS).reason is StopReason.FAULT
    rig.live.close(release=True)
    assert b"C09%016x" % at in rig.fake.requests
    assert_let_go(rig)
    rig.machine.violations.clear()  # the address it is handed back at is harmless here


def overtake_a_step(rig: Rig) -> int:
    """A thread steps; before it has, another processor runs into a breakpoint. Returns where the thread stands."""
    gdb = rig.gdb()
    gdb.attach()
    at = rig.machine.cpus[0].registers["rip"] = rig.kernel.symbol("do_init_module") + 4
    met = rig.kernel.symbol("module_event") + 4
    gdb.ask(b"Z0,%x,1" % met)
    rig.story.overtaking = Arrival(met, cpu=1)
    gdb.send(b"vCont;s:%x;c" % PID)
    assert gdb.stop().thread != PID
    assert rig.session.runner.late_steps == {PID}
    return at


def test_a_step_that_was_overtaken_ends_before_the_target_is_let_go(rig: Rig) -> None:
    at = overtake_a_step(rig)
    rig.story.to_come.append(Arrival(at + 1, traps=True))
    rig.live.close(release=True)
    assert rig.session.runner.late_steps == frozenset()
    assert rig.fake.running
    assert rig.fake.requests[-1] == b"D"
    assert not any("has yet to report" in text for _when, text in rig.session.bus.said)


def test_a_step_that_does_not_end_is_not_waited_for_for_ever_and_that_is_said(rig: Rig) -> None:
    overtake_a_step(rig)
    rig.live.close(release=True)
    assert rig.fake.requests[-1] == b"D"
    assert any(f"thread {PID} has yet to report a step" in text for _when, text in rig.session.bus.said)
