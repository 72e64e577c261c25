# SPDX-License-Identifier: Apache-2.0
"""The pages of one server, which come and go in threads that no event loop can cancel.

A client that nobody closes keeps the target at its next stop for good. The loop that serves a page cancels what it
waits for when it ends, and forgets what had not begun.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from nullmodem.errors import SessionError
from nullmodem.frontends.web.visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.frontends.web.hub import Hub
    from nullmodem.frontends.web.outbox import Outbox

T = TypeVar("T")


class Visitors:
    """Whoever is there. Used by a loop's thread, but for `close`, which is called when the loop has ended."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._present: set[Visitor] = set()
        self._threads: set[threading.Thread] = set()
        self._closed = False

    async def come(self, outbox: Outbox) -> Visitor:
        """A new one. Raises NullmodemError when the session has ended, OSError when there are no descriptors."""
        number = next(self._numbers)
        return await asyncio.wrap_future(self._start(lambda: self._make(outbox, number)))

    def go(self, visitor: Visitor) -> asyncio.Future[None]:
        """One goes, whether that is waited for or not."""
        return asyncio.wrap_future(self._start(lambda: self._end(visitor)))

    def close(self) -> None:
        """Wait for those that come and go, and close those that are there."""
        with self._lock:
            self._closed = True
            threads = tuple(self._threads)
        for thread in threads:
            thread.join()
        for visitor in tuple(self._present):
            self._end(visitor)

    def _make(self, outbox: Outbox, number: int) -> Visitor:
        visitor = Visitor(self._hub, outbox, number)
        with self._lock:
            late = self._closed
            if not late:
                self._present.add(visitor)
        if late:
            visitor.close()
            raise SessionError("the web view is being closed")
        return visitor

    def _end(self, visitor: Visitor) -> None:
        with self._lock:
            self._present.discard(visitor)
        visitor.close()

    def _start(self, do: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # from here on it cannot be cancelled

        def run() -> None:
            try:
                result = do()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, name="nullmodem-web-visit", daemon=True)
        with self._lock:
            self._threads.add(thread)
            thread.start()
        return future
