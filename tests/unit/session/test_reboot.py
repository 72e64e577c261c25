# SPDX-License-Identifier: Apache-2.0
"""A target that was reset without a word: its stub stands still for a break-in, and tells nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import TargetError, WireClosed
from nullmodem.session import reboot
from nullmodem.session.model import Lost, State, StopReason
from support.rig import PATIENCE_SECONDS, next_event
from support.rigged import kernel_file, rig

if TYPE_CHECKING:
    from support.rig import Rig


__all__ = ["kernel_file", "rig"]


def test_a_target_that_stands_and_has_forgotten_the_session_has_rebooted(rig: Rig) -> None:
    works = rig.live._break_in

    def stops_and_is_not_told_of() -> None:
        works()
        raise TargetError("the kernel was not stopped")

    rig.live._break_in = stops_and_is_not_told_of
    rig.machine.drop_breakpoints()
    rig.fake.connected = False
    with pytest.raises(WireClosed, match="the target has rebooted"):
        rig.live.interrupt()
    lost = next_event(rig.events, Lost)
    assert isinstance(lost, Lost)
    assert "rebooted" in lost.reason
    assert rig.live.state is State.LOST
    assert rig.fake.running
    assert rig.fake.requests[-1] == b"D"


def test_a_target_that_runs_and_is_asked_has_not_rebooted_and_its_next_stop_is_heard(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = rig.live._break_in

    def fail() -> None:
        raise TargetError("the kernel was not stopped")

    monkeypatch.setattr(reboot, "ANSWER_SECONDS", 0.05)
    rig.live._break_in = fail
    with pytest.raises(TargetError):
        rig.live.interrupt()
    assert rig.live.state is State.RUNNING
    rig.live._break_in = works
    rig.live.interrupt()
    assert rig.live.wait_for_stop(PATIENCE_SECONDS).reason is StopReason.INTERRUPT
    rig.live.go()
    rig.fake.typed.clear()  # the question, which the running kernel has heard and not understood
