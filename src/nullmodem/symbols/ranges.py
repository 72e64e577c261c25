# SPDX-License-Identifier: Apache-2.0
"""Half-open ranges of addresses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class AddressRange:
    """The addresses ``start <= a < end``. An empty range contains nothing and overlaps nothing."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end <= 1 << 64:
            msg = f"not a range of 64-bit addresses: {self.start:#x}..{self.end:#x}"
            raise ValueError(msg)

    @classmethod
    def sized(cls, start: int, size: int) -> AddressRange:
        """The ``size`` bytes from ``start`` on. Raises ValueError when they leave the 64-bit address space."""
        return cls(start, start + size)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.end - self.start

    def __bool__(self) -> bool:
        return self.start != self.end

    def __contains__(self, address: object) -> bool:
        return isinstance(address, int) and self.start <= address < self.end

    def covers(self, other: AddressRange) -> bool:
        """Whether every byte of ``other`` is in this range; an empty one may stand at its very end."""
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: AddressRange) -> bool:
        """Whether the two share at least one byte."""
        return max(self.start, other.start) < min(self.end, other.end)

    def shifted(self, by: int) -> AddressRange:
        """The same range ``by`` bytes higher (lower when negative)."""
        return AddressRange(self.start + by, self.end + by)

    def __str__(self) -> str:
        return f"{self.start:#x}..{self.end:#x}"
