# SPDX-License-Identifier: Apache-2.0
"""What waits to be sent to one page: bounded, whatever happens and however slowly the page reads."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from nullmodem.frontends.web.protocol import Breakpoints, Hello, Modules, Wire, encode_push

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.frontends.web.protocol import Push

MOST_PUSHES: Final = 512
MOST_TEXT: Final = 1 << 18
"""Characters of what is pushed, at most, but for what is as long as it is."""
_WHOLE: Final = (Hello, Modules, Breakpoints, Wire)
"""Each tells all there is of its kind: of those that wait, the last is enough."""


class Outbox:
    """Messages for one page, in order. Answers are kept, there are few; of what is pushed only so much: a page that is
    slower begins anew with a snapshot. Any thread puts in, one takes out; ``wake`` is called when there is something.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: deque[tuple[type[Push] | None, str]] = deque()  # None: an answer
        self._pushes = self._size = 0
        self._stale = False

    def push(self, push: Push) -> None:
        """Something that the page is told unasked."""
        text, kind = encode_push(push), type(push)
        with self._lock:
            if self._stale:
                return
            if kind in _WHOLE:
                self._waiting = deque(each for each in self._waiting if each[0] is not kind)
            else:
                self._pushes += 1
                self._size += len(text)
            self._waiting.append((kind, text))
            # What is too long by itself would be so after a snapshot, too.
            if self._pushes > 1 and (self._pushes > MOST_PUSHES or self._size > MOST_TEXT):
                self._stale = True
                self._forget()
        self._wake()

    def answer(self, text: str) -> None:
        """An answer to a request, encoded."""
        with self._lock:
            self._waiting.append((None, text))
        self._wake()

    def take(self) -> tuple[bool, str] | None:
        """The next message, and whether it is an answer; None when there is none."""
        with self._lock:
            if not self._waiting:
                return None
            kind, text = self._waiting.popleft()
            if kind is not None and kind not in _WHOLE:
                self._pushes -= 1
                self._size -= len(text)
            return kind is None, text

    @property
    def is_stale(self) -> bool:
        """Whether something was dropped: the page needs a snapshot, after `begin_anew`."""
        return self._stale

    def begin_anew(self) -> None:
        """What is pushed from here on is kept again."""
        with self._lock:
            self._stale = False
            self._forget()

    def _forget(self) -> None:
        self._waiting = deque(each for each in self._waiting if each[0] is None)
        self._pushes = self._size = 0
