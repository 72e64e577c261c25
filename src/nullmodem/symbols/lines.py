# SPDX-License-Identifier: Apache-2.0
"""The line table of one .ko: which source line is at a place, and where a source line is.

A whole vmlinux is not read this way: its eight million rows would take a minute. drgn answers for an address in it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from nullmodem.errors import SymbolError
from nullmodem.symbols.elf import SHN_LORESERVE, ElfFile
from nullmodem.symbols.line_program import LineProgramError, LineSections, Relocated, Row, decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.symbols.module_file import ModuleFile, ModuleSymbol


@dataclass(frozen=True, slots=True, order=True)
class SourceLine:
    """A line of source: ``file`` as the compiler was told, made absolute where it says from where."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """``offset`` bytes into section number ``section`` (its index in the .ko's header table)."""

    section: int
    offset: int


@dataclass(frozen=True, slots=True)
class LineSpan:
    """The code of one row: offsets [start, end), and whether a statement begins with it."""

    source: SourceLine
    start: int
    end: int
    statement: bool


class LineTable:
    """The lines of one module, read once: some 30 ms for a small one."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    @classmethod
    def of_module(cls, file: ModuleFile) -> LineTable:
        """Read the lines of ``file``. Raises SymbolError when it has no debug info, or broken one, or was replaced."""
        with ElfFile.open(file.path) as elf:
            file.check_unchanged(elf)
            line = elf.section(".debug_line")
            if line is None:
                msg = f"{file.path} has no debug info, so its source lines are not known"
                raise SymbolError(
                    msg, hint="build the module against a kernel with CONFIG_DEBUG_INFO, and do not strip it"
                )
            sections = LineSections(
                elf.data(line), _bytes(elf, ".debug_line_str"), _bytes(elf, ".debug_str"), _relocations(elf)
            )
            try:
                return cls(list(decode(sections)))
            except LineProgramError as error:
                raise elf.broken(f"its line table: {error}") from error

    def line_at(self, place: Place) -> SourceLine | None:
        """The source line of the code at ``place``, or None.

        Several rows may be for one address: the last one counts, one that begins a statement before others, as in gdb.
        """
        row = self._row_at(place)
        return None if row is None else SourceLine(row.file, row.line)

    def span_at(self, place: Place) -> LineSpan | None:
        """The row that the code at ``place`` belongs to, as a debugger steps through it; None where there is none.

        It ends where the next row begins that stands at another address (gdb's find_pc_sect_line in symtab.c).
        """
        rows = self._seen_by_section.get(place.section, [])
        position = bisect_right(rows, place.offset, key=lambda row: row.offset) - 1
        if position < 0 or rows[position].end:
            return None
        best, first = rows[position], position
        while not best.statement and first > 0 and rows[first - 1].offset == best.offset:
            first -= 1
            if rows[first].statement and not rows[first].end:
                best = rows[first]
        after = next((row.offset for row in rows[position + 1 :] if row.offset > best.offset), best.offset + 1)
        return LineSpan(SourceLine(best.file, best.line), best.offset, after, best.statement)

    def run_around(self, place: Place) -> tuple[int, ...]:
        """Where each row begins of the code around ``place`` that a debugger steps through without stopping in between,
        and where that code ends, as offsets. Empty where there is no line.

        That is the code of one line, as far as it is in one piece. From a row that begins no statement it is less: a
        debugger that came into the middle of a line stops where one begins, be it of the same line.
        """
        here = self._row_at(place)
        if here is None:
            return ()

        def belongs(offset: int) -> bool:
            return _belongs(here, self._row_at(Place(place.section, offset)))

        offsets = self._offsets[place.section]
        first = last = bisect_right(offsets, place.offset) - 1
        while first > 0 and belongs(offsets[first - 1]):
            first -= 1
        while last + 1 < len(offsets) and belongs(offsets[last]):
            last += 1
        return tuple(offsets[first : last + 1])

    def run_on(self, place: Place, end: int, function: range, length_at: Callable[[int], int]) -> int:
        """Where the code that a debugger steps through from ``place`` on ends, when it has got to ``end``, an offset.

        Optimised code has single instructions of other lines between those of one line. Where such a row begins no
        statement a debugger steps on; behind its first instruction it may take that line for the one it steps through.

        Args:
            function: offsets of the function's code; the run stays within.
            length_at: the length of the instruction at an offset, 0 where that is not known.
        """
        here = self._row_at(place)
        if here is None:
            return end
        # Only among lines of the function itself: where the code of an inlined one begins or ends, `step` does stop.
        lines = self._lines_of(place.section, function)
        if here.line not in lines:
            return end
        offsets = self._offsets[place.section]
        while end < function.stop and (row := self._row_at(Place(place.section, end))) is not None:
            index = bisect_right(offsets, end)
            after = offsets[index] if index < len(offsets) else function.stop
            if _belongs(here, row):
                end = after
                continue
            length = length_at(end) if not row.statement and row.file == here.file and row.line in lines else 0
            end += length
            if not length or end != after:
                break
        return min(end, function.stop)

    def _lines_of(self, section: int, function: range) -> range:
        """From the first to the last line of a function's own, going by where its code begins and ends."""
        end = self._row_at(Place(section, function.stop - 1))
        begin = next((row for row in self._by_section[section] if row.offset == function.start and not row.end), None)
        if begin is None or end is None or begin.file != end.file:
            return range(0)
        return range(begin.line, end.line + 1)

    def places(self, file: str, line: int) -> tuple[Place, ...]:
        """Where the code of a line begins, one place for each run of it; empty when the line has no code.

        ``file`` may be a path's last parts: "simple.c" and "drivers/simple.c" both name "/src/drivers/simple.c".
        """
        wanted = "/" + file.lstrip("/")
        found = set()
        for section, rows in self._by_section.items():
            inside = False
            for row in rows:
                matches = not row.end and row.line == line and ("/" + row.file).endswith(wanted)
                if matches and row.statement and not inside:
                    found.add(Place(section, row.offset))
                inside = matches
        return tuple(sorted(found))

    def lines_of(self, file: str) -> tuple[int, ...]:
        """The lines of a file, named as for `places`, that have code."""
        wanted = "/" + file.lstrip("/")
        rows = (row for row in self._rows if not row.end and row.statement)
        return tuple(sorted({row.line for row in rows if ("/" + row.file).endswith(wanted)}))

    @property
    def rows_at(self) -> tuple[Place, ...]:
        """Where a row of the table begins, in order."""
        return tuple(Place(section, at) for section, offsets in sorted(self._offsets.items()) for at in offsets)

    def line_of(self, function: ModuleSymbol) -> SourceLine | None:
        """Where a function's source begins, or None without debug info for it."""
        return self.line_at(Place(function.section_index, function.offset))

    @property
    def files(self) -> tuple[str, ...]:
        """Every source file that code comes from."""
        return tuple(sorted({row.file for row in self._rows if not row.end}))

    def _row_at(self, place: Place) -> Row | None:
        rows = self._by_section.get(place.section, [])
        position = bisect_right(rows, place.offset, key=lambda row: row.offset) - 1
        if position < 0 or rows[position].end:
            return None
        best = rows[position]
        while not best.statement and position > 0 and rows[position - 1].offset == best.offset:
            position -= 1
            if rows[position].statement and not rows[position].end:
                best = rows[position]
        return best

    @cached_property
    def _offsets(self) -> dict[int, list[int]]:
        """Where rows begin or end, in each section."""
        return {section: sorted({row.offset for row in rows}) for section, rows in self._by_section.items()}

    @cached_property
    def _seen_by_section(self) -> dict[int, list[Row]]:
        """The same without rows that a debugger does not see."""
        return {section: [row for row in rows if not row.repeats] for section, rows in self._by_section.items()}

    @cached_property
    def _by_section(self) -> dict[int, list[Row]]:
        """Rows of each section by offset. Where a sequence ends and another begins, the beginning counts."""
        sections: dict[int, list[Row]] = {}
        for row in self._rows:
            sections.setdefault(row.section, []).append(row)
        for rows in sections.values():
            rows.sort(key=lambda row: (row.offset, not row.end))
        return sections


def _belongs(here: Row, row: Row | None) -> bool:
    """Whether a debugger that steps from ``here`` goes through ``row`` as through the same line."""
    same_line = row is not None and (row.file, row.line) == (here.file, here.line)
    return row is not None and same_line and (here.statement or not row.statement)


def _bytes(elf: ElfFile, name: str) -> bytes:
    section = elf.section(name)
    return b"" if section is None else elf.data(section)


def _relocations(elf: ElfFile) -> dict[int, Relocated]:
    line = elf.section(".debug_line")
    assert line is not None
    symbols = list(elf.symbols())
    found = {}
    for offset, _type, index, addend in elf.relocations(line):
        if index >= len(symbols):
            raise elf.broken(f"a relocation names symbol {index} of {len(symbols)}")
        symbol = symbols[index]
        if symbol.section < SHN_LORESERVE:
            found[offset] = Relocated(symbol.section, symbol.value + addend)
    return found
