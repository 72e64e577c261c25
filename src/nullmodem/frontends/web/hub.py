# SPDX-License-Identifier: Apache-2.0
"""What all pages of one session are told alike: the timeline, the console, modules, the wire, others' breakpoints.

One thread follows the session's events. A step of a page is several runs of the target; what lies between its
beginning and its end is nobody's concern, and is left out.
"""

from __future__ import annotations

import codecs
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Final, TypeAlias

from nullmodem.errors import NullmodemError
from nullmodem.frontends.web.protocol import ConsoleText, Hello, Timeline
from nullmodem.frontends.web.timeline import Seen
from nullmodem.frontends.web.timeline import Timeline as Record
from nullmodem.frontends.web.views import modules_view, session_view, wire_view
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.events import Subscription
from nullmodem.session.model import Lost, ModuleLife, ModulesChanged, Resumed, Said, State, Stopped, StopReason
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nullmodem.api.machine import Machine
    from nullmodem.frontends.web.outbox import Outbox
    from nullmodem.frontends.web.own_breakpoints import OwnBreakpoints
    from nullmodem.frontends.web.protocol import Entry, Modules, Push, Wire
    from nullmodem.session.breakpoints import Breakpoint
    from nullmodem.session.model import Event, Module, Stop
    from nullmodem.session.session import Session
    from nullmodem.targets.console import Console

Wishes: TypeAlias = "tuple[tuple[str, Breakpoint], ...]"
_EXECUTION: Final = (BreakpointKind.SOFTWARE, BreakpointKind.HARDWARE)
SHOWN_CONSOLE: Final = 1 << 16
"""Characters of the console's last text that a new page gets."""
_log = logging.getLogger(__name__)


