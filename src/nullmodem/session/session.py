# SPDX-License-Identifier: Apache-2.0
"""One live debug session. Every method runs in the engine's thread; `nullmodem.api` is the door for all others."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError, StateError, WireClosed
from nullmodem.session.break_in import BreakIns, show_interrupted
from nullmodem.session.breakpoints import Breakpoint, BreakpointTable
from nullmodem.session.clients import Attached, Clients
from nullmodem.session.conditions import Conditions, Terms
from nullmodem.session.kdb import take_up
from nullmodem.session.model import (
    Answer,
    Lost,
    Policy,
    Printed,
    Resume,
    Resumption,
    Said,
    State,
    Stop,
    StopReason,
    Watched,
)
from nullmodem.session.module_news import ModuleNews
from nullmodem.session.planning import Planner
from nullmodem.session.reboot import found_elsewhere, is_where_it_was
from nullmodem.session.reconnection import Reconnection
from nullmodem.session.running import Runner
from nullmodem.session.signals import SIGINT, SIGTRAP
from nullmodem.session.standing import Standing
from nullmodem.session.stepping import ContinuePlan
from nullmodem.session.stopped import StoppedTarget
from nullmodem.session.threads import public_id, require_own
from nullmodem.session.unattended import Unattended
from nullmodem.session.unexplained import explain
from nullmodem.session.watch import Watches
from nullmodem.session.wishes import Wishes
from nullmodem.session.world import Files, World, meet

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.rsp.replies import StopReply
    from nullmodem.session.events import EventBus
    from nullmodem.session.hooks import Hook
    from nullmodem.stub.client import KgdbStub


class Session:
    """The engine's knowledge and its rules. Implements `owner.Owner` and `engine.Driven`."""

    def __init__(
        self, stub: KgdbStub, files: Files, bus: EventBus, *, ahead: int | None = None, policy: Policy = Policy.RELEASE
    ) -> None:
        self.stub = stub
        self.files = files
        self.bus = bus
        self.standing = Standing(bus)
        self.unattended = Unattended(self, policy)
        self.clients = Clients()
        self.target = StoppedTarget(stub, ahead=ahead)
        self.table = BreakpointTable(stub)
        self.watches = Watches()
        conditions = Conditions(self.target, stub.arch, lambda *what: bus.publish(Printed(*what)), self.say)
        self.wishes = Wishes(self.table, self.watches, conditions)
        self.runner = Runner(stub, self.target, self.table, self)
        self.planner = Planner(stub.arch, self.target, self.table, self.runner, stub.meter)
        self.break_ins = BreakIns(stub.clock)
        self.runner.interrupted = lambda: self.break_ins.wanted
        self.state = State.DISCONNECTED
        self.stop: Stop | None = None
        self.stops = 0  # the number of the last one
        self._world: World | None = None
        self.left: tuple[int | None, int] = None, 0  # where the target was told to go on
        self.news = ModuleNews(self)
        self.reconnection = Reconnection(self)

    # -- beginning and end ---------------------------------------------------------------------------------------

    def fileno(self) -> int:
        return self.stub.fileno()

    def take_over(self, timeout: float, *, in_passing: bool = False) -> None:
        """Make a stopped target ours: ask why it stands, find where it runs, watch its modules.

        One that still runs answers when it stops, within ``timeout`` seconds. ``in_passing``: nobody looks at the stop.

        Raises:
            WireTimeout: it did not stop.
            IdentityError, KernelDataError, MemoryFault: see `world.meet`. The target runs again, unarmed.
        """
        self.stub.halt_reason(timeout)
        self.table.stub_forgot()
        try:
            self.target.begin(self.stub.current_thread())
            self._world = meet(self.stub, self.target, self.table, self.files, self.say)
            if not in_passing:
                show_interrupted(self.world, self.target, self.say)
        except BaseException:
            with contextlib.suppress(NullmodemError):
                self.stub.detach()
            raise
        self.stub.after_kdb = partial(take_up, self)
        self.runner.meet(self.world)
        self.break_ins.works = self.world.kernel.in_break_function(self.target.own_pc)
        self.on_visible(StopReason.ATTACHED, SIGTRAP)

    def on_away(self) -> bool:
        return self.reconnection.line_gone()

    @property
    def is_away(self) -> bool:
        return self.reconnection.is_away

    def on_lost(self, error: WireClosed) -> None:
        """The wire is gone, and with it the target as far as we can tell."""
        self.state = State.LOST
        self.news.wait_no_longer()
        self.target.end()
        self.bus.publish(Lost(error.message))

    def on_trouble(self, error: NullmodemError) -> None:
        """Something the wire brought could not be dealt with. A target that stands still must not do so unseen."""
        self.say(str(error))
        if self.state is not State.RUNNING or not self.stub.is_stopped or self.news.being_told:
            return
        self.runner.forget()
        if self.target.is_known:
            self.on_visible(StopReason.TROUBLE, SIGTRAP)
            self.unattended.leave()
        else:
            self.on_lost(WireClosed(f"the target stopped and could not be read: {error.message}"))

    # -- what is known -------------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """Raises StateError before the first stop."""
        if self._world is None:
            msg = "the session has not met the target yet"
            raise StateError(msg, state=self.state.value)
        return self._world

    @property
    def still(self) -> bool:
        """Whether the target can be looked at: it is stopped, or waits for clients to learn of a module."""
        return self.state is State.STOPPED or (self.news.being_told and not self.is_away)

    def require_stopped(self, doing: str) -> None:
        """Raises StateError unless the target stands still."""
        if not self.still:
            hint = "Interrupt it first: Ctrl-C in gdb, or `nullmodem interrupt`." if self.state is State.RUNNING else ""
            raise StateError(f"cannot {doing}: the target is {self.state.value}", state=self.state.value, hint=hint)

    # -- breakpoints ---------------------------------------------------------------------------------------------

    def insert(self, client: str, breakpoint_: Breakpoint, terms: Terms | None = None) -> None:
        """Raises BreakpointRefused with the reason; StateError while the target runs; LeaseError for who has gone."""
        self.clients.get(client)  # a breakpoint of a client that has gone would never be lifted
        self.require_stopped("set a breakpoint")
        self.wishes.insert(self.world, client, breakpoint_, terms)

    def remove(self, client: str, breakpoint_: Breakpoint) -> None:
        """Removing what is not there is no error: the module it was in may be gone."""
        self.wishes.remove(client, breakpoint_)

    # -- clients, resuming and interrupting ----------------------------------------------------------------------------

    def attach(self, name: str, *, follows_modules: bool, lists_threads: bool = False) -> Attached:
        seen = self.stops, self._world.modules.generation if self._world else 0
        return self.clients.add(name, *seen, follows_modules=follows_modules, lists_threads=lists_threads)

    def acknowledge(self, client_id: str, stop: int) -> None:
        """A client has been shown this stop, and with it the present list of modules."""
        self.clients.look(client_id, stop)
        self.clients.get(client_id).seen_modules = self.world.modules.generation

    def wait_on(self, client_id: str) -> None:
        """A client could not be shown a stop, because another had the target run on: it waits for the next one."""
        self.clients.get(client_id).waiting = self.state is State.RUNNING

    def resume(self, client_id: str, request: Resume) -> Resumption:
        """A client wants the target to go on.

        It does, if the client has seen the present stop, knows the present modules, and holds the lease or nobody
        does. A client without the lease waits for the next stop instead.

        Raises:
            StateError: there is no target to resume, or the thread asked to step is not the one that stopped.
        """
        client = self.clients.get(client_id)
        try:
            return self._resume(client, request)
        except WireClosed:
            if not (self.on_away() and self.reconnection.ran):
                raise
            client.waiting = True  # whether it runs is found out when the line is back
            return Resumption(Answer.WAIT, self.stops)

    def _resume(self, client: Attached, request: Resume) -> Resumption:
        after = self.stops
        if self.news.being_told and not self.is_away:
            return self.news.answered(client, request)
        if self.state is State.RUNNING:
            client.waiting = True
            return Resumption(Answer.WAIT, after)
        self.require_stopped("resume")
        assert self.stop is not None
        if client.seen_stop != after:
            client.seen_stop = after
            return Resumption(Answer.MISSED_STOP, after, self.stop)
        if client.follows_modules and client.seen_modules != self.world.modules.generation:
            client.seen_modules = self.world.modules.generation
            return Resumption(Answer.MODULES, after, self.stop)
        if not self.clients.acquire(client.id):
            client.waiting = True
            holder = self.clients.holder
            return Resumption(Answer.WAIT, after, held_by=holder.name if holder else "")
        require_own(request, self.target.thread)
        client.waiting = True
        try:
            self._run_for(client.id, request, self.stop)
        except NullmodemError:
            client.waiting = False
            raise
        return Resumption(Answer.WAIT, after)

    def _run_for(self, client_id: str, request: Resume, stop: Stop) -> None:
        if self.break_ins.wanted:  # since before ``stop``, from which the client goes on by itself
            self.on_visible(StopReason.INTERRUPT, SIGINT)
            return
        plan = self.planner.for_client(self.world, self.clients.get(client_id), request, stop)
        passing, awaited = self.planner.passed_calls.is_on_its_way, self.planner.awaited(client_id)
        self.set_out(lambda: self.runner.start(plan, passing=passing, awaited=awaited))

    def set_out(self, go: Callable[[], None]) -> None:
        """Set the target going. Where that fails with the target at rest and nobody told of it, it is shown."""
        try:
            go()
        except NullmodemError as error:
            if self.state is State.RUNNING and not isinstance(error, WireClosed):
                self.on_trouble(error)
            raise

    def detach(self, client_id: str, *, vanished: bool = False) -> None:
        """A client goes. The last one to go lets the target run, unless it vanished and the policy is to hold."""
        if not self.clients.remove(client_id):
            return
        self.wishes.forget_owner(client_id)
        self.break_ins.forget(client_id)
        self._command_ended(client_id)
        if self.state is State.RUNNING and not self.clients.attached:
            self.runner.forget()  # a step that ended now would leave the target standing for nobody
        missed = client_id if vanished else ""
        if self.is_away:
            self.news.left(client_id)
        elif self.news.being_told:
            if not (self.clients.attached or self.unattended.goes_on_without(missed)):
                self.news.wait_no_longer()
                self.on_visible(StopReason.MODULE_LOAD, SIGTRAP)
            else:
                self.news.left(client_id)
        elif self.state is State.RUNNING:
            self.unattended.runs_without(missed)
        elif self.state is State.STOPPED and self.clients.all_wait and self.unattended.goes_on_without(missed):
            self._let_go()

    def continue_target(self) -> None:
        """Let the target run whoever holds it; clients that thought it stopped are shown the next stop."""
        self.require_stopped("continue")
        self._let_go()

    def _let_go(self) -> None:
        """Let the target run for no debugger. A fault it still stands at is the kernel's: it would stop there again."""
        self.news.wait_no_longer()
        self.break_ins.satisfied()
        self.target.show_interrupted(None)
        faulty = self.stop is not None and self.stop.is_fault_at(self.target.own_pc)
        self.set_out(lambda: self.runner.start(ContinuePlan(deliver=faulty)))

    def looked_around(self, client_id: str) -> None:
        """A client lists threads: it has come to the end of its command."""
        self.target.is_looked_at()
        self._command_ended(client_id)

    def _command_ended(self, client_id: str) -> None:
        if self.planner.command_ended(client_id) and self.state is State.STOPPED:
            self.break_ins.satisfied()

    def say(self, text: str) -> None:
        self.bus.publish(Said(text))

    def request_interrupt(self, client_id: str = "") -> bool:
        """Somebody, perhaps a client, wants the target stopped. True if it must be broken into from outside.

        One that stands in the middle of a client's command is kept from going on with it.
        """
        if self.is_away and self.reconnection.ran:
            self.break_ins.want(client_id)  # done when the line is back
        if self.state is State.STOPPED and self.planner.in_command and self.stop is not None:
            self.break_ins.want(client_id)
            self.break_ins.shown(self.stop.reason, in_command=True)
        if self.state is not State.RUNNING:
            return False
        if self.news.being_told:  # it stands already, and whoever is still to answer has a stop to be shown first
            self.news.wait_no_longer()
            self.on_visible(StopReason.INTERRUPT, SIGINT)
            return False
        self.break_ins.want(client_id)
        self.break_ins.sent()
        return True

    # -- what the wire brings ------------------------------------------------------------------------------------

    def on_wire(self) -> None:
        reply = self.stub.take_stop()
        if reply is not None:
            self.take_stop(reply)

    def take_stop(self, reply: StopReply) -> None:
        """The target has stopped, and said so."""
        self.reconnection.noticed(reply)
        self.break_ins.stands()
        self.world.threads.new_stop()
        self.runner.arrived(reply)
        self.reconnection.dealt_with()
        self.unattended.leave()

    def patience(self) -> float | None:
        return self.stub.patience()

    def on_overdue(self) -> None:
        if self.stub.overdue(lambda: is_where_it_was(self)):
            self.on_wire()  # what was asked for may be here
        else:
            found_elsewhere(self)

    def on_leaving(self) -> None:
        """The runner is about to set the target going."""
        self.left = self.target.thread, self.target.own_pc
        self.watches.remember(self.target)
        self.break_ins.goes()
        self.state = State.RUNNING
        self.standing.over()

    def on_stepped(self) -> bool:
        """Whether the instruction that was stepped touched what is watched; then that is shown."""
        watched = self.watches.explain(self.target, self.stub.arch, trapped=False)
        if watched is not None:
            self.on_visible(StopReason.WATCHPOINT, SIGTRAP, watched=watched)
        return watched is not None

    def on_unexplained(self, signal: int) -> None:
        explain(self, signal)

    def on_breakpoint(self, pc: int) -> bool:
        return self.wishes.stop_at(pc)

    def on_hook(self, hook: Hook) -> bool:
        return self.news.at_hook(hook)

    def on_visible(self, reason: StopReason, signal: int, *, watched: Watched | None = None, module: str = "") -> None:
        wanted = self.break_ins.wanted
        if wanted and reason is StopReason.STEP:
            # gdb steps on through its line, or to the next of many, but ends the command for a signal that it stops
            # for (infrun.c handle_signal_stop). The break-in that is under way will find nobody who wants it.
            reason, signal = StopReason.INTERRUPT, SIGINT
        self.unattended.stopped(reason, wanted=wanted)
        self.break_ins.shown(reason, in_command=self.planner.in_command)
        self.world.modules.refresh_files(self.target)
        self.state = State.STOPPED
        self.stops += 1
        self.stop = self.make_stop(reason, signal, watched=watched, module=module)
        self.clients.shown(self.stops)
        self.standing.for_all(self.stop)

    def make_stop(self, reason: StopReason, signal: int, *, watched: Watched | None = None, module: str = "") -> Stop:
        """Where the target stands, under the number of the last stop that all were shown."""
        pc = self.target.pc
        return Stop(self.stops, reason, signal, public_id(self.target.thread or 0), pc, watched, module)
