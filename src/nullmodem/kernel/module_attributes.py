# SPDX-License-Identifier: Apache-2.0
"""A module's sysfs attributes in memory: the addresses of its sections, and its notes.

``sect_attrs`` is what /sys/module/NAME/sections shows. Before 6.14 it is ``nsections`` and an array of
``struct module_sect_attr``; since then an array of ``struct bin_attribute`` that keeps the address in ``private``,
counted by a NULL-terminated array of pointers. Names are not read: the addresses stand in the order of the .ko's
section headers, and a name would cost a read each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.errors import KernelDataError
from nullmodem.kernel.fields import READ_COST, WIRE_READ, Field, plan, read_up_to
from nullmodem.kernel.regions import KERNEL_SPACE
from nullmodem.symbols.elf import find_build_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.types import TypeInfo

_SECTIONS: Final = "struct module_sect_attrs"
_SECTION: Final = "struct module_sect_attr"
_NOTES: Final = "struct module_notes_attrs"
_ATTRIBUTE: Final = "struct bin_attribute"
_GROUP: Final = "struct attribute_group"

MAX_SECTIONS: Final = 1024  # Debian's 4022 modules have at most 51
_MAX_NOTES: Final = 16
_MAX_NOTE_BYTES: Final = 4096


class AttributeReader:
    """Reads the attributes of modules. A kernel without CONFIG_SYSFS or CONFIG_KALLSYMS has none to read."""

    def __init__(self, types: TypeInfo) -> None:
        self._types = types

    def section_addresses(self, memory: Memory, address: int) -> tuple[int, ...]:
        """The addresses in the ``sect_attrs`` at ``address``, in order of the .ko's section headers.

        Raises MemoryFault, and KernelDataError when they make no sense.
        """
        _check_pointer("sect_attrs", address)
        if self._types.has(_SECTIONS, "nsections"):
            return self._counted(memory, address)
        return self._terminated(memory, address)

    def some_addresses(self, memory: Memory, address: int, wanted: Iterable[int]) -> tuple[int, dict[int, int]] | None:
        """How many addresses the ``sect_attrs`` at ``address`` has, and those at ``wanted``, by their position, with
        what comes with them. None where the kernel does not keep the number: since 6.14. Raises MemoryFault.
        """
        if not self._types.has(_SECTIONS, "nsections"):
            return None
        _check_pointer("sect_attrs", address)
        number = Field(self._types.offset(_SECTIONS, "nsections"), 4)
        first = self._types.offset(_SECTIONS, "attrs") + self._types.offset(_SECTION, "address")
        stride = self._types.size(_SECTION)
        fields = (number, *(Field(first + position * stride, 8) for position in wanted))
        count, found = 0, {}
        for start, end in plan(fields, read_cost=READ_COST):
            raw = memory.read(address + start, end - start)
            if start <= number.offset < end:
                count = int.from_bytes(raw[number.offset - start :][:4], "little")
            for position in range(max(0, -(-(start - first) // stride)), (end - first - 8) // stride + 1):
                found[position] = _word(raw, first + position * stride - start)
        return count, found

    def build_id(self, memory: Memory, address: int) -> bytes | None:
        """The build-id among the notes of the ``notes_attrs`` at ``address``, or None. Raises as above."""
        _check_pointer("notes_attrs", address)
        count_at = self._types.offset(_NOTES, "notes")
        first = self._types.offset(_NOTES, "attrs")
        stride = self._types.size(_ATTRIBUTE)
        raw = memory.read(address + count_at, first - count_at)
        count = int.from_bytes(raw[:4], "little")
        if not 0 < count <= _MAX_NOTES:
            msg = f"the module's notes_attrs at {address:#x} claim {count} notes"
            raise KernelDataError(msg)
        attributes = memory.read(address + first, count * stride)
        where, length = self._types.offset(_ATTRIBUTE, "private"), self._types.offset(_ATTRIBUTE, "size")
        for start in range(0, len(attributes), stride):
            note, size = _word(attributes, start + where), _word(attributes, start + length)
            if note >= KERNEL_SPACE and size <= _MAX_NOTE_BYTES and (found := find_build_id(memory.read(note, size))):
                return found
        return None

    def _counted(self, memory: Memory, address: int) -> tuple[int, ...]:
        """Before 6.14. The count comes with the first addresses in one read: of a tiny module that is all of them."""
        count_at = self._types.offset(_SECTIONS, "nsections")
        first = self._types.offset(_SECTIONS, "attrs") + self._types.offset(_SECTION, "address") - count_at
        stride = self._types.size(_SECTION)
        raw = read_up_to(memory, address + count_at, WIRE_READ, 4)
        count = _checked_count(int.from_bytes(raw[:4], "little"), address)
        length = first + (count - 1) * stride + 8
        if length > len(raw):
            raw += memory.read(address + count_at + len(raw), length - len(raw))
        return _strided(raw[first:length], stride)

    def _terminated(self, memory: Memory, address: int) -> tuple[int, ...]:
        """Since 6.14: count the pointers up to NULL, then read the attributes themselves."""
        pointers = self._types.offset(_SECTIONS, "grp") + self._types.offset(_GROUP, "bin_attrs")
        table = _word(memory.read(address + pointers, 8), 0)
        _check_pointer("sect_attrs->grp.bin_attrs", table)
        count = 0
        while True:
            chunk = read_up_to(memory, table + count * 8, WIRE_READ // 8 * 8, 8)
            words = _strided(chunk, 8)
            if 0 in words:
                count += words.index(0)
                break
            count = _checked_count(count + len(words), address)
        _checked_count(count, address)
        first = self._types.offset(_SECTIONS, "attrs") + self._types.offset(_ATTRIBUTE, "private")
        stride = self._types.size(_ATTRIBUTE)
        return _strided(memory.read(address + first, (count - 1) * stride + 8), stride)


def _strided(raw: bytes, stride: int) -> tuple[int, ...]:
    return tuple(_word(raw, start) for start in range(0, len(raw), stride))


def _word(raw: bytes, offset: int) -> int:
    return int.from_bytes(raw[offset : offset + 8], "little")


def _checked_count(count: int, address: int) -> int:
    if not 0 < count <= MAX_SECTIONS:
        msg = f"the module's sect_attrs at {address:#x} claim {count} sections"
        raise KernelDataError(msg)
    return count


def _check_pointer(what: str, address: int) -> None:
    if address < KERNEL_SPACE:
        msg = f"the module's {what} is {address:#x}, which is no kernel address"
        raise KernelDataError(msg)
