# SPDX-License-Identifier: Apache-2.0
"""A target's memory made of pieces, that counts what is read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import MemoryFault

if TYPE_CHECKING:
    from collections.abc import Mapping


class FakeMemory:
    """Implements `nullmodem.kernel.memory.Memory` over ``regions``: bytes by the address they begin at.

    Regions that touch can be read across; nothing is between regions that do not. ``reads`` keeps ``(address, length)``
    of every read, failed ones too.
    """

    def __init__(self, regions: Mapping[int, bytes]) -> None:
        self._regions = {start: bytearray(content) for start, content in sorted(regions.items())}
        self.reads: list[tuple[int, int]] = []

    def read(self, address: int, length: int) -> bytes:
        """Exactly ``length`` bytes. Raises MemoryFault when one of them is in no region."""
        self.reads.append((address, length))
        found = bytearray()
        while len(found) < length:
            content, offset = self._at(address + len(found), address, length)
            found += content[offset : offset + length - len(found)]
        return bytes(found)

    def write(self, address: int, data: bytes) -> None:
        """Change what is there. Raises MemoryFault when one of the bytes is in no region."""
        written = 0
        while written < len(data):
            content, offset = self._at(address + written, address, len(data))
            size = min(len(data) - written, len(content) - offset)
            content[offset : offset + size] = data[written : written + size]
            written += size

    def add(self, address: int, content: bytes) -> None:
        """One more region, where none is yet."""
        self._regions[address] = bytearray(content)

    def _at(self, address: int, start: int, length: int) -> tuple[bytearray, int]:
        for base, content in self._regions.items():
            if base <= address < base + len(content):
                return content, address - base
        raise MemoryFault(start, length)
