# SPDX-License-Identifier: Apache-2.0
"""A command on the target that may not come back for a long while: a breakpoint can stop the machine under it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError, TargetLost
from nullmodem.session.model import Lost, Said, Stopped
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.live import LiveSession
    from nullmodem.session.model import Stop
    from nullmodem.targets.target import ExecResult
    from nullmodem.waiting import HasFileno


@dataclass(frozen=True, slots=True)
class Outcome:
    """How waiting for a command ended: with its result, or with the target stopped while it runs."""

    result: ExecResult | None = None
    stop: Stop | None = None


class RunningCommand:
    """A command under way. ``then`` is called with its result, in the command's thread, before anybody is told;
    ``cancel`` asks the target to end it.
    """

    def __init__(
        self,
        live: LiveSession,
        execute: Callable[[], ExecResult],
        then: Callable[[ExecResult], None] | None = None,
        cancel: Callable[[], None] | None = None,
    ) -> None:
        self._live = live
        self._events = live.subscribe(tells_of_stops=True)
        self._result: ExecResult | None = None
        self._error: NullmodemError | None = None
        self._reader, self._writer = os.pipe()
        self._then = then
        self._cancel = cancel
        self._lock = threading.Lock()
        self._ended = False
        self._closed = False
        self._tell: Callable[[str], None] | None = None
        self._fail: Callable[[NullmodemError], None] | None = None
        self._thread = threading.Thread(target=self._run, args=(execute,), name="nullmodem-command", daemon=True)
        self._thread.start()

    def _run(self, execute: Callable[[], ExecResult]) -> None:
        try:
            self._result = execute()
            if self._then is not None:
                self._then(self._result)
        except NullmodemError as error:
            self._error = error
        finally:
            with self._lock:
                self._ended = True
                tell, fail = self._tell, self._fail
            if fail is not None and self._error is not None:
                fail(self._error)
            self._hand_over()
            os.close(self._writer)  # the other end becomes readable
            if tell is not None and self._error is not None:
                tell(self._error.message)

    def wait(self, timeout: float | None = None, *, stops: bool = True, until: HasFileno | None = None) -> Outcome:
        """Wait for the end or, with ``stops``, for the target to stop, whichever comes first.

        An empty outcome after ``timeout`` seconds, or when ``until`` is readable. Raises what the command raised,
        TargetLost when the target is gone.
        """
        if self._closed:
            return Outcome(result=self.result())
        if stops:
            with self._lock:
                self._events.tells_of_stops = not self._ended
        else:
            self._hand_over()
        sources: list[int | HasFileno] = [self._reader, self._events.fileno(), *([until] if until is not None else [])]
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = wait_readable(sources, remaining)
            if self._reader in ready:
                self.close()
                return Outcome(result=self.result())
            if not ready or until in ready:
                return Outcome()
            match self._events.get():
                case Stopped(stop) if stops:
                    self._live.somebody_knows()
                    return Outcome(stop=stop)
                case Lost(reason):
                    msg = f"the target is lost: {reason}"
                    raise TargetLost(msg)
                case _:
                    pass

    def _hand_over(self) -> None:
        """Nobody will be told of stops by this any more, and of one that was not yet told not either."""
        self._events.tells_of_stops = False
        with contextlib.suppress(NullmodemError):  # the session may have ended first
            self._live.leave_unattended()

    def wake(self) -> None:
        """Have who waits for it execute some Python, and wait on. Safe from any thread, and after `close`."""
        self._events.put(Said(""))

    def result(self) -> ExecResult:
        """Wait for the end, however long. Raises what the command raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    @property
    def ended(self) -> bool:
        """Whether it has, well or not."""
        return self._ended

    def on_failure(self, fail: Callable[[NullmodemError], None]) -> None:
        """Have ``fail`` called with the error if the command fails, in the command's thread; at once if it has."""
        with self._lock:
            if not self._ended:
                self._fail = fail
                return
        if self._error is not None:
            fail(self._error)

    def cancel(self) -> None:
        """Ask the target to end the command; returns at once, as the target may be stopped."""
        if self._cancel is not None:
            threading.Thread(target=self._cancel, name="nullmodem-cancel", daemon=True).start()

    def leave(self, tell: Callable[[str], None]) -> None:
        """`close`, and have ``tell`` called with the reason if the command fails after all."""
        with self._lock:
            if not self._ended:
                self._tell = tell
        self.close()

    def close(self) -> None:
        """Stop listening; the command itself goes on. Done by itself when its end is told. Safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._hand_over()
        self._events.close()
        os.close(self._reader)
