# SPDX-License-Identifier: Apache-2.0
"""A line that has gone is opened again as soon as it is there: a USB adapter that was pulled out, a server that was
restarted. Nobody tells when that is, so it is tried, ever less often but every two seconds at least."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from nullmodem.errors import NullmodemError

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS: Final = 300.0
"""How long it is tried: time to find the other cable, or for a server to boot."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""A line that is there again is in use within that time, and what opening it takes."""


class Reopening:
    """Tries in a thread of its own, whenever it is told to `begin`.

    Args:
        attempt: opens the line and puts it to use. Raises NullmodemError when that cannot be done now.
        give_up: called with the last reason when ``seconds`` are over, or at once where there is nothing to wait for.
        pause: waits so many seconds, or until the end; whether it was the end. ``clock``: monotonic seconds.
    """

    def __init__(
        self,
        attempt: Callable[[], None],
        give_up: Callable[[NullmodemError], None],
        seconds: float = SECONDS,
        *,
        pause: Callable[[float], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempt = attempt
        self._give_up = give_up
        self._seconds = seconds
        self._ending = threading.Event()
        self._pause = pause or self._ending.wait
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted = False
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """The line has gone. Never blocks."""
        with self._lock:
            self._wanted = True
            if self._thread is None and not self._ending.is_set():
                self._thread = threading.Thread(target=self._run, name="nullmodem-reopening", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Try no more. Safe to call twice; not from ``attempt`` or ``give_up``."""
        self._ending.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while self._is_wanted():
            self._bring_back()

    def _is_wanted(self) -> bool:
        with self._lock:
            wanted, self._wanted = self._wanted and not self._ending.is_set(), False
            if not wanted:
                self._thread = None
            return wanted

    def _bring_back(self) -> None:
        deadline, pause = self._clock() + self._seconds, FIRST_PAUSE
        while not self._ending.is_set():
            try:
                self._attempt()
            except NullmodemError as error:
                remaining = deadline - self._clock()
                if remaining <= 0:
                    self._give_up(error)
                    return
                if self._pause(min(pause, remaining)):
                    return
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return
