# SPDX-License-Identifier: Apache-2.0
"""A whole session from its first stop to its end, as every front end sees it."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.commands import RunningCommand
from nullmodem.api.halting import halt
from nullmodem.errors import IdentityError, LeaseError, StateError, UsageError, WireTimeout
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import Policy, State, StopReason
from nullmodem.targets.target import ExecResult
from nullmodem.waiting import wait_readable
from support.fakekernel import FakeKernel, build_kernel
from support.rig import PATIENCE_SECONDS, Rig, rig_on
from support.rigged import kernel_file, module_path, rig

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["kernel_file", "module_path", "rig"]


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No thread and no descriptor is left when the test ends."""
    before, threads = descriptors(), threading.active_count()
    yield
    # Not more: what another test has left may end meanwhile.
    assert threading.active_count() <= threads
    assert descriptors() <= before


def test_a_session_leaves_no_thread_and_no_descriptor(nothing_left: None, kernel_file: Path, tmp_path: Path) -> None:
    with rig_on(FakeKernel(kernel_file), tmp_path) as rig:
        rig.gdb().attach()
    rig.events.close()


def test_a_command_whose_end_was_told_leaves_no_descriptor(rig: Rig) -> None:
    before = descriptors()
    command = RunningCommand(rig.live, lambda: ExecResult("ls", 0, b"all"))
    assert command.wait(PATIENCE_SECONDS, stops=False).result == ExecResult("ls", 0, b"all")
    assert descriptors() <= before
    assert command.wait().result == command.result()
    command.close()


def test_closing_may_be_done_twice(rig: Rig) -> None:
    rig.live.close(release=False)
    rig.live.close(release=False)
    rig.live.close(release=True)


@pytest.mark.parametrize("stopped", [True, False])
def test_releasing_leaves_a_target_that_runs_and_has_no_breakpoint(rig: Rig, stopped: bool) -> None:
    if stopped:
        rig.live.interrupt()
        rig.live.wait_for_stop(PATIENCE_SECONDS)
    assert rig.machine.software
    rig.live.close(release=True)
    assert rig.fake.running
    assert not rig.machine.software
    assert not rig.fake.connected
    assert rig.live.state is State.DISCONNECTED


def test_releasing_does_not_wait_for_who_is_being_told_of_modules(rig: Rig, module_path: Path) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.send(b"c")
    rig.until(State.RUNNING)
    rig.happen(rig.module_loads(rig.load(module_path)))
    assert gdb.stop().library
    rig.live.close(release=True)
    assert rig.fake.running
    assert not rig.machine.software


def test_another_kernel_is_refused_let_go_and_leaves_nothing(
    nothing_left: None, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, kernel_file: Path
) -> None:
    other = FakeKernel(build_kernel(tmp_path_factory.mktemp("other"), "MEM", "PRIVATE"))
    rig = Rig(FakeKernel(kernel_file), tmp_path, Policy.RELEASE)
    object.__setattr__(rig.session.files, "vmlinux", other.vmlinux)
    object.__setattr__(rig.session.files, "types", other.types)
    with pytest.raises(IdentityError):
        rig.live.start(PATIENCE_SECONDS)
    assert rig.fake.running
    assert not rig.machine.software
    with pytest.raises(StateError):
        rig.live.status()
    rig.close()
    rig.events.close()


def test_a_target_that_does_not_stop_is_a_timeout_and_leaves_nothing(
    nothing_left: None, tmp_path: Path, kernel_file: Path
) -> None:
    rig = Rig(FakeKernel(kernel_file), tmp_path, Policy.RELEASE)
    rig.line.mute()
    with pytest.raises(WireTimeout):
        rig.live.start(0.05)
    rig.close()
    rig.events.close()


