# SPDX-License-Identifier: Apache-2.0
"""Source lines of addresses in modules, for people: what `status` says beside a function's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import SymbolError
from nullmodem.symbols.lines import LineTable, Place
from nullmodem.symbols.module_file import ModuleFile

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.session.model import Module
    from nullmodem.symbols.lines import SourceLine


class SourceLines:
    """Line tables, each read once for each copy of a module's file."""

    def __init__(self) -> None:
        self._tables: dict[Path, LineTable | None] = {}

    def line_at(self, module: Module, address: int) -> SourceLine | None:
        """The line of the code at ``address``, or None where the module's file does not tell."""
        if module.instance is None:
            return None
        if module.instance not in self._tables:
            self._tables[module.instance] = _table(module.instance)
        table = self._tables[module.instance]
        section = next((s for s in module.sections if s.present and address in s.range), None)
        if table is None or section is None:
            return None
        return table.line_at(Place(section.section.index, address - section.address))


def _table(instance: Path) -> LineTable | None:
    """The lines of the private copy: the file it was made from may have been rebuilt since."""
    try:
        return LineTable.of_module(ModuleFile.open(instance))
    except SymbolError:
        return None
