# SPDX-License-Identifier: Apache-2.0
"""Source lines of code in modules: for people, beside a function's name, and for stepping over a line in one go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from nullmodem.errors import SymbolError
from nullmodem.session.model import ResumeKind
from nullmodem.symbols.lines import LineTable, Place
from nullmodem.symbols.module_file import ModuleFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.kernel.load_map import LoadedSection
    from nullmodem.session.model import Module, Resume
    from nullmodem.symbols.lines import SourceLine


MOST_TABLES: Final = 64
"""Kept at most; the oldest goes first. Each build of a module that was looked at has one."""


class SourceLines:
    """Line tables, each read once for each build of a module, however often that is loaded."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, ...], LineTable | None] = {}

    def line_at(self, module: Module, address: int) -> SourceLine | None:
        """The line of the code at ``address``, or None where the module's file does not tell."""
        table, section = self.table_of(module), _section_of(module, address)
        if table is None or section is None:
            return None
        return table.line_at(Place(section.section.index, address - section.address))

    def function_at(self, module: Module, address: int) -> range:
        """The code of the module's function that holds an address; empty where none is known."""
        section = _section_of(module, address)
        if section is None or module.file is None:
            return range(0)
        symbol = module.file.symbol_at(section.section.name, address - section.address)
        if symbol is None:
            return range(0)
        start = section.address + symbol.offset
        return range(start, start + symbol.size)

    def whole_line(self, module: Module, request: Resume, pc: int, length_at: Callable[[int], int]) -> Resume:
        """``request`` with the range to step through widened to the code of the line at ``pc`` that is in one piece.

        A debugger steps through one row of its line table and asks again while the next is of the same line; optimised
        code has a row for almost every instruction. What is shown in the end is the same. But a debugger must see every
        call: the range never grows to hold the beginning of a function, nor code of another one. ``length_at`` tells
        how long the instruction at an address is.
        """
        table, section = self.table_of(module), _section_of(module, pc)
        stepping = request.kind is ResumeKind.RANGE and request.start <= pc < request.end
        if not stepping or table is None or section is None or module.file is None:
            return request
        offset = pc - section.address
        function = module.file.symbol_at(section.section.name, offset)
        if function is None:
            return request
        end = function.offset + function.size
        rows = [row for row in table.run_around(Place(section.section.index, offset)) if function.offset < row <= end]
        if not rows:
            return request
        base = section.address
        place, code = Place(section.section.index, offset), range(function.offset, end)
        last = table.run_on(place, rows[-1], code, lambda at: length_at(base + at))
        return replace(request, start=min(request.start, base + rows[0]), end=max(request.end, base + last))

    def table_of(self, module: Module) -> LineTable | None:
        """All lines of a module, or None where its file does not tell."""
        if module.instance is None or module.file is None:
            return None
        build = module.file.stamp
        if build not in self._tables:
            if len(self._tables) >= MOST_TABLES:
                del self._tables[next(iter(self._tables))]
            self._tables[build] = _table(module.instance)
        return self._tables[build]


def _section_of(module: Module, address: int) -> LoadedSection | None:
    return next((s for s in module.sections if s.present and address in s.range), None)


def _table(instance: Path) -> LineTable | None:
    """The lines of the private copy: the file it was made from may have been rebuilt since."""
    try:
        return LineTable.of_module(ModuleFile.open(instance))
    except SymbolError:
        return None
