# SPDX-License-Identifier: Apache-2.0
"""The session's rules, on a fake stub and a world of one function: nobody is left with a target that stands unseen."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from nullmodem.errors import StateError, StubError
from nullmodem.kernel.hooks import ModuleState
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.events import EventBus
from nullmodem.session.hooks import Hook, HookPoint
from nullmodem.session.model import (
    Answer,
    ModulesChanged,
    Resume,
    Resumed,
    ResumeKind,
    Said,
    State,
    Stopped,
    StopReason,
)
from nullmodem.session.session import Session
from nullmodem.session.signals import SIGTRAP
from support.minicpu import BREAK_IN, INC, PAGE, SELF, TEXT, MiniCpus, addresses, machine
from support.runner import stub_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nullmodem.session.events import Subscription
    from nullmodem.session.model import Event

CODE = (INC, INC, INC, SELF)
AT = addresses(*CODE)
WATCH = Breakpoint(BreakpointKind.WRITE, TEXT + PAGE, 1)


class Modules:
    """`ModuleTable` of a kernel whose every module event is news."""

    generation = 0
    all = ()
    is_loading = False

    def event(self, _state: object, _address: int) -> None:
        self.generation += 1

    def refresh_files(self, _memory: object) -> None: ...


class Met(Session):
    """One that has met its target. ``hit`` stops that by a trap nothing explains, as a debug register does."""

    hit: Callable[[], None]


@contextlib.contextmanager
def met(*, hook: int | None = None) -> Iterator[Met]:
    """A session that has met a target of one processor, which stands at the first instruction."""
    cpu = machine(*CODE, data=PAGE)
    with stub_on(cpu, MiniCpus(cpu)) as (stub, fake, line):
        session = Met(stub, cast("Any", None), EventBus())
        kernel = SimpleNamespace(
            in_break_function=lambda pc: pc == BREAK_IN, hooks=SimpleNamespace(states={0: ModuleState.LIVE})
        )
        session._world = cast(
            "Any",
            SimpleNamespace(
                kernel=kernel,
                modules=Modules(),
                threads=SimpleNamespace(new_stop=lambda: None),
                debug_registers=SimpleNamespace(enable=lambda: None, restore=lambda: None),
                whole_line=lambda request, _pc, _length_at: request,
                function_at=lambda _pc: range(0),
            ),
        )
        stub.halt_reason()
        session.target.begin(stub.current_thread())
        if hook is not None:
            session.runner.hooks = {hook: Hook(HookPoint.EVENT, hook, INC)}
            session.table.keep([Breakpoint(BreakpointKind.SOFTWARE, hook, 1)])
        session.on_visible(StopReason.ATTACHED, SIGTRAP)
        session.hit = lambda: line.deliver(fake.stop())
        yield session


def told(events: Subscription) -> list[Event]:
    """What listeners heard since they were last asked."""
    heard = []
    while (event := events.get()) is not None:
        heard.append(event)
    return heard


def attached(session: Session, *, follows: bool = True) -> str:
    return session.attach("gdb", follows_modules=follows).id


def test_a_step_refused_while_modules_are_told_leaves_the_target_waiting_for_a_better_answer() -> None:
    with met(hook=AT[1]) as session:
        gdb = attached(session)
        session.resume(gdb, Resume())
        session.on_wire()
        assert session.still
        assert session.state is State.RUNNING
        with pytest.raises(StateError, match="only the thread that stopped"):
            session.resume(gdb, Resume(ResumeKind.STEP, thread=8_000_001))
        assert session.still
        assert session.resume(gdb, Resume()).answer is Answer.WAIT
        assert not session.still
        assert not session.stub.is_stopped


def test_a_target_that_cannot_be_set_going_after_modules_were_told_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_arguments: object) -> None:
        raise StubError("no", errno=22)

    with met(hook=AT[1]) as session:
        gdb = attached(session)
        session.resume(gdb, Resume())
        session.on_wire()
        with monkeypatch.context() as patched:
            patched.setattr(session.table, "synchronise", refuse)
            with pytest.raises(StubError):
                session.resume(gdb, Resume())
        assert session.state is State.STOPPED
        assert session.stop is not None
        assert session.stop.reason is StopReason.TROUBLE


def test_a_client_whose_resume_failed_does_not_count_as_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_arguments: object) -> None:
        raise StubError("no", errno=22)

    with met() as session:
        gdb, other = attached(session), attached(session)
        monkeypatch.setattr(session.table, "synchronise", refuse)
        with pytest.raises(StubError):
            session.resume(gdb, Resume())
        session.detach(other)
        assert session.state is State.STOPPED


def test_letting_the_target_go_waits_for_nobody_who_was_told_of_modules() -> None:
    with met(hook=AT[1]) as session:
        gdb = attached(session)
        session.resume(gdb, Resume())
        session.on_wire()
        session.continue_target()
        assert not session.still
        assert session.state is State.RUNNING
        assert session.resume(gdb, Resume()).answer is Answer.WAIT


def test_that_the_target_goes_on_after_modules_were_told_is_told() -> None:
    with met(hook=AT[1]) as session:
        gdb = attached(session)
        with contextlib.closing(session.bus.subscribe()) as events:
            session.resume(gdb, Resume())
            session.on_wire()
            session.resume(gdb, Resume())
            kinds = [type(event) for event in told(events) if not isinstance(event, Said)]
        assert kinds == [Resumed, ModulesChanged, Resumed]
        assert session.standing.resumes == 2


def test_a_stop_that_follows_another_without_the_targets_running_is_told_as_any_other() -> None:
    with met() as session:
        gdb = attached(session)
        session.break_ins.want(gdb)  # as when Ctrl-C and `continue` cross
        with contextlib.closing(session.bus.subscribe()) as events:
            session.resume(gdb, Resume())
            assert [type(event) for event in told(events)] == [Resumed, Stopped]
        assert session.stub.is_stopped


def test_a_watchpoint_of_a_client_that_vanished_stops_nobody() -> None:
    with met() as session:
        gdb = attached(session)
        session.insert(gdb, WATCH)
        session.resume(gdb, Resume())
        session.detach(gdb, vanished=True)
        session.hit()
        session.on_wire()
        assert session.state is State.RUNNING
        assert not session.stub.is_stopped
        assert WATCH not in session.table.armed


def test_a_client_that_comes_back_to_a_stop_keeps_the_target_there() -> None:
    with met() as session:
        holder, other = attached(session), attached(session)
        assert session.clients.acquire(holder)
        assert session.resume(other, Resume()).held_by == "gdb"
        session.clients.look(other, 1)
        session.detach(holder)
        assert session.state is State.STOPPED
