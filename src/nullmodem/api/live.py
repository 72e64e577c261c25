# SPDX-License-Identifier: Apache-2.0
"""A session in this process, for any thread: what every front end may do with a target."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

from nullmodem.api.awaiting import next_stop, until_running
from nullmodem.api.leaving import let_go
from nullmodem.api.reconnecting import Reconnecting
from nullmodem.api.status import Status, status_of
from nullmodem.api.taking import TakeOver
from nullmodem.errors import NullmodemError, UsageError, WireTimeout
from nullmodem.session.engine import Engine
from nullmodem.session.model import Client, Module, Resume, Said, State, Stop, Thread
from nullmodem.session.reboot import break_in_failed
from nullmodem.wire.reopening import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nullmodem.api.taking import BreakIn
    from nullmodem.session.breakpoints import Breakpoint
    from nullmodem.session.conditions import Terms
    from nullmodem.session.events import EventBus, Subscription
    from nullmodem.session.model import Resumption
    from nullmodem.session.session import Session
    from nullmodem.stub.arch import Arch, Registers
    from nullmodem.wire.meter import WireCost
    from nullmodem.wire.streams import ByteStream

T = TypeVar("T")


class LiveSession:
    """One session and the thread that runs it.

    Every method may be called from any thread and waits for the engine. Those that need the target stopped raise
    StateError while it runs; those that change it raise LeaseError when another client holds it.
    """

    def __init__(self, session: Session, break_in: BreakIn) -> None:
        self._session = session
        self._break_in = break_in
        self._engine = Engine(session)
        self._breaking = threading.Lock()
        self._doing = threading.local()
        self._taking = TakeOver(self._engine, session, break_in)
        self._reconnecting: Reconnecting | None = None

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self, timeout: float, *, in_passing: bool = False) -> Stop:
        """Break into the target and take it over; it is stopped when this returns.

        It is asked again as long as there is time: what was sent to a target that runs may be lost. ``in_passing``: it
        is let go at once, and nobody looks at this stop.

        Raises:
            WireTimeout: it did not stop within ``timeout`` seconds.
            TargetError, UsageError: it could not be broken into, and does not answer.
            IdentityError, KernelDataError: it is not what the session was told; it runs on, unarmed.
        """
        self._engine.start()
        try:
            self._taking.run(timeout, in_passing=in_passing)
        except NullmodemError:
            self._engine.stop()
            raise
        stop = self.stop
        assert stop is not None
        return stop

    def survives(self, reopen: Callable[[bool], ByteStream], seconds: float = SECONDS) -> None:
        """From here on have the session outlive its line by so many seconds: see `Reconnecting`."""
        self._reconnecting = Reconnecting(self._engine, self._session, self._break_in, reopen, self._breaking, seconds)

    def close(self, *, release: bool) -> None:
        """End the session. ``release``: lift every breakpoint and let the target run first, breaking in if need be.

        Safe to call twice.
        """
        if self._engine.ended:
            return
        if self._reconnecting is not None:
            self._reconnecting.close()
        try:
            if release and self.state not in (State.LOST, State.DISCONNECTED):
                let_go(self, self._session, self._call)
        finally:
            self._engine.stop()
            self._session.stub.log.close()

    def subscribe(self, *, tells_of_stops: bool = False) -> Subscription:
        """Hear of every event from now on. ``tells_of_stops``: and tell somebody who is not attached of a stop; until
        that is no longer so, or the subscription is closed, no stop is unattended.
        """
        return self.events.subscribe(tells_of_stops=tells_of_stops)

    def somebody_knows(self) -> None:
        """Somebody who is not attached was told of the present stop: it is not unattended."""
        self._call(self._session.unattended.somebody_knows)

    def leave_unattended(self) -> None:
        """Who would have told of stops does so no longer: one that nobody sees is treated as the policy says."""
        self._call(self._session.unattended.leave)

    @property
    def events(self) -> EventBus:
        return self._session.bus

    @contextlib.contextmanager
    def caused_by(self, cause: str) -> Iterator[None]:
        """What this thread does meanwhile is done for ``cause``, in the wire's log."""
        self._doing.cause = cause
        yield
        self._doing.cause = ""

    def _call(self, function: Callable[[], T]) -> T:
        cause: str = getattr(self._doing, "cause", "")
        return self._engine.call(lambda: self._session.stub.log.caused(cause, function))

    # -- what is known -------------------------------------------------------------------------------------------

    @property
    def arch(self) -> Arch:
        return self._session.stub.arch

    @property
    def vmlinux(self) -> str:
        return str(self._session.files.for_gdb)

    @property
    def state(self) -> State:
        return self._session.state

    @property
    def is_stopped(self) -> bool:
        """Whether the target stands still for its clients to look at."""
        return self._session.still

    @property
    def is_running(self) -> bool:
        """Whether the target runs for all to see; false, too, when it is lost."""
        return self.state is State.RUNNING and not self.is_stopped

    @property
    def stop(self) -> Stop | None:
        """The present stop, or the last one."""
        return self._session.stop

    @property
    def text_address(self) -> int:
        """Run-time address of ``_text``."""
        address = self._session.world.kernel.address("_text")
        assert address is not None
        return address

    @property
    def slide(self) -> int:
        return self._session.world.kernel.slide

    @property
    def cost(self) -> WireCost:
        """What the wire was used for since the session began."""
        return self._session.stub.meter.cost

    def status(self) -> Status:
        return self._call(lambda: status_of(self._session))

    def look_into(self, function: Callable[[Session], T]) -> T:
        """Have ``function`` look at the session, in the thread that owns it."""
        return self._call(lambda: function(self._session))

    def search(self, *places: Path) -> None:
        """Look for modules' files here too, before everywhere else: .ko files or directories of them."""
        self._call(lambda: self._search(places))

    def _search(self, places: tuple[Path, ...]) -> None:
        modules = self._session.world.modules
        modules.search(*places)
        if self._session.still:
            modules.refresh_files(self._session.target)

    # -- clients -------------------------------------------------------------------------------------------------

    def attach(self, name: str, *, follows_modules: bool = False, lists_threads: bool = False) -> str:
        """Become a client; the id is needed to set breakpoints and to resume. See `Attached` for what it may be."""
        return self._call(
            lambda: self._session.attach(name, follows_modules=follows_modules, lists_threads=lists_threads).id
        )

    def detach(self, client: str, *, vanished: bool = False) -> None:
        """Go. The last client to go lets the target run, unless it vanished and the policy is to hold."""
        self._call(lambda: self._session.detach(client, vanished=vanished))

    def acknowledge(self, client: str, stop: int) -> None:
        """The client has been shown this stop, and with it the present list of modules."""
        self._call(lambda: self._session.acknowledge(client, stop))

    def look(self, client: str, stop: int) -> None:
        """The client waits for the next stop no longer, but looks at this one: the target stays for it."""
        self._call(lambda: self._session.clients.look(client, stop))

    def hold(self, client: str, doing: str) -> None:
        """Take the right to run the target if nobody has it. Raises StateError; LeaseError, naming who holds it."""
        self._call(lambda: self._held(client, doing))

    def wait_on(self, client: str) -> None:
        """The client could not look at a stop, because the target runs again: it waits for the next one."""
        self._call(lambda: self._session.wait_on(client))

    def take(self, client: str) -> str:
        """Take the right to run the target; returns the name of who had it, or an empty string."""
        before = self._call(lambda: self._session.clients.take(client))
        return before.name if before else ""

    def holder(self) -> str:
        """The name of the client that holds the target, or an empty string."""
        holder = self._session.clients.holder
        return holder.name if holder else ""

    def clients(self) -> tuple[Client, ...]:
        """Who is attached."""
        return self._session.clients.all

    def say(self, text: str) -> None:
        """Tell everybody who listens: a debugger shows it when it next can."""
        self.events.publish(Said(text))

    # -- running -------------------------------------------------------------------------------------------------

    def resume(self, client: str, request: Resume) -> Resumption:
        """See `Session.resume`."""
        return self._call(lambda: self._session.resume(client, request))

    def go(self) -> None:
        """Let the target run, whoever holds it."""
        self._call(self._session.continue_target)

    def interrupt(self, client: str = "") -> None:
        """Have the target stop; returns when it was asked to, not when it has. Does nothing to one that is stopped.

        What a ``client`` wanted is forgotten when it goes. Raises WireClosed when the target has rebooted meanwhile.
        """
        with self._breaking:
            if self._call(lambda: self._session.request_interrupt(client)):
                try:
                    self._break_in()
                except NullmodemError as error:
                    missed = error
                    if not self._call(lambda: break_in_failed(self._session, client, missed)):
                        raise

    def stopped_within(self, seconds: float) -> bool:
        """Whether the target stops for all to see, or is met for the first time, within that time."""
        if self._taking.under_way:
            return self._taking.met_within(seconds)
        if self._reconnecting is not None and self._reconnecting.under_way:
            return self._reconnecting.stopped_within(seconds)
        try:
            self.wait_for_stop(seconds)
        except WireTimeout:
            return False
        return True

    def wait_for_stop(self, timeout: float, *, after: int = 0) -> Stop:
        """The present stop if its number is above ``after``, else the next one.

        Raises:
            WireTimeout: none within ``timeout`` seconds.
            StateError: the target is lost.
        """
        subscription = self.subscribe(tells_of_stops=True)
        try:
            stop = self._standing(after)
            if stop is None:
                try:
                    stop = next_stop(self, subscription, timeout)
                except WireTimeout:
                    stop = self._standing(after)  # one that has come in time is being looked at
                    if stop is None:
                        raise
            self.somebody_knows()
            return stop
        finally:
            subscription.close()

    def _standing(self, after: int) -> Stop | None:
        """The present stop, if the target stands and its number is above ``after``."""
        stop = self._call(lambda: self._session.stop if self._session.state is State.STOPPED else None)
        return stop if stop is not None and stop.number > after else None

    def wait_until_running(self, timeout: float) -> None:
        """Return once the target runs. Raises WireTimeout, StateError as `wait_for_stop` does."""
        subscription = self.subscribe()
        try:
            until_running(self, subscription, timeout)
        finally:
            subscription.close()

    def hold_next_load(self, name: str) -> None:
        """Stop visibly when this module's init is about to run."""
        self._call(lambda: self._session.news.hold_next_load(name))

    # -- looking and changing ------------------------------------------------------------------------------------

    def read_memory(self, address: int, length: int) -> bytes:
        """Raises MemoryFault; StateError while the target runs."""
        return self._call(lambda: self._stopped("read memory").target.read(address, length))

    def write_memory(self, client: str, address: int, data: bytes) -> None:
        """Raises MemoryFault; StateError; LeaseError."""
        self._call(lambda: self._held(client, "write memory").target.write(address, data))

    def registers(self, thread: int | None = None) -> Registers:
        """Of the thread that stopped, or of another one of `threads`."""
        return self._call(lambda: self._stopped("read registers").world.threads.registers(thread))

    def register(self, name: str, thread: int | None = None) -> int:
        """One register, read from the target by itself where that is cheaper."""
        return self._call(lambda: self._stopped("read registers").world.threads.register(name, thread))

    def shown_registers(self, *, frame: bool = True) -> dict[str, int]:
        """Registers of the thread that stopped that are known by now; always the program counter, and the stack pointer
        too if a ``frame`` is to be told from another."""
        return self._call(lambda: self._stopped("read registers").target.shown(frame=frame))

    def set_registers(self, client: str, values: dict[str, int]) -> None:
        """Change registers of the thread that stopped. Raises LocalProtocolError for those the stub cannot change."""
        self._call(lambda: self._held(client, "write registers").target.set_registers(values))

    def insert(self, client: str, breakpoint_: Breakpoint, terms: Terms | None = None) -> None:
        """Set a breakpoint, or set it anew with other ``terms``: when it counts, and what it prints.

        Raises BreakpointRefused with the reason; StateError while the target runs.
        """
        self._call(lambda: self._session.insert(client, breakpoint_, terms))

    def has_breakpoint(self, client: str, address: int) -> bool:
        """Whether this client, perhaps among others, wants the target stopped when it comes to ``address``."""
        return self._call(lambda: client in self._session.table.owners(address))

    def remove(self, client: str, breakpoint_: Breakpoint) -> None:
        """Removing what is not there is no error."""
        self._call(lambda: self._session.remove(client, breakpoint_))

    def threads(self, client: str = "", *, names: bool = True, every_task: bool = False) -> tuple[Thread, ...]:
        """The processors, the one that stopped first; with ``every_task`` the sleeping tasks too.

        A ``client`` that asks has come to the end of its command, as a debugger does that lists threads.
        """
        return self._call(lambda: self._threads(client, names=names, every_task=every_task))

    def _threads(self, client: str, *, names: bool, every_task: bool) -> tuple[Thread, ...]:
        session = self._stopped("list threads")
        session.looked_around(client)
        return session.world.threads.list(names=names, every_task=every_task)

    def thread_exists(self, thread: int) -> bool:
        return self._call(lambda: self._stopped("ask for a thread").world.threads.exists(thread))

    def modules(self) -> tuple[Module, ...]:
        """In the order they were loaded. Free: the session keeps the list true."""
        return self._call(lambda: self._session.world.modules.all)

    def module(self, name: str) -> Module:
        """Raises UsageError for one that is not loaded, with the names of those that are."""
        found = self._call(lambda: self._session.world.modules.named(name))
        if found is None:
            loaded = ", ".join(sorted(module.name for module in self.modules())) or "none"
            raise UsageError(f"no module {name!r} is loaded", hint=f"Loaded modules: {loaded}.")
        return found

    def reported_registers(self) -> Registers:
        """As the stub reported them: after a break-in those of the debugger's own entry, not the interrupted code's."""
        return self._call(lambda: self._stopped("read registers").target.reported)

    def run_kdb(self, command: str) -> str:
        """What the kernel's own kdb prints; see `KgdbStub.run_kdb`. Raises UsageError; StateError while it runs."""
        return self._call(lambda: self._stopped("run a kdb command").stub.run_kdb(command))

    def describe(self, address: int) -> str:
        """``function+0x12`` or ``module:function+0x12``."""
        return self._call(lambda: self._session.world.describe(address))

    def _stopped(self, doing: str) -> Session:
        self._session.require_stopped(doing)
        return self._session

    def _held(self, client: str, doing: str) -> Session:
        self._session.require_stopped(doing)
        self._session.clients.require(client, doing)
        return self._session
