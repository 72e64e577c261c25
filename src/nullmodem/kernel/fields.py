# SPDX-License-Identifier: Apache-2.0
"""Read some members of a struct in as few reads, and then as few bytes, as possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.errors import KernelDataError, MemoryFault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.types import TypeInfo

WIRE_READ: Final = 511
"""What the kernel's stub answers to one request on x86, in bytes: the smallest limit of the 64-bit architectures."""

READ_COST: Final = 250
"""Bytes of memory that are worth one request more. An adapter's 16 ms are 90 at 115200 baud, and 700 at 921600."""


@dataclass(frozen=True, slots=True)
class Field:
    """One member: ``offset`` and ``size`` in bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """Offset of the first byte behind it."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Record:
    """The bytes of the members that were read, by member."""

    address: int
    values: Mapping[str, bytes]

    def integer(self, name: str) -> int:
        """The member as an unsigned little-endian number."""
        return int.from_bytes(self.values[name], "little")

    def get(self, name: str) -> int:
        """The member as a number, 0 where this kernel has no such member."""
        return self.integer(name) if name in self.values else 0

    def raw(self, name: str) -> bytes:
        """The member's bytes."""
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values


class StructReader:
    """Reads the members ``names`` of ``struct``; those named in ``optional`` only where the kernel has them.

    Raises KernelDataError when a required member does not exist.
    """

    def __init__(self, types: TypeInfo, struct: str, names: Iterable[str], optional: Iterable[str] = ()) -> None:
        self.struct = struct
        self._fields: dict[str, Field] = {}
        try:
            for name in names:
                self._fields[name] = Field(types.offset(struct, name), types.member_size(struct, name))
        except LookupError as error:
            msg = f"the kernel's {struct} has no {name}: {error}"
            raise KernelDataError(msg) from error
        for name in optional:
            if types.has(struct, name):
                self._fields[name] = Field(types.offset(struct, name), types.member_size(struct, name))
        self.windows = plan(self._fields.values())

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def read(self, memory: Memory, address: int) -> Record:
        """The members of the struct at ``address``. Raises MemoryFault."""
        values: dict[str, bytes] = {}
        for start, end in self.windows:
            raw = memory.read(address + start, end - start)
            for name, field in self._fields.items():
                if start <= field.offset and field.end <= end:
                    values[name] = raw[field.offset - start : field.end - start]
        return Record(address, values)


def plan(fields: Iterable[Field], limit: int = WIRE_READ, *, read_cost: int = 1 << 20) -> tuple[tuple[int, int], ...]:
    """Windows ``(start, end)`` of at most ``limit`` bytes that hold every field: as few as there can be, then as short.

    One more is taken when it saves more than ``read_cost`` bytes. A field longer than ``limit`` stands in a window of
    its own.
    """
    ordered = sorted(set(fields), key=lambda field: (field.offset, field.end))
    best: list[tuple[int, tuple[tuple[int, int], ...]]] = [(0, ())]  # for the first n fields: cost, how
    for count in range(1, len(ordered) + 1):
        choices = []
        end = 0
        for first in range(count - 1, -1, -1):
            start, end = ordered[first].offset, max(end, ordered[first].end)
            if end - start > limit and first != count - 1:
                break
            cost, windows = best[first]
            choices.append((cost + read_cost + end - start, (*windows, (start, end))))
        best.append(min(choices))
    return best[-1][1]


def read_up_to(memory: Memory, address: int, wanted: int, needed: int) -> bytes:
    """``wanted`` bytes, or only the ``needed`` ones where memory ends before. Raises MemoryFault."""
    try:
        return memory.read(address, wanted)
    except MemoryFault:
        return memory.read(address, needed)
