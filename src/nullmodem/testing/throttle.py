# SPDX-License-Identifier: Apache-2.0
"""How long bytes are on their way over a serial line: a model with a clock of its own, and no input or output."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_BITS_PER_BYTE: Final = 10  # a start bit, eight data bits, a stop bit


@dataclass(frozen=True, slots=True)
class Speed:
    """A line's speed. ``latency``: seconds that each byte takes besides, as in a USB adapter's buffer."""

    baud: int
    latency: float = 0.0


class Throttle:
    """One direction of a line: what is put in comes out when a line of this speed would have delivered it.

    What is put in together comes out together, when its last byte has arrived: nobody can act on half a packet.
    ``clock`` gives seconds and never goes back.
    """

    def __init__(self, speed: Speed, clock: Callable[[], float] = time.monotonic) -> None:
        self._speed = speed
        self._clock = clock
        self._free = 0.0  # when the line has carried all that was put in
        self._carried: deque[tuple[float, bytes]] = deque()

    def put(self, data: bytes) -> None:
        """Begin to send."""
        self._free = max(self._free, self._clock()) + _BITS_PER_BYTE * len(data) / self._speed.baud
        self._carried.append((self._free + self._speed.latency, data))

    @property
    def wait(self) -> float | None:
        """Seconds until something arrives; None when nothing is on its way."""
        return max(0.0, self._carried[0][0] - self._clock()) if self._carried else None

    def arrived(self) -> bytes:
        """What has arrived since this was last asked."""
        found = bytearray()
        now = self._clock()
        while self._carried and self._carried[0][0] <= now:
            found += self._carried.popleft()[1]
        return bytes(found)
