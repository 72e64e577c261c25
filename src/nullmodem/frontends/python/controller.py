# SPDX-License-Identifier: Apache-2.0
"""A program as a client of the session: it has the target run, and is told of stops.

A thread of its own follows the session's events, because a module can be loaded at any time: its pending breakpoints
are armed then, before its init runs, whatever the program does. Everybody else waits on one condition.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.api.taking import BREAK_IN_PATIENCE
from nullmodem.errors import NullmodemError, StateError, TargetLost, WaitTimeout
from nullmodem.session.model import Answer, Lost, ModulesChanged, Resume, Resumed, State, Stopped, StopReason
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nullmodem.api.live import LiveSession
    from nullmodem.frontends.python.breakpoint import Breakpoint
    from nullmodem.session.model import Event, Stop
    from nullmodem.session.session import Session

STILL_SECONDS: Final = 30.0
"""For a target that runs to be stopped for a moment."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a stop is to the program: whether it is ``shown``, and the program's breakpoints it is at that hold.

    ``error`` is what the first condition that failed has raised.
    """

    shown: bool
    hits: tuple[Breakpoint, ...] = ()
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A stop the program is told of. ``number`` rises with each."""

    number: int
    stop: Stop
    verdict: Verdict

    @property
    def error(self) -> Exception | None:
        """What a condition raised."""
        return self.verdict.error


@dataclass(slots=True)
class _Errand:
    """Something to do as soon as the target stands still."""

    do: Callable[[], None]
    taken: bool = False
    done: bool = False
    error: BaseException | None = None


