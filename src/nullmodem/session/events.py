# SPDX-License-Identifier: Apache-2.0
"""Events from the session to any number of listeners; none of them can hold it up."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nullmodem.session.model import Event


class Subscription:
    """One listener's queue. ``fileno()`` is readable while something waits, for select; ``get`` never blocks.

    A listener that does not empty its queue loses the oldest entries: 10 000 are kept.
    """

    def __init__(self, bus: EventBus, capacity: int = 10_000) -> None:
        self._bus = bus
        self._queue: deque[Event] = deque(maxlen=capacity)
        self._lock = threading.Lock()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._closed = False

    def fileno(self) -> int:
        return self._reader

    def get(self) -> Event | None:
        """The oldest event, or None."""
        with self._lock:
            if not self._queue:
                return None
            event = self._queue.popleft()
            if not self._queue and not self._closed:
                self._drain()
            return event

    def put(self, event: Event) -> None:
        with self._lock:
            if self._closed:
                return
            if not self._queue:
                os.write(self._writer, b"x")
            self._queue.append(event)

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        self._bus.remove(self)
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._reader)
                os.close(self._writer)

    def _drain(self) -> None:
        try:
            os.read(self._reader, 4096)
        except BlockingIOError:
            return


class EventBus:
    """Hands every event to every subscription. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription, ...] = ()

    def subscribe(self) -> Subscription:
        subscription = Subscription(self)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)

    def publish(self, event: Event) -> None:
        for subscription in self._subscriptions:
            subscription.put(event)