class Hub:
    """Follows one machine's session until closed. Methods may be called from any thread.

    Attributes:
        machine: as every front end has it.
        console: the target's, None without one.
        seen: what pages were shown at each stop.
        by: the name of the client that has had the target run last.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.console: Console | None = getattr(machine.target, "console", None)
        self.seen = Seen()
        self.by = ""
        self._timeline = Record(time.time)
        self._session = session_view(machine)
        self._outboxes: dict[Outbox, Callable[[], None]] = {}
        self._lock = threading.RLock()
        self._printing = threading.Lock()  # nothing that waits for the session is done with it
        self._steps = 0  # of pages, under way
        self._through = 0  # stops up to this number have been told of
        self._modules: dict[int, Module] = {module.loaded.address: module for module in machine.live.modules()}
        self._told_modules: Modules | None = None
        self._armed = machine.live.look_into(_Armed)
        self._pages: dict[str, OwnBreakpoints] = {}
        self._command = ""
        self._before = machine.live.status()  # when the target was last set going
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._events = machine.live.subscribe()
        self._reader, self._writer = os.pipe()
        self._deafen: Callable[[], None] = lambda: None
        if self.console is not None:
            self._deafen = self.console.subscribe(self._printed)
        self._thread = threading.Thread(target=self._run, name="nullmodem-web-events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Follow no more. Call once."""
        self._deafen()
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)
        self._events.close()
        self._armed.close()

    # -- pages ---------------------------------------------------------------------------------------------------

    def join(self, outbox: Outbox, runs: Callable[[], None]) -> None:
        """Have a page told of everything from now on, beginning with a snapshot. ``runs`` is called whenever the target
        was set going and it is known by whom, and what others have breakpoints on."""
        with self._lock:
            self._outboxes = {**self._outboxes, outbox: runs}
            self.snapshot(outbox)

    def snapshot(self, outbox: Outbox) -> None:
        """Tell a page everything anew."""
        with self._lock:
            with self._printing:  # what is printed from here on comes behind it
                console = self.console.text() if self.console is not None else ""
                outbox.push(Hello(self._session, self._timeline.entries, console[-SHOWN_CONSOLE:]))
            outbox.push(modules_view(self.machine))
            outbox.push(self._wire())

    def leave(self, outbox: Outbox) -> None:
        """A page has gone."""
        with self._lock:
            self._outboxes = {other: runs for other, runs in self._outboxes.items() if other is not outbox}

    def share(self, client: str, breakpoints: OwnBreakpoints) -> Callable[[], None]:
        """Have other pages shown a page's breakpoints, with all that one knows of them. Returns what ends it."""
        with self._lock:
            self._pages[client] = breakpoints

        def end() -> None:
            with self._lock:
                del self._pages[client]
            self.breakpoints_changed()

        return end

    def breakpoints_changed(self, but: Outbox | None = None) -> None:
        """Those of a client are others, or were hit: tell the pages, ``but`` for the one that knows."""
        with self._lock:
            told = [tell for outbox, tell in self._outboxes.items() if outbox is not but]
        for tell in told:
            tell()

    def pages(self) -> tuple[OwnBreakpoints, ...]:
        """The breakpoints of each page."""
        with self._lock:
            return tuple(self._pages.values())

    def others(self, client: str) -> Wishes:
        """What other clients that are no pages have the target stopped at, by their names.

        gdb takes all of its out at every stop and puts them back before the target runs: while it stands, a client that
        has none is taken to want what it wanted when the target last ran.
        """
        live = self.machine.live
        with self._lock:
            pages = set(self._pages)
        attached = {each.id: each.name for each in live.clients() if each.id != client and each.id not in pages}
        wanted = live.look_into(lambda _session: self._armed.present())
        return tuple((attached[owner], wish) for owner, wish in wanted if owner in attached)

    def add(self, kind: str, text: str, stop: int | None = None) -> None:
        """Something for the timeline."""
        with self._lock:
            self._tell(Timeline(entry) for entry in [self._timeline.add(kind, text, stop)])

    def tell_modules(self) -> None:
        """A module has been loaded or unloaded."""
        with self._lock:
            self._tell_modules()

    def tell_wire(self) -> None:
        """A page has looked at something, which may have used the wire."""
        with self._lock:
            self._tell([self._wire()])

    # -- what pages have done ------------------------------------------------------------------------------------

    def goes(self, command: str, client: str) -> None:
        """A page lets the target run; until `arrived` for a step, else its end is told as any other stop."""
        with self._lock:
            self._steps += 1
            self._runs(client, command)

    def arrived(self, stop: Stop | None, where: str) -> None:
        """What a page let the target run for is over: at a stop, or not (yet)."""
        with self._lock:
            self._steps -= 1
            if stop is not None and stop.number > self._through:
                self._stops(stop, where)

    # -- the session's events ------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._reader not in wait_readable([self._reader, self._events.fileno()]):
            while (event := self._events.get()) is not None:
                try:
                    with self._lock:
                        self._take(event)
                except NullmodemError as error:
                    _log.warning("following the session: %s", error)
                except Exception:  # a mistake of ours: the next event is dealt with all the same
                    _log.exception("following the session failed")

    def _take(self, event: Event) -> None:
        live = self.machine.live
        match event:
            case Stopped(stop):
                if not self._steps and stop.number > self._through:
                    self._stops(stop, live.describe(stop.pc) if live.is_stopped else hex(stop.pc))
            case Resumed():
                stands = live.is_stopped and live.stop is not None and live.stop.number <= self._through
                if not self._steps and not stands:
                    self._runs(live.holder(), "")
            case ModulesChanged() | ModuleLife():
                self._tell_modules()
            case Said(text):
                self.add("said", text)
            case Lost(reason):
                self.add("said", f"the target is lost: {reason}")
            case _:
                pass

    def _stops(self, stop: Stop, where: str) -> None:
        self._through = stop.number
        self.add("stop", f"{stop.reason.value} at {where}", stop.number)
        self._tell_modules()
        self._tell([self._wire()])

    def _runs(self, client: str, command: str) -> None:
        """The target goes on: what it had cost until here is told, and what was known of breakpoints holds."""
        live = self.machine.live
        before, self._before = self._before, live.status()
        cost = self._before.wire.total - before.wire.total
        if cost.round_trips:
            done = f"{self._command}: " if self._command else ""
            text = f"{done}{cost.round_trips} round trips, {cost.bytes_out} bytes out, {cost.bytes_in} in"
            self.add("wire", text, self._through or None)
        self.by = client
        self._command = command or "continue"
        self.add("resume", f"{self._command} by {client}" if client else self._command)
        self._tell_modules()
        self._tell([self._wire()])
        self.breakpoints_changed()

    def _tell_modules(self) -> None:
        """Modules that have come and gone since the last look."""
        now = {module.loaded.address: module for module in self.machine.live.modules()}
        before, self._modules = self._modules, now
        for address, module in before.items():
            if address not in now or now[address].instance != module.instance:
                self.add("unload", module.name)
        for address, module in now.items():
            if address not in before or before[address].instance != module.instance:
                self.add("load", module.name)
        view = modules_view(self.machine)
        if view != self._told_modules:
            self._told_modules = view
            self._tell([view])

    def _wire(self) -> Wire:
        return wire_view(self.machine.live.status(), self._before, self._command)

    def _printed(self, data: bytes) -> None:
        """In the console's thread, which must not wait for the session."""
        with self._printing:
            text = self._decoder.decode(data)
            entries = self._timeline.printed(text)
            if text:
                self._tell([ConsoleText(text), *map(_pushed, entries)])

    def _tell(self, pushes: Iterable[Push]) -> None:
        told = list(pushes)
        for outbox in self._outboxes:
            for push in told:
                outbox.push(push)


def _pushed(entry: Entry) -> Timeline:
    return Timeline(entry)


class _Armed(Subscription):
    """What the target is to stop at, noted in the session's thread whenever it is set going: later, gdb may have taken
    that out again."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.bus, capacity=1)
        self._session = session
        self._before = self._earlier = _wishes(session)
        self._pc = session.stop.pc if session.stop is not None else None
        session.bus.add(self)

    def put(self, event: Event) -> None:
        match event:
            case Resumed():
                self._earlier, self._before = self._before, _wishes(self._session)
            case Stopped(stop):
                if stop.reason is StopReason.STEP:
                    # gdb leaves out the breakpoint at which it stands while it steps off it (infrun.c proceed).
                    left = [each for each in self._earlier if each[1].address == self._pc]
                    self._before = (*self._before, *(each for each in left if each not in self._before))
                self._pc = stop.pc
            case _:
                pass

    def present(self) -> Wishes:
        """What clients want now; of one that wants nothing while the target stands, what it wanted before."""
        now = _wishes(self._session)
        have = {owner for owner, _wish in now}
        kept = tuple(each for each in self._before if each[0] not in have)
        return (*now, *kept) if self._session.state is State.STOPPED else now


def _wishes(session: Session) -> Wishes:
    """In code, and data that is watched: that as it was asked for, and not as it is laid out in debug registers."""
    return (*(each for each in session.table.wishes if each[1].kind in _EXECUTION), *session.watches.wishes)
