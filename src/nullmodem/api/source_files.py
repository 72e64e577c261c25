# SPDX-License-Identifier: Apache-2.0
"""The source files of a target's modules: of those that are loaded, and of those that may be."""

from __future__ import annotations

import contextlib
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
        self._kept: dict[object, tuple[str, LineTable] | None] = {}

    def by_module(self) -> dict[str, tuple[str, ...]]:
        """The names of the files, as the compiler was told, by the names of the modules."""
        return {name: table.files for name, table in self._tables().items()}

    def lines_of(self, file: str) -> tuple[int, ...]:
        """The lines of a file that have code in some module."""
        tables = (table for table in self._tables().values() if file in table.files)
        return tuple(sorted({line for table in tables for line in table.lines_of(file)}))

    def _tables(self) -> dict[str, LineTable]:
        """Read in this thread: the session's must not wait for it. Those of modules that are gone are not kept."""

        def loaded(session: Session) -> list[tuple[str, object, Path]]:
            return [
                (module.name, module.file.stamp, module.instance)
                for module in session.world.modules.all
                if module.file is not None and module.instance is not None
            ]

        before, self._kept = self._kept, {}
        found: dict[str, LineTable] = {}
        for name, stamp, path in self._live.look_into(loaded):
            read = self._table(stamp, path, before)
            if read is not None:
                found[name] = read[1]
        for path in self._known():
            with contextlib.suppress(OSError):  # it is being built, or gone
                read = self._table((path, path.stat().st_mtime_ns), path, before)
                if read is not None:
                    found.setdefault(*read)
        return found

    def _table(
        self, key: object, path: Path, before: dict[object, tuple[str, LineTable] | None]
    ) -> tuple[str, LineTable] | None:
        if key not in self._kept:
            self._kept[key] = before[key] if key in before else _read(path)
        return self._kept[key]


def _read(path: Path) -> tuple[str, LineTable] | None:
    """A module's name and lines; None for a file without debug information, or one that is being built, or gone."""
    try:
        file = ModuleFile.open(path)
        return file.name, LineTable.of_module(file)
    except (OSError, SymbolError):
        return None
