# SPDX-License-Identifier: Apache-2.0
"""Source lines of the kernel itself, one compilation unit at a time: all eight million rows would take a minute.

Which unit has an address is found without decoding any: a program begins each stretch of code with the extended opcode
DW_LNE_set_address and eight bytes (DWARF 5 section 6.2.5.3), which a linked file holds as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Final

from nullmodem.errors import SymbolError
from nullmodem.symbols.line_program import LineProgramError, LineSections, decode, files_of
from nullmodem.symbols.lines import LineTable

if TYPE_CHECKING:
    from nullmodem.symbols.vmlinux import Vmlinux

_SET_ADDRESS: Final = re.compile(rb"\x00\x09\x02(?=.{8})", re.DOTALL)
_MOST_KEPT: Final = 256


class KernelLines:
    """Line tables of one vmlinux, each decoded when it is first wanted. Places in them are of section 0, and their
    offsets are link-time addresses. Every method raises SymbolError for line tables that are broken."""

    def __init__(self, vmlinux: Vmlinux) -> None:
        self._vmlinux = vmlinux
        self._tables: dict[int, LineTable] = {}

    def table_at(self, address: int) -> LineTable | None:
        """The lines of the unit that holds the code at a link-time address; None where no unit does."""
        starts, units = self._sequences
        at = bisect_right(starts, address) - 1
        return self._table(units[at]) if at >= 0 else None

    def tables_of(self, file: str) -> tuple[LineTable, ...]:
        """Those of every unit with code from a file, which may be named by its path's last parts."""
        wanted = "/" + file.lstrip("/")
        named = self._units_by_name.get(file.rpartition("/")[2], {})
        return tuple(self._table(unit) for unit, files in named.items() if any(f.endswith(wanted) for f in files))

    def names_like(self) -> tuple[str, ...]:
        """The names, without directories, of all source files."""
        return tuple(self._units_by_name)

    def _table(self, unit: int) -> LineTable:
        if unit not in self._tables:
            if len(self._tables) >= _MOST_KEPT:
                del self._tables[next(iter(self._tables))]
            try:
                self._tables[unit] = LineTable(list(decode(self._sections(unit))))
            except LineProgramError as error:
                raise self._broken(error) from error
        return self._tables[unit]

    def _sections(self, unit: int) -> LineSections:
        line = self._vmlinux.slice(".debug_line", unit, self._units[unit])
        return LineSections(line, self._names, b"", {})

    @cached_property
    def _names(self) -> bytes:
        return self._vmlinux.section_data(".debug_line_str")

    @cached_property
    def _units(self) -> dict[int, int]:
        """Where each unit begins in ``.debug_line``, and how long it is."""
        data, position, found = self._vmlinux.section_data(".debug_line"), 0, {}
        while position + 12 <= len(data):
            length, head = int.from_bytes(data[position : position + 4], "little"), 4
            if length == 0xFFFFFFFF:
                length, head = int.from_bytes(data[position + 4 : position + 12], "little"), 12
            found[position] = head + length
            position += head + length
        return found

    @cached_property
    def _sequences(self) -> tuple[list[int], list[int]]:
        """Where stretches of code begin, in order, and the unit of each."""
        data, text = self._vmlinux.section_data(".debug_line"), self._vmlinux.image
        units = list(self._units)
        found = []
        for match in _SET_ADDRESS.finditer(data):
            address = int.from_bytes(data[match.end() : match.end() + 8], "little")
            if address in text:
                found.append((address, units[bisect_right(units, match.start()) - 1]))
        found.sort()
        return [address for address, _unit in found], [unit for _address, unit in found]

    @cached_property
    def _units_by_name(self) -> dict[str, dict[int, tuple[str, ...]]]:
        """Units by the names of the files their code may come from, with those files' paths."""
        named: dict[str, dict[int, tuple[str, ...]]] = {}
        try:
            for unit in self._units:
                for file in files_of(self._sections(unit)):
                    name = file.rpartition("/")[2]
                    files = named.setdefault(name, {})
                    files[unit] = (*files.get(unit, ()), "/" + file)
        except LineProgramError as error:
            raise self._broken(error) from error
        return named

    def _broken(self, error: LineProgramError) -> SymbolError:
        return SymbolError(f"{self._vmlinux.path}: its line table: {error}")
