# SPDX-License-Identifier: Apache-2.0
"""A target that stops with nobody attached: what becomes of it, and who hears of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.session.model import Policy, Said, State, StopReason
from nullmodem.testing.fakemachine import Stop
from support.fakekernel import FakeKernel
from support.rig import PATIENCE_SECONDS, Rig, next_event, rig_on
from support.rigged import kernel_file, rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["kernel_file", "rig"]

SIGSEGV = 11


@pytest.fixture
def holding(kernel_file: Path, tmp_path: Path) -> Iterator[Rig]:
    """With the policy to hold."""
    with rig_on(FakeKernel(kernel_file), tmp_path, policy=Policy.HOLD) as rig:
        yield rig


def fault(rig: Rig) -> None:
    """The kernel's code does something that stops it."""
    rig.machine.cpus[0].registers["rip"] = rig.kernel.symbol("do_init_module") + 4
    rig.line.poke(lambda: rig.fake.stop(Stop(SIGSEGV)))


def assert_the_fault_was_handed_back(rig: Rig) -> None:
    """With the address it happened at, which is harmless here and nowhere else."""
    rig.settle()
    assert rig.fake.requests[-1] == b"C09%016x" % (rig.kernel.symbol("do_init_module") + 4)
    rig.machine.violations.clear()


def said(rig: Rig) -> str:
    """What is said of the stop that nobody sees."""
    while True:
        event = next_event(rig.events, Said)
        assert isinstance(event, Said)
        if "nobody attached" in event.text:
            return event.text


def test_it_runs_on_as_without_a_debugger_and_that_is_said(rig: Rig) -> None:
    fault(rig)
    assert said(rig).endswith("do_init_module+0x4 (fault), with nobody attached; it runs on")
    rig.settle()
    assert rig.live.state is State.RUNNING
    assert_the_fault_was_handed_back(rig)


def test_with_the_policy_to_hold_it_stays_and_that_is_said(holding: Rig) -> None:
    fault(holding)
    assert "(fault), with nobody attached; it stays stopped: `nullmodem gdb`" in said(holding)
    assert holding.live.state is State.STOPPED
    assert holding.gdb().attach().signal == SIGSEGV


def test_what_was_asked_for_without_being_attached_stays(rig: Rig) -> None:
    rig.live.interrupt()
    assert rig.live.wait_for_stop(PATIENCE_SECONDS).reason is StopReason.INTERRUPT
    rig.settle()
    assert rig.live.state is State.STOPPED


def test_a_break_in_that_nobody_here_asked_for_is_as_any_stop(rig: Rig) -> None:
    rig.break_in()
    assert "with nobody attached; it runs on" in said(rig)
    rig.settle()
    assert rig.live.state is State.RUNNING


def test_it_stays_for_whoever_waits_for_it(rig: Rig) -> None:
    subscription = rig.live.subscribe(tells_of_stops=True)
    fault(rig)
    rig.until(State.STOPPED)
    rig.live.somebody_knows()
    subscription.close()
    rig.live.leave_unattended()
    assert rig.live.state is State.STOPPED


def test_who_leaves_without_having_told_anybody_leaves_it_to_the_policy(rig: Rig) -> None:
    subscription = rig.live.subscribe(tells_of_stops=True)
    fault(rig)
    rig.until(State.STOPPED)
    subscription.close()
    rig.live.leave_unattended()
    assert "with nobody attached; it runs on" in said(rig)
    assert rig.live.state is State.RUNNING
    assert_the_fault_was_handed_back(rig)


def test_an_attached_client_is_somebody(rig: Rig) -> None:
    client = rig.live.attach("script")
    fault(rig)
    rig.until(State.STOPPED)
    assert rig.live.state is State.STOPPED
    rig.live.detach(client)
    assert rig.live.state is State.RUNNING
    assert_the_fault_was_handed_back(rig)


def test_what_was_said_can_be_asked_for_later(rig: Rig) -> None:
    fault(rig)
    said(rig)
    assert_the_fault_was_handed_back(rig)
    assert [text for _when, text in rig.live.status().said][-1].endswith("with nobody attached; it runs on")
