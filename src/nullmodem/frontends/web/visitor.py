# SPDX-License-Identifier: Apache-2.0
"""One page, from its socket's opening to its end: a client of the session with breakpoints of its own.

One thread of its own looks and has the target run, one after the other; others do what must not wait for that: pause
it, type on its console, load modules.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import drgn

from nullmodem.errors import NullmodemError, StateError, UsageError
from nullmodem.frontends.python.debugger import Debugger
from nullmodem.frontends.python.target import Target
from nullmodem.frontends.web import requests
from nullmodem.frontends.web.looking import Looking
from nullmodem.frontends.web.own_breakpoints import OwnBreakpoints
from nullmodem.frontends.web.protocol import Changed, StateView, Taken, encode_answer, encode_error
from nullmodem.frontends.web.sources import Sources
from nullmodem.frontends.web.views import stop_view
from nullmodem.session.model import Lost, ModulesChanged, Resumed, State, Stopped
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.frontends.python.stop import Stop
    from nullmodem.frontends.web.hub import Hub
    from nullmodem.frontends.web.outbox import Outbox
    from nullmodem.frontends.web.protocol import Answer, BreakpointView, Push
    from nullmodem.frontends.web.requests import Request
    from nullmodem.session.model import Event

NAME: Final = "web"
LONGEST_STEP: Final = 24 * 3600.0
"""Seconds. A step over what waits is ended by a pause."""
SHOWN_SECONDS: Final = 30.0
MOST_TYPED: Final = 4096
_log = logging.getLogger(__name__)


class Visitor:
    """What one page wants done, and what it is told. `ask` may be called from any thread and does not wait."""

    def __init__(self, hub: Hub, outbox: Outbox, number: int) -> None:
        """``number`` tells this page from others. Raises NullmodemError when the session has ended."""
        self._hub = hub
        self._outbox = outbox
        self._machine = hub.machine
        self._live = hub.machine.live
        self._stepping = False
        self._asking = threading.Lock()
        self._asked = False
        self._told: dict[type[Push], Push] = {}
        self._shown: tuple[BreakpointView, ...] = ()
        self._follower = threading.Thread(target=self._follow, name="nullmodem-web-page", daemon=True)
        with contextlib.ExitStack() as made:  # of one that is not finished, nothing may stay: least of all its client
            self._events = self._live.subscribe()
            made.callback(self._events.close)
            self._reader, self._writer = os.pipe()
            made.callback(os.close, self._reader)
            self._in_turn = _pool(made, 1, "look")
            self._at_once = _pool(made, 4, "do")
            self._pausing = _pool(made, 1, "pause")  # which others that wait must not keep from its turn
            self._typing = _pool(made, 1, "type")  # what is typed keeps its order
            made.callback(self._end_follower)
            shared = made.enter_context(contextlib.ExitStack())  # until the client has gone, what it wants is a page's
            self._debugger = Debugger(hub.machine, NAME, watching=True)
            made.callback(self._debugger.close)  # before the rest, which may have to wait for what is under way
            self._controller = self._debugger.controller
            self._target = Target(hub.machine, debugger=self._debugger)
            self._breakpoints = OwnBreakpoints(self._target, hub, number)
            shared.callback(hub.share(self._controller.client, self._breakpoints))
            self._looking = Looking(self._target, Sources(self._debugger), hub.seen, number)
            self._follower.start()
            made.callback(hub.leave, outbox)
            hub.join(outbox, self._tell_soon)
            self._tell_soon()
            self._closing = made.pop_all()

    def close(self) -> None:
        """The page has gone: its breakpoints are lifted, the target is given up, and runs if nobody else looks."""
        self._closing.close()

    def _end_follower(self) -> None:
        os.close(self._writer)
        if self._follower.is_alive():
            self._follower.join()

    def fileno(self) -> int:
        """Readable when the page has gone."""
        return self._reader

    def snapshot(self) -> None:
        """Tell the page everything anew."""
        self._hub.snapshot(self._outbox)  # first: what is told before it, the page forgets
        self._told.clear()
        self._tell_soon()

    # -- what it asks --------------------------------------------------------------------------------------------

    def ask(self, id_: int, request: Request) -> None:
        """Have a request dealt with; its answer is put into the outbox."""
        do = self._doing(request)
        pool = self._at_once if isinstance(request, _AT_ONCE) else self._in_turn
        if isinstance(request, requests.Type):
            pool = self._typing
        elif isinstance(request, requests.Pause):
            pool = self._pausing
        if self._stepping and pool is self._in_turn:
            hint = "Pause it first."
            self._outbox.answer(encode_error(id_, "a step is under way, and the target runs", hint))
        elif not self._submit(pool, lambda: self._answer(id_, do)):
            self._outbox.answer(encode_error(id_, "the web view is being closed", ""))

    def _submit(self, pool: ThreadPoolExecutor, do: Callable[[], None]) -> bool:
        try:
            pool.submit(do)
        except RuntimeError:  # it is shut down
            return False
        return True

    def _answer(self, id_: int, do: Callable[[], Answer]) -> None:
        before = self._live.cost
        try:
            text = encode_answer(id_, do())
        except NullmodemError as error:
            text = encode_error(id_, error.message, error.hint)
        except drgn.FaultError as error:
            text = encode_error(id_, f"the target's memory cannot be read: {error}", "")
        except Exception as error:  # a mistake of ours: the page waits for an answer
            _log.exception("a page's request failed")
            text = encode_error(id_, f"nullmodem failed inside: {type(error).__name__}: {error}", "This is a bug.")
        self._outbox.answer(text)
        if self._live.cost != before:
            with contextlib.suppress(NullmodemError):
                self._hub.tell_wire()

    def _doing(self, request: Request) -> Callable[[], Answer]:  # noqa: C901, PLR0911, PLR0912  # a line for each
        looking = self._looking
        match request:
            case requests.Threads(tasks):
                return lambda: looking.threads(tasks=tasks)
            case requests.Stack(thread):
                return lambda: looking.stack(thread)
            case requests.Locals(thread, level):
                return lambda: looking.locals(thread, level)
            case requests.Children(ref):
                return lambda: looking.children(ref)
            case requests.Registers(thread, level):
                return lambda: looking.registers(thread, level)
            case requests.GetSource(file):
                return lambda: looking.source(file)
            case requests.Disassembly(thread, level):
                return lambda: looking.disassembly(thread, level)
            case requests.Files():
                return looking.files
            case requests.BreakAt():
                return lambda: self._changing(lambda: self._breakpoints.add(request))
            case requests.Remove(number):
                return lambda: self._changing(lambda: self._breakpoints.remove(number))
            case requests.Continue():
                return self._continue
            case requests.Next():
                return lambda: self._step("next", lambda stop: stop.next(timeout=LONGEST_STEP))
            case requests.Step():
                return lambda: self._step("step", lambda stop: stop.step(timeout=LONGEST_STEP))
            case requests.Finish():
                return lambda: self._step("finish", lambda stop: stop.finish(timeout=LONGEST_STEP))
            case requests.Pause():
                return lambda: self._live.interrupt(self._controller.client)
            case requests.Take():
                return self._take
            case requests.Type(text):
                return lambda: self._type(text)
            case requests.Load(name):
                return lambda: self._changed(name, load=True)
            case requests.Unload(name):
                return lambda: self._changed(name, load=False)
            case requests.Recorded(stop):
                return lambda: self._hub.seen.of(stop)

    def _changing(self, do: Callable[[], Answer]) -> Answer:
        answer = do()
        self._tell_breakpoints()
        return answer

    def _continue(self) -> None:
        self._present()
        self._live.hold(self._controller.client, "continue")
        self._debugger.go_on()

    def _step(self, command: str, go: Callable[[Stop], object]) -> None:
        stop = self._present()
        self._live.hold(self._controller.client, command)
        self._stepping = True
        try:
            self._hub.goes(command, NAME)
            self._tell(StateView(State.RUNNING.value, None, NAME, NAME, mine=True))
            go(stop)
        finally:
            self._stepping = False
            arrival = self._controller.arrival
            with contextlib.suppress(NullmodemError):
                where = self._live.describe(arrival.stop.pc) if arrival is not None else ""
                self._hub.arrived(arrival.stop if arrival is not None else None, where)
                self._tell_all()

    def _present(self) -> Stop:
        stop = self._target.stop
        if stop is None or not stop.is_current:
            raise StateError("the target runs", state=State.RUNNING.value, hint="Pause it first.")
        return stop

    def _take(self) -> Taken:
        before = self._live.take(self._controller.client)
        self._tell_soon()
        return Taken(before)

    def _type(self, text: str) -> None:
        if self._hub.console is None:
            raise UsageError("nullmodem has no console of this target", hint="Attach with --console.")
        if len(text) > MOST_TYPED:
            raise UsageError(f"at most {MOST_TYPED} characters can be typed at once")
        self._hub.console.write(text.encode("utf-8", "replace"))

    def _changed(self, name: str, *, load: bool) -> Changed:
        command = self._machine.load(name) if load else self._machine.unload(name)
        try:
            outcome = command.wait(until=self)
        finally:
            command.leave(self._live.say)
            with contextlib.suppress(NullmodemError):
                self._hub.tell_modules()
        return Changed(stopped=outcome.stop is not None)

    # -- what it is told -----------------------------------------------------------------------------------------

    def _follow(self) -> None:
        while self._reader not in wait_readable([self._reader, self._events.fileno()]):
            while (event := self._events.get()) is not None:
                try:
                    self._take_in(event)
                except NullmodemError as error:
                    _log.info("following the session for a page: %s", error)

    def _take_in(self, event: Event) -> None:
        if self._stepping or not isinstance(event, Stopped | Resumed | ModulesChanged | Lost):
            return
        if isinstance(event, Stopped):
            with contextlib.suppress(NullmodemError):  # it is lost, and that is told
                self._controller.shown(event.stop, SHOWN_SECONDS)
        self._tell_soon()

    def _tell_soon(self) -> None:
        """Once is enough, however much has happened before it is this one's turn."""
        with self._asking:
            asked, self._asked = self._asked, True
        if not asked:
            self._submit(self._in_turn, self._tell_asked)

    def _tell_asked(self) -> None:
        with self._asking:
            self._asked = False
        self._tell_all()

    def _tell_all(self) -> None:
        """The state and the breakpoints, as far as they are not those that were told last."""
        if self._stepping:
            return
        try:
            self._tell(self._state())
            self._tell_breakpoints()
        except NullmodemError as error:
            _log.info("telling a page: %s", error)
        except Exception:  # a mistake of ours: the page's next request is answered all the same
            _log.exception("a page could not be told where the target stands")

    def _tell_breakpoints(self) -> None:
        """Other pages show them, too: what one has hit is known when it has looked at its condition."""
        view = self._breakpoints.view()
        self._tell(view)
        mine = tuple(each for each in view.breakpoints if each.mine)
        before, self._shown = self._shown, mine
        if mine != before:
            self._hub.breakpoints_changed(self._outbox)

    def _state(self) -> StateView:
        holder = next((each for each in self._live.clients() if each.holds_lease), None)
        name, mine = (holder.name, holder.id == self._controller.client) if holder is not None else ("", False)
        arrival = self._controller.arrival
        if self._live.state in (State.LOST, State.DISCONNECTED):
            return StateView(State.LOST.value, None, self._hub.by, name, mine)
        if arrival is None or not self._live.is_stopped:
            return StateView(State.RUNNING.value, None, self._hub.by, name, mine)
        stop = self._target.stop
        view = stop_view(self._debugger, arrival, stop.reason.value if stop is not None else "")
        self._hub.seen.stopped(view)
        return StateView(State.STOPPED.value, view, self._hub.by, name, mine)

    def _tell(self, push: Push) -> None:
        if self._told.get(type(push)) != push:
            self._told[type(push)] = push
            self._outbox.push(push)


def _pool(made: contextlib.ExitStack, threads: int, what: str) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(threads, f"nullmodem-web-{what}")
    made.callback(pool.shutdown, cancel_futures=True)
    return pool


_AT_ONCE: Final = (
    requests.Take, requests.Load, requests.Unload, requests.Recorded,
)  # fmt: skip
