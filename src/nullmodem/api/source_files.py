# SPDX-License-Identifier: Apache-2.0
"""The source files of a target's modules: of those that are loaded, and of those that may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import SymbolError
from nullmodem.symbols.lines import LineTable
from nullmodem.symbols.module_file import ModuleFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from nullmodem.api.live import LiveSession
    from nullmodem.session.session import Session


class SourceFiles:
    """Which files code comes from, by module. ``known`` are files of modules that are not loaded, perhaps.

    Used by one thread at a time.
    """

    def __init__(self, live: LiveSession, known: Callable[[], Iterable[Path]]) -> None:
        self._live = live
        self._known = known
        self._read: dict[tuple[Path, int], tuple[str, LineTable] | None] = {}

    def by_module(self) -> dict[str, tuple[str, ...]]:
        """The names of the files, as the compiler was told, by the names of the modules."""
        return {name: table.files for name, table in self._tables().items()}

    def lines_of(self, file: str) -> tuple[int, ...]:
        """The lines of a file that have code in some module."""
        tables = (table for table in self._tables().values() if file in table.files)
        return tuple(sorted({line for table in tables for line in table.lines_of(file)}))

    def _tables(self) -> dict[str, LineTable]:
        def loaded(session: Session) -> dict[str, LineTable]:
            tables = ((module, session.world.lines.table_of(module)) for module in session.world.modules.all)
            return {module.name: table for module, table in tables if table is not None}

        found = self._live.look_into(loaded)
        for path in self._known():
            read = self._table(path)
            if read is not None:
                found.setdefault(*read)
        return found

    def _table(self, path: Path) -> tuple[str, LineTable] | None:
        try:
            key = path, path.stat().st_mtime_ns
            if key not in self._read:
                file = ModuleFile.open(path)
                self._read[key] = file.name, LineTable.of_module(file)
        except (OSError, SymbolError):
            return None  # it is being built, or gone, or has no debug information
        return self._read[key]
