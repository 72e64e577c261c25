# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of its modules, made known to the clients before it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.session.barrier import Barrier
from nullmodem.session.model import Answer, ModuleLife, ResumeKind, Resumption, StopReason
from nullmodem.session.module_events import take_in
from nullmodem.session.signals import SIGTRAP
from nullmodem.session.threads import require_own

if TYPE_CHECKING:
    from nullmodem.session.clients import Attached
    from nullmodem.session.hooks import Hook
    from nullmodem.session.model import Resume
    from nullmodem.session.session import Session


class ModuleNews:
    """The session's part at the hooks in the module loader. Used in the engine's thread only."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._barrier = Barrier()
        self._held: set[str] = set()

    @property
    def being_told(self) -> bool:
        """Whether the target waits for clients to learn of a module."""
        return self._barrier.up

    def wait_no_longer(self) -> None:
        """The target stands for all to see, goes on without the clients that were told, or is gone."""
        self._barrier.lower()

    def hold_next_load(self, name: str) -> None:
        """Stop visibly when the module is about to run its init, before any client's breakpoint in it."""
        self._held.add(name.replace("-", "_"))

    def at_hook(self, hook: Hook) -> bool:
        """The kernel tells of a module. True to go on at once."""
        session = self._session
        session.target.forget_code()
        table = session.world.modules
        before, known = table.generation, table.all
        module = take_in(session.world, session.target, session.stub.arch, hook, session.say)
        session.wishes.drop_unwanted()
        if table.all != known:
            session.bus.publish(ModuleLife(table.all))
        if module is not None and module.name in self._held:
            self._held.discard(module.name)
            session.on_visible(StopReason.MODULE_LOAD, SIGTRAP, module=module.name)
            return False
        return table.generation == before or not self._tell_clients()

    def _tell_clients(self) -> bool:
        """Tell those who wait that the modules have changed. True when the target must wait for them."""
        session, generation = self._session, self._session.world.modules.generation
        if not self._barrier.raise_for(session.clients.told(generation)):
            return False
        session.standing.for_modules(generation, session.make_stop(StopReason.MODULE_LOAD, 0))
        return True

    def answered(self, client: Attached, request: Resume) -> Resumption:
        """A client asks to go on while others may still have to be told. Raises StateError as `Session.resume`."""
        session = self._session
        after, generation = session.stops, session.world.modules.generation
        if client.follows_modules and client.seen_modules != generation:
            self._barrier.join(client.id)  # it was not waiting when the others were told
            client.seen_stop, client.seen_modules = after, generation
            return Resumption(Answer.MODULES, after, session.make_stop(StopReason.MODULE_LOAD, 0))
        holds = session.clients.holder in (None, client)
        if holds and not self._runs_elsewhere:
            require_own(request, session.target.thread)
        client.waiting = True
        if self._barrier.answered(client.id, request if holds else None):
            session.set_out(self._go_on)
        return Resumption(Answer.WAIT, after)

    def left(self, client: str) -> None:
        """A client is gone, and is waited for no longer."""
        if self._barrier.left(client) and not self._session.is_away:
            self._session.set_out(self._go_on)

    def _go_on(self) -> None:
        """Everybody knows the modules: go on as the client that may run the target asked."""
        session, runner, request = self._session, self._session.runner, self._barrier.request
        if runner.stop_if_wanted():
            return
        passes = runner.passes_calls and request is not None and request.kind is ResumeKind.RANGE
        if request is None or passes or (self._runs_elsewhere and request.kind is not ResumeKind.CONTINUE):
            runner.go_on()
        else:
            runner.start(session.planner.plan(session.world, request))

    @property
    def _runs_elsewhere(self) -> bool:
        """Whether a step that another thread's stop interrupted is not over: its thread reports when it gets to run."""
        return self._session.runner.plan_thread not in (None, self._session.target.thread)
