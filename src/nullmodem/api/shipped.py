# SPDX-License-Identifier: Apache-2.0
"""Modules of a kernel that somebody else has built: taken as they are, from the directories they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import IdentityError, UsageError
from nullmodem.kbuild import BuiltModule
from nullmodem.symbols.finder import ModuleFinder
from nullmodem.symbols.module_file import ModuleFile
from nullmodem.symbols.module_index import SUFFIXES
from nullmodem.symbols.plain import PlainFiles

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class ShippedModules:
    """The modules for the kernel ``release`` in ``directories``; what is compressed is unpacked below ``workdir``."""

    def __init__(self, release: str, directories: Iterable[Path], workdir: Path) -> None:
        self._release = release
        self._plain = PlainFiles(workdir / "shipped")
        self._finder = ModuleFinder(directories, plain=self._plain)

    @staticmethod
    def is_one(path: Path) -> bool:
        """Whether a file is called as a module is."""
        return path.name.endswith(SUFFIXES)

    def take(self, path: Path) -> BuiltModule:
        """The module in a file. Raises UsageError: no such file; IdentityError: for another kernel; SymbolError."""
        path = path.expanduser().absolute()
        if not path.is_file():
            raise UsageError(f"there is no {path}", hint="name a .ko file")
        file = ModuleFile.open(self._plain.unpacked(path))
        if not self._fits(file):
            raise IdentityError(
                f"{path} was built for Linux {_release(file) or 'of unknown release'}, the target is {self._release}"
            )
        return self._with_needs(file, path)

    def find(self, name: str) -> BuiltModule:
        """A module by its name. Raises UsageError when no file in the directories is one of this name and kernel."""
        found = self._find(name)
        if found is None:
            places = ", ".join(str(place) for place in self._finder.directories) or "no directory"
            raise UsageError(
                f"no module {name!r} for Linux {self._release} was found in {places}",
                hint="Name its .ko file, or attach with --modules DIR.",
            )
        path, file = found
        return self._with_needs(file, path)

    def _find(self, name: str) -> tuple[Path, ModuleFile] | None:
        candidates = self._finder.named(name.replace("-", "_"))
        return next(((path, file) for path, file in candidates if self._fits(file)), None)

    def _fits(self, file: ModuleFile) -> bool:
        """The kernel refuses a module whose version magic begins with another release."""
        return not self._release or _release(file) == self._release

    def _with_needs(self, module: ModuleFile, source: Path) -> BuiltModule:
        """What it depends on and is not found, somebody else must bring.

        Symbols are looked for by ``source``, the file that debug info may lie beside.
        """
        order: dict[Path, None] = {}

        def visit(file: ModuleFile, waiting: tuple[str, ...]) -> None:
            for name in file.depends:
                found = self._find(name) if name.replace("-", "_") not in waiting else None
                if found is not None:
                    visit(found[1], (*waiting, found[1].name))
            order.setdefault(file.path)

        visit(module, (module.name,))
        return BuiltModule(module.path, module.name, source.parent, (source,), tuple(order), source)


def _release(file: ModuleFile) -> str:
    return (file.vermagic or "").partition(" ")[0]
