# SPDX-License-Identifier: Apache-2.0
"""Signs of life for a gdb that waits for an answer.

gdb waits for an answer three times its ``remotetimeout``, six seconds as it comes. Then it goes on without it, and
takes every answer from there on for that to the question before (remote.c getpkt: "Ignoring packet error,
continuing..."). Any byte in front of a packet begins its time anew, and an acknowledgement more says nothing to it.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS: Final = 0.5
"""Between two of them. The first comes after twice that at the latest, half of what gdb gives."""


class Heartbeat:
    """Calls ``beat`` again and again while an answer is being made, in a thread of its own: until `close`."""

    def __init__(self, beat: Callable[[], None], seconds: float = SECONDS) -> None:
        self._beat = beat
        self._seconds = seconds
        self._changed = threading.Condition()
        self._question = 0  # the number of the one that is being answered, or was
        self._answering = self._idle = self._closing = False
        self._thread = threading.Thread(target=self._run, name="nullmodem-heartbeat", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def while_answering(self) -> Iterator[None]:
        """``beat`` is not called, and has returned, once this ends."""
        with self._changed:
            self._question += 1
            self._answering = True
            if self._idle:  # else it looks by itself, at most twice a second: most answers do not take that long
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._answering = False

    def close(self) -> None:
        """End the thread. Safe to call twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._closing:
                if not self._answering:
                    self._idle = True
                    self._changed.wait()
                    self._idle = False
                    continue
                question = self._question
                self._changed.wait(self._seconds)
                if self._answering and self._question == question and not self._closing:
                    self._beat()
