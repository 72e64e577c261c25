# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns the wire.

Whatever touches the target runs here: front ends hand in functions and get results or exceptions back. While nothing
is asked, the engine waits on the wire and on its command queue together, so a breakpoint that hits and a command that
arrives are served in the order they come. There is no lock, because there is no second thread to keep out.
"""

from __future__ import annotations

import logging
import os
import selectors
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, TypeVar

from nullmodem.errors import NullmodemError, StateError, WireClosed

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Driven(Protocol):
    """What the engine drives."""

    def fileno(self) -> int: ...
    def on_wire(self) -> None: ...
    def patience(self) -> float | None: ...
    def on_overdue(self) -> None: ...
    def on_away(self) -> bool:
        """The line is gone. Whether it is waited for: until it is back, `is_away` is true."""

    @property
    def is_away(self) -> bool: ...
    def on_lost(self, error: WireClosed) -> None: ...
    def on_trouble(self, error: NullmodemError) -> None: ...


class Engine:
    """Runs functions, and the wire's arrivals, in its own thread."""

    def __init__(self, driven: Driven) -> None:
        self._driven = driven
        self._queue: deque[tuple[Callable[[], object], Future[object]]] = deque()
        self._lock = threading.Lock()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._stopping = False
        self._lost = self._line_changed = False
        self._thread = threading.Thread(target=self._run, name="nullmodem-engine", daemon=True)

    @property
    def ended(self) -> bool:
        """Whether it was told to stop, and takes no more commands."""
        return self._stopping

    def start(self) -> None:
        self._thread.start()

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Have ``function`` run in the engine's thread. Raises StateError once the engine has ended."""
        future: Future[T] = Future()
        with self._lock:
            if self._stopping:
                msg = "the session has ended"
                raise StateError(msg, state="disconnected")
            self._queue.append((function, future))  # type: ignore[arg-type]  # a Future[T] takes what function returns
            os.write(self._writer, b"x")
        return future

    def call(self, function: Callable[[], T], timeout: float | None = None) -> T:
        """`submit` and wait. Called from the engine's own thread it runs at once."""
        if threading.current_thread() is self._thread:
            return function()
        return self.submit(function).result(timeout)

    def stop(self) -> None:
        """End the thread after what is queued. Safe to call twice, and from the engine's own thread."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            os.write(self._writer, b"x")
        if self._thread.ident is None:  # it was never started
            self._close()
        elif threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        wire: int | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            while True:
                wire = self._watch(selector, wire)
                ready = {key.fd for key, _events in selector.select(self._driven.patience() if self._heard else None)}
                if not ready and self._heard:
                    self._guard(self._driven.on_overdue)
                if wire in ready and self._heard:
                    self._guard(self._driven.on_wire)
                if self._reader in ready:
                    os.read(self._reader, 4096)
                stopping = self._stopping  # before the queue is emptied: nothing joins it after that
                while self._queue:
                    self._serve(*self._queue.popleft())
                if stopping:
                    break
        self._close()

    @property
    def _heard(self) -> bool:
        """Whether there is a line that may say something."""
        return not (self._lost or self._driven.is_away)

    def _watch(self, selector: selectors.BaseSelector, wire: int | None) -> int | None:
        """Wait on the line there is now. The descriptor is kept: whoever closes a line does not ask first."""
        now = self._driven.fileno() if self._heard else None
        if now != wire or self._line_changed:  # another line may have the descriptor that the last one had
            if wire is not None:
                selector.unregister(wire)
            if now is not None:
                selector.register(now, selectors.EVENT_READ)
        self._line_changed = False
        return now

    def _close(self) -> None:
        with self._lock:  # who told it to stop may still be writing
            os.close(self._reader)
            os.close(self._writer)

    def _guard(self, function: Callable[[], None]) -> None:
        try:
            function()
        except WireClosed as error:
            self._lose(error)
        except NullmodemError as error:
            self._guard_trouble(error)
        except Exception as error:  # a mistake of ours
            self._fail(error)

    def _guard_trouble(self, trouble: NullmodemError) -> None:
        try:
            self._driven.on_trouble(trouble)
        except WireClosed as error:
            self._lose(error)
        except Exception as error:  # trouble in dealing with trouble: there is no more to try
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """The thread must not end without a word: everybody would wait for it for ever."""
        _log.error("the engine failed", exc_info=error)
        if not self._lost:
            self._lost = True
            self._driven.on_lost(WireClosed(f"nullmodem failed: {error!r}", hint="Please report this, with the log."))

    def _lose(self, error: WireClosed) -> None:
        if self._lost:
            return
        self._line_changed = True
        if not self._driven.on_away():
            self._lost = True
            self._driven.on_lost(error)

    def _serve(self, function: Callable[[], object], future: Future[object]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(function())
        except WireClosed as error:
            self._lose(error)
            future.set_exception(error)
        except BaseException as error:
            future.set_exception(error)
        if self._driven.is_away:  # whoever called may have been told otherwise
            self._line_changed = True
