# SPDX-License-Identifier: Apache-2.0
"""What the wire was used for, counted: bytes each way, and round trips.

Below about 500 kbaud bytes decide how long an operation takes; above it, and on every USB adapter, round trips do. Both
are counted, and neither depends on the machine that counts.
"""

from __future__ import annotations

from dataclasses import dataclass

_BITS_PER_BYTE = 10  # a start bit, eight data bits, a stop bit


@dataclass(frozen=True, slots=True)
class WireCost:
    """Bytes as they were on the line, acknowledgements and resends too; ``later - earlier`` is what lay between."""

    bytes_out: int = 0
    bytes_in: int = 0
    round_trips: int = 0

    def __sub__(self, earlier: WireCost) -> WireCost:
        return WireCost(
            self.bytes_out - earlier.bytes_out,
            self.bytes_in - earlier.bytes_in,
            self.round_trips - earlier.round_trips,
        )

    def __add__(self, other: WireCost) -> WireCost:
        return WireCost(
            self.bytes_out + other.bytes_out,
            self.bytes_in + other.bytes_in,
            self.round_trips + other.round_trips,
        )

    def seconds(self, baud: int, latency: float = 0.0) -> float:
        """Return how long this takes at ``baud`` when each round trip costs ``latency`` seconds besides (8N1)."""
        return _BITS_PER_BYTE * (self.bytes_out + self.bytes_in) / baud + latency * self.round_trips


@dataclass(frozen=True, slots=True)
class Use:
    """What the wire was used for: in ``total``, and since a client last had the target run (``command``).

    ``asked`` is what of the total was asked of a stopped target, and ``waited`` the seconds its answers took; ``baud``
    is the line's rate, None for one that has none.
    """

    total: WireCost
    command: WireCost
    asked: WireCost
    waited: float
    baud: int | None

    @property
    def utilisation(self) -> float | None:
        """The part of the time waited that bytes were on the line; None for a line without a rate, or not yet used."""
        if self.baud is None or self.waited <= 0:
            return None
        return min(1.0, self.asked.seconds(self.baud) / self.waited)


class Meter:
    """Counts; never reset, so that any two readings can be subtracted."""

    def __init__(self) -> None:
        self._cost = WireCost()
        self._asked = WireCost()
        self._waited = 0.0

    @property
    def cost(self) -> WireCost:
        """Everything counted so far."""
        return self._cost

    def use(self, command_began: WireCost, baud: int | None) -> Use:
        """What the wire was used for so far; the present command began at that cost."""
        return Use(self._cost, self._cost - command_began, self._asked, self._waited, baud)

    def sent(self, count: int) -> None:
        """Count ``count`` bytes written to the line."""
        self._cost += WireCost(bytes_out=count)

    def received(self, count: int) -> None:
        """Count ``count`` bytes read from the line."""
        self._cost += WireCost(bytes_in=count)

    def asked(self, cost: WireCost, seconds: float) -> None:
        """Note that of what was counted ``cost`` was for a question, whose answer took so long."""
        self._asked += cost
        self._waited += seconds

    def round_trip(self) -> None:
        """Count one request for whose answer somebody waits."""
        self._cost += WireCost(round_trips=1)
