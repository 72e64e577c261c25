# SPDX-License-Identifier: Apache-2.0
"""A target that was reset without a word: its stub stands still for a break-in, and tells nobody."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import TargetError, WireClosed
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session import reboot
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import Lost, State, StopReason
from nullmodem.stub.client import Patience
from support.fakekernel import FakeKernel
from support.rig import PATIENCE_SECONDS, next_event, rig_on
from support.rigged import kernel_file, rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nullmodem.wire.streams import ByteStream
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


def stops_while_it_is_asked(rig: Rig, asked: threading.Event) -> Callable[[], None]:
    """A way to break in that works late: the target stops when it has been ``asked``, which waits for its answer."""
    works = rig.live._break_in
    waits = rig.session.stub._exchange._wait

    def wait(stream: ByteStream, seconds: float) -> bool:
        asked.set()
        return waits(stream, seconds)

    def late() -> None:
        rig.session.stub._exchange._wait = wait
        threading.Thread(target=lambda: asked.wait(PATIENCE_SECONDS) and works()).start()
        raise TargetError("the kernel was not stopped")

    return late


def test_a_stop_that_is_told_of_during_the_question_is_what_was_wanted(rig: Rig) -> None:
    rig.live.attach("somebody")
    asked = threading.Event()
    rig.live._break_in = stops_while_it_is_asked(rig, asked)
    rig.live.interrupt()
    assert rig.live.state is State.STOPPED
    assert rig.live.stop is not None
    assert rig.live.stop.reason is StopReason.INTERRUPT
    rig.live.go()
    rig.settle()
    assert rig.live.state is State.RUNNING
    rig.fake.typed.clear()


def test_a_stop_that_came_while_something_was_asked_is_dealt_with_although_the_line_is_quiet(rig: Rig) -> None:
    rig.live.attach("somebody")
    asked = threading.Event()
    late = stops_while_it_is_asked(rig, asked)

    def ask() -> None:
        with contextlib.suppress(TargetError):
            late()
        rig.session.stub.has_forgotten_us(PATIENCE_SECONDS)

    rig.live._call(ask)
    assert rig.live.wait_for_stop(PATIENCE_SECONDS).reason is StopReason.TRAP, "nobody had wanted it"
    rig.live.go()
    rig.fake.typed.clear()


def test_a_stop_that_was_lost_on_the_line_is_shown_at_the_next_break_in_whatever_its_way(rig: Rig) -> None:
    def cannot() -> None:
        raise TargetError("nobody answers there")

    rig.live._break_in = cannot
    rig.live.attach("somebody")
    hook = rig.hook("do_init_module")
    rig.live.look_into(lambda session: session.runner.hooks.pop(hook))  # so that a stop there is somebody's
    at = Breakpoint(BreakpointKind.SOFTWARE, hook, 1)
    rig.live.look_into(lambda session: session.table.want("somebody", at))
    rig.machine.cpus[0].registers["rip"] = hook + 1
    assert rig.fake.stop().startswith(b"$T05"), "which nobody hears"
    rig.live.interrupt()
    assert rig.live.stop is not None
    assert (rig.live.state, rig.live.stop.pc) == (State.STOPPED, hook)


@pytest.fixture
def hasty(kernel_file: Path, tmp_path: Path) -> Iterator[Rig]:
    """A target that stands still, and a session that waits a moment for an answer."""
    with rig_on(FakeKernel(kernel_file), tmp_path, patience=Patience(answer=0.3)) as rig:
        rig.live.interrupt()
        rig.live.wait_for_stop(PATIENCE_SECONDS)
        yield rig


def told_to_run(rig: Rig) -> int:
    return rig.fake.requests.count(b"c")


def test_a_target_that_was_reset_before_it_could_go_on_is_another_boot(hasty: Rig) -> None:
    def reset() -> None:
        hasty.machine.drop_breakpoints()
        hasty.machine.memory.clear()  # it is loaded somewhere else
        hasty.machine.cpus[0].registers["rip"] += 0x10_0000
        hasty.fake.connected = False

    before = told_to_run(hasty)
    hasty.line.lose(b"$c#", reset)
    hasty.live.go()
    lost = next_event(hasty.events, Lost)
    assert isinstance(lost, Lost)
    assert "rebooted instead of going on" in lost.reason
    assert told_to_run(hasty) == before, "the new boot was not told what was meant for the old one"
    assert hasty.fake.running


def test_one_that_stands_elsewhere_in_the_same_boot_is_shown_there(hasty: Rig) -> None:
    elsewhere = hasty.kernel.symbol("do_init_module") + 4
    before, armed = told_to_run(hasty), hasty.machine.software

    def stands_elsewhere() -> None:
        hasty.machine.cpus[0].registers["rip"] = elsewhere
        hasty.machine.drop_breakpoints()  # as after a reset without KASLR

    hasty.line.lose(b"$c#", stands_elsewhere)
    hasty.live.go()
    assert hasty.live.wait_for_stop(PATIENCE_SECONDS).pc == elsewhere
    assert told_to_run(hasty) == before
    hasty.live.go()
    hasty.until(State.RUNNING)
    assert hasty.machine.software == armed


def test_one_that_stands_where_it_stood_is_told_again(hasty: Rig) -> None:
    runs = threading.Event()
    hasty.story.meanwhile = runs.set
    hasty.line.lose(b"$c#", lambda: None)
    hasty.live.go()
    assert runs.wait(PATIENCE_SECONDS)
    hasty.settle()
    assert hasty.live.state is State.RUNNING
