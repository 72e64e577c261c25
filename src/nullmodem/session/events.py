# SPDX-License-Identifier: Apache-2.0
"""Events from the session to any number of listeners; none of them can hold it up."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from nullmodem.session.model import Said

if TYPE_CHECKING:
    from nullmodem.session.model import Event


KEPT: Final = 20
"""Lines the session has said that can be asked for later."""


class Subscription:
    """One listener's queue. ``fileno()`` is readable while something waits, for select; ``get`` never blocks.

    A listener that does not empty its queue loses the oldest entries: 10 000 are kept. ``tells_of_stops``: as long as
    this is true, somebody will be told of a stop by it, although nobody is attached.
    """

    def __init__(self, bus: EventBus, capacity: int = 10_000, *, tells_of_stops: bool = False) -> None:
        self._bus = bus
        self.tells_of_stops = tells_of_stops
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
    """Hands every event to every subscription, and keeps what was said last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription, ...] = ()
        self._said: deque[tuple[int, str]] = deque(maxlen=KEPT)

    @property
    def said(self) -> tuple[tuple[int, str], ...]:
        """What was said last, oldest first: when (seconds since 1970), and what."""
        return tuple(self._said)

    @property
    def is_told_of_stops(self) -> bool:
        """Whether a listener tells somebody of a stop."""
        return any(subscription.tells_of_stops for subscription in self._subscriptions)

    def subscribe(self, *, tells_of_stops: bool = False) -> Subscription:
        subscription = Subscription(self, tells_of_stops=tells_of_stops)
        self.add(subscription)
        return subscription

    def add(self, subscription: Subscription) -> None:
        """Hand every event to this one, too, after those that were there before it."""
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)

    def remove(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)

    def publish(self, event: Event) -> None:
        if isinstance(event, Said):
            self._said.append((int(time.time()), event.text))
        for subscription in self._subscriptions:
            subscription.put(event)