def test_a_lost_target_is_told_at_once_by_everything_that_needs_it(rig: Rig) -> None:
    client = rig.live.attach("test")
    rig.line.poke(rig.fake.reboot)
    rig.until(State.LOST)
    for ask in (
        lambda: rig.live.wait_for_stop(PATIENCE_SECONDS),
        lambda: rig.live.read_memory(rig.break_pc, 4),
        rig.live.registers,
        rig.live.threads,
        rig.live.go,
        lambda: rig.live.insert(client, Breakpoint(BreakpointKind.SOFTWARE, rig.break_pc, 1)),
        lambda: rig.live.write_memory(client, rig.break_pc, b"x"),
    ):
        with pytest.raises(StateError):
            ask()
    rig.live.interrupt()  # nothing is left to interrupt
    rig.live.detach(client)
    assert rig.live.status().state is State.LOST


def test_what_needs_a_target_that_stands_says_what_to_do(rig: Rig) -> None:
    with pytest.raises(StateError, match="cannot read memory: the target is running") as caught:
        rig.live.read_memory(rig.break_pc, 4)
    assert "Interrupt it first" in caught.value.hint
    assert caught.value.state == "running"


def test_waiting_for_a_stop_that_does_not_come_ends(rig: Rig) -> None:
    with pytest.raises(WireTimeout, match="did not stop"):
        rig.live.wait_for_stop(0.01)


def test_a_stop_that_came_in_time_is_one_however_long_it_is_looked_at(rig: Rig) -> None:
    begun, over, engine = threading.Event(), threading.Event(), rig.live._engine

    def until_asked() -> None:
        while not (engine._queue or over.is_set()):
            wait_readable([], 0.001)

    def be_asked_once() -> None:
        begun.set()
        until_asked()
        engine.submit(look_at_a_stop)

    def look_at_a_stop() -> None:
        """Until who waits for it has no more time."""
        until_asked()
        rig.break_in()
        rig.session.on_wire()

    engine.submit(be_asked_once)
    assert begun.wait(PATIENCE_SECONDS)
    try:
        assert rig.live.wait_for_stop(0).pc == rig.break_pc
    finally:
        over.set()


def test_a_break_in_that_fails_is_told_and_the_next_may_succeed(rig: Rig) -> None:
    works = rig.live._break_in

    def fail() -> None:
        raise UsageError("no way in")

    rig.live._break_in = fail
    with pytest.raises(UsageError):
        rig.live.interrupt()
    rig.live._break_in = works
    rig.live.interrupt()
    assert rig.live.wait_for_stop(PATIENCE_SECONDS).reason is StopReason.INTERRUPT


def test_a_break_in_that_is_lost_is_tried_again(rig: Rig) -> None:
    tries = []

    def lost_at_first() -> None:
        tries.append(None)
        if len(tries) > 1:
            rig.break_in()

    rig.live._break_in = lost_at_first
    assert halt(rig.live, PATIENCE_SECONDS, again=0.01).reason is StopReason.INTERRUPT
    assert len(tries) > 1


def test_a_target_that_never_stops_is_not_waited_for_longer_than_said(rig: Rig) -> None:
    rig.live._break_in = lambda: None
    with pytest.raises(WireTimeout, match="did not stop within 0 s"):
        halt(rig.live, 0.03, again=0.01)


def test_who_is_not_attached_sets_no_breakpoint_and_resumes_nothing(rig: Rig) -> None:
    client = rig.live.attach("test")
    rig.live.interrupt()
    rig.live.wait_for_stop(PATIENCE_SECONDS)
    other = rig.live.attach("other")
    rig.live.detach(client)
    with pytest.raises(LeaseError, match="not attached"):
        rig.live.insert(client, Breakpoint(BreakpointKind.SOFTWARE, rig.kernel.symbol("do_init_module") + 4, 1))
    assert len(rig.machine.software) == 2
    rig.live.detach(other)


def test_stops_are_numbered_and_shown_once(rig: Rig) -> None:
    first = rig.live.stop
    assert first is not None
    for number in range(first.number + 1, first.number + 4):
        rig.live.interrupt()
        stop = rig.live.wait_for_stop(PATIENCE_SECONDS, after=number - 1)
        assert stop.number == number
        rig.live.go()
        rig.until(State.RUNNING)