class Controller:
    """One client of a session, and the thread that listens for it.

    Args:
        judge: what a stop is to the program; it may look at the target.
        plant: arm what is pending, because modules have changed.
        name: whom others are told of.
        joining: it begins by looking at the stop that the target stands at, instead of having it go on.
    """

    def __init__(
        self,
        live: LiveSession,
        judge: Callable[[Stop], Verdict],
        plant: Callable[[], None],
        name: str = "python",
        *,
        joining: bool = False,
    ) -> None:
        self.live = live
        self._judge = judge
        self._plant = plant
        self._changed = threading.Condition()
        self._arrival: Arrival | None = None
        self._count = 0
        self._seen = self._settled = 0
        self._lost = ""
        self._trouble: NullmodemError | None = None
        self._request = Resume()
        self._stepping = self._abandoned = False
        self._errands: list[_Errand] = []
        self._sent: deque[float] = deque()
        self._thread = threading.Thread(target=self._run, name="nullmodem-python", daemon=True)
        with contextlib.ExitStack() as made:  # a client that stays for nobody would keep the target at a stop
            made.callback(self._lose, "the session was closed")
            self.client = live.attach(name, follows_modules=True)
            made.callback(self._leave)
            self._events = live.subscribe()
            made.callback(self._events.close)
            self._reader, self._writer = os.pipe()
            made.callback(os.close, self._reader)
            made.callback(self._end_thread)
            stop = live.look_into(self._look_at_present) if joining else None
            if stop is not None:
                self._count, self._seen, self._settled = 1, stop.number, stop.number
                self._arrival = Arrival(1, stop, Verdict(shown=True))
            self._thread.start()
            if stop is None:
                self._resume()
            self._closing = made.pop_all()

    def _look_at_present(self, session: Session) -> Stop | None:
        """Look at the stop that the target stands at; None while it runs."""
        if session.state is not State.STOPPED or session.stop is None:
            return None
        session.clients.look(self.client, session.stop.number)
        return session.stop

    def close(self) -> None:
        """Leave the session: its breakpoints are lifted, and the target runs if nobody else holds it."""
        self._closing.close()

    def _end_thread(self) -> None:
        os.close(self._writer)
        if self._thread.is_alive():
            self._thread.join()

    def _leave(self) -> None:
        with contextlib.suppress(NullmodemError):  # the session may have ended first
            self.live.detach(self.client)

    # -- what the program does -----------------------------------------------------------------------------------

    @property
    def arrival(self) -> Arrival | None:
        """Where the target stands, None while it runs."""
        return self._arrival

    @property
    def count(self) -> int:
        """The number of the last arrival."""
        return self._count

    def go(self, request: Resume, *, stepping: bool = False) -> None:
        """Have the target go on. ``stepping``: every stop on the way is told of, a breakpoint's condition or no.

        Raises StateError when it does not stand still, TargetLost.
        """
        with self._changed:
            self._require_target()
            if self._arrival is None:
                raise StateError("cannot continue: the target runs", state=State.RUNNING.value)
            before, self._arrival = self._arrival, None
            self._request, self._stepping, self._abandoned = request, stepping, False
        try:
            self._resume()
        except NullmodemError:
            with self._changed:
                stands = self._arrival is None and self.live.is_stopped
                if stands and self.live.stop is not None and self.live.stop.number == before.stop.number:
                    self._arrival = before
            raise

    def abandon_step(self) -> None:
        """Nobody waits any more for the step under way: when it ends, the target goes on."""
        with self._changed:
            self._stepping, self._abandoned, self._request = False, True, Resume()

    def await_arrival(self, after: int, timeout: float, what: str) -> Arrival:
        """The next arrival with a number above ``after``.

        Raises WaitTimeout after ``timeout`` seconds, with ``what`` was waited for; TargetLost; what `trouble` was told.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._lost or self._trouble or (self._count > after and self._arrival), timeout
            )
            self._require_target()
            trouble, self._trouble = self._trouble, None
            if trouble is not None and (self._arrival is None or self._count <= after):
                raise trouble
            if self._arrival is None or self._count <= after:
                hint = "The target runs. Is there anything on it that leads there?"
                raise WaitTimeout(f"{what}: nothing within {timeout:g} s", hint=hint)
            return self._arrival

    def shown(self, stop: Stop, timeout: float) -> Arrival | None:
        """The arrival that a stop of the session's turned out to be; None for one that was not shown to the program,
        because a condition does not hold or it was for a moment's work. Raises TargetLost."""
        with self._changed:
            self._changed.wait_for(lambda: self._lost or self._settled >= stop.number, timeout)
            self._require_target()
            arrival = self._arrival
        return arrival if arrival is not None and arrival.stop.number >= stop.number else None

    def trouble(self, error: NullmodemError | None) -> None:
        """What was to lead to a stop has failed: who waits for it need not wait any longer. None: it is over."""
        with self._changed:
            self._trouble = error
            self._changed.notify_all()

    def wake(self) -> None:
        """Have who waits for the target execute some Python, and wait on."""
        with self._changed:
            self._changed.notify_all()

    def interrupt(self, timeout: float) -> Arrival:
        """Stop the target, if it runs. Raises WaitTimeout, TargetLost."""
        deadline = time.monotonic() + timeout
        while (remaining := deadline - time.monotonic()) > 0:
            with self._changed:
                self._require_target()
                if self._arrival is not None:
                    return self._arrival
                self._sent.clear()
            self.live.interrupt(self.client)
            with self._changed:
                self._changed.wait_for(lambda: self._lost or self._arrival, min(BREAK_IN_PATIENCE, remaining))
        raise WaitTimeout(f"the target did not stop within {timeout:g} s")

    def while_still(self, do: Callable[[], None]) -> None:
        """Have something done while the target stands still; one that runs is stopped for a moment, unseen.

        Raises what ``do`` raises; WaitTimeout, TargetLost.
        """
        errand = _Errand(do)
        with self._changed:
            self._require_target()
            stands = self._arrival is not None
            if not stands:
                self._errands.append(errand)
        if stands:
            do()
            return
        deadline = time.monotonic() + STILL_SECONDS
        try:
            while not errand.done and (remaining := deadline - time.monotonic()) > 0:
                with self._changed:
                    sends = not errand.taken
                    if sends:
                        self._sent.append(time.monotonic())
                if sends:
                    self.live.interrupt(self.client)
                with self._changed:
                    self._changed.wait_for(lambda: self._lost or errand.done, min(BREAK_IN_PATIENCE, remaining))
                    self._require_target()
        finally:  # also when who waits was interrupted: what nobody wants any more is not done at a later stop
            with self._changed:
                if errand in self._errands:
                    self._errands.remove(errand)
        if errand.error is not None:
            raise errand.error
        if not errand.done:
            raise WaitTimeout(f"the target did not stop within {STILL_SECONDS:g} s, to set a breakpoint")

    def _require_target(self) -> None:
        if self._lost:
            raise TargetLost(f"the target is lost: {self._lost}")

    # -- what the session tells ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._reader not in wait_readable([self._reader, self._events.fileno()]):
            while (event := self._events.get()) is not None:
                try:
                    self._take(event)
                except NullmodemError as error:
                    _log.warning("following the session: %s", error)
                except Exception:  # a mistake of ours: the next event is dealt with all the same
                    _log.exception("following the session failed")

    def _take(self, event: Event) -> None:
        match event:
            case Stopped(stop):
                self._stopped(stop)
            case Resumed():
                self._resumed()
            case ModulesChanged():
                with self._errands_done():
                    self._replant()
                    self._resume()
            case Lost(reason):
                self._lose(reason)
            case _:
                pass

    def _replant(self) -> None:
        """Whatever is wrong with a breakpoint or a module's debug info, the target must not stand for ever."""
        try:
            self._plant()
        except Exception as error:  # a mistake of ours, too
            _log.exception("breakpoints could not be planted")
            self.live.say(f"breakpoints of a program could not be planted: {error}")

    def _lose(self, reason: str) -> None:
        with self._changed:
            self._lost = self._lost or reason
            self._arrival = None
            self._changed.notify_all()

    def _resumed(self) -> None:
        """The target runs. If another client has set it going, the program waits for the next stop as that one does."""
        with self._changed:
            anothers, self._arrival = self._arrival is not None, None
        if anothers:
            self._request, self._stepping = Resume(), False
            self._resume()

    def _stopped(self, stop: Stop) -> None:
        with self._changed:
            if stop.number <= self._seen:
                return
            self._seen = stop.number
        with self._errands_done() as asked:
            try:
                verdict = self._judge(stop)
            except Exception as error:  # the stop is shown whatever is wrong with judging it
                verdict = Verdict(shown=True, error=error)
            met = verdict.hits or verdict.error is not None
            if self._abandoned and stop.reason is StopReason.STEP and not met:
                verdict = Verdict(shown=False)
            if self._stepping or (verdict.shown and not (stop.reason is StopReason.INTERRUPT and self._is_ours(asked))):
                with self._changed:
                    self._count += 1
                    self._arrival = Arrival(self._count, stop, verdict)
                    self._changed.notify_all()
            else:
                self._resume()
        with self._changed:
            self._settled = max(self._settled, stop.number)
            self._changed.notify_all()

    def _is_ours(self, asked: bool) -> bool:
        """Whether a break-in was for an errand alone: one that was ``asked`` for now, or one that something else, or
        another break-in, was faster than."""
        with self._changed:
            while self._sent and self._sent[0] < time.monotonic() - STILL_SECONDS:
                self._sent.popleft()
            sent = bool(self._sent)
            if sent:
                self._sent.popleft()
        return asked or sent

    @contextlib.contextmanager
    def _errands_done(self) -> Iterator[bool]:
        """Do what waits for the target to stand still, and tell who asked for it when the target runs again, or is
        shown; whether there was anything to do."""
        with self._changed:
            errands, self._errands = self._errands, []
            for errand in errands:
                errand.taken = True
        for errand in errands:
            try:
                errand.do()
            except BaseException as error:
                errand.error = error
        try:
            yield bool(errands)
        finally:
            with self._changed:
                for errand in errands:
                    errand.done = True
                self._changed.notify_all()

    def _resume(self) -> None:
        while True:
            result = self.live.resume(self.client, self._request)
            if result.answer is Answer.WAIT:
                return
            if result.answer is Answer.MISSED_STOP and result.stop is not None:
                self._stopped(result.stop)
                return
            self._replant()
