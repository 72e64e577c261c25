# SPDX-License-Identifier: Apache-2.0
"""Find the .ko a loaded module came from, by name and proof of identity."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import SymbolError
from nullmodem.symbols.identity import Identity
from nullmodem.symbols.module_file import ModuleFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

_SUFFIXES: Final = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")
_MAX_FILES: Final = 1_000_000  # a directory tree larger than that is not a build tree; stop rather than hang


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file of the right name that cannot be used: another build (its ``identity``), or unusable (``problem``)."""

    path: Path
    identity: Identity | None
    problem: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Files of the right name were found, and none is the build that was loaded."""

    name: str
    loaded: Identity
    candidates: tuple[Candidate, ...]

    def describe(self) -> str:
        """One line for what is loaded, one for each candidate."""
        lines = [f"no file is the {self.name} that is loaded ({self.loaded})"]
        lines += [f"  {candidate.path}: {candidate.problem}" for candidate in self.candidates]
        return "\n".join(lines)


class ModuleFinder:
    """Looks for .ko files in directory trees, the first directory first.

    Trees are searched once and the result kept; a name that is not found, or found as another build only, makes them be
    searched again, because modules are built while a session runs. Links to directories are not followed.
    ``machine`` is the kernel's ELF machine number.
    """

    def __init__(self, directories: Iterable[str | PathLike[str]], *, machine: int | None = None) -> None:
        self._directories = tuple(Path(directory) for directory in directories)
        self._machine = machine
        self._index: dict[str, list[Path]] | None = None

    @property
    def directories(self) -> tuple[Path, ...]:
        """Where it looks."""
        return self._directories

    def add(self, *directories: str | PathLike[str]) -> None:
        """Look here too, before everywhere else: directory trees or single files."""
        new = tuple(Path(directory) for directory in directories)
        self._directories = (*new, *(directory for directory in self._directories if directory not in new))
        self._index = None

    def find(self, name: str, build_id: bytes | None, srcversion: str | None) -> ModuleFile | Mismatch | None:
        """The file the loaded module ``name`` came from.

        A Mismatch when only other builds of it are there, None when no file has that name.
        """
        loaded = Identity(build_id, srcversion)
        fresh = self._index is None
        found = self._look(name, loaded)
        if fresh or isinstance(found, ModuleFile):
            return found
        self._index = None
        return self._look(name, loaded)

    def _look(self, name: str, loaded: Identity) -> ModuleFile | Mismatch | None:
        if self._index is None:
            self._index = {}
            for path in self._files():
                self._index.setdefault(_module_name(path), []).append(path)
        candidates = []
        for path in self._index.get(name, ()):
            try:
                file = ModuleFile.open(path, machine=self._machine)
            except SymbolError as error:
                candidates.append(Candidate(path, None, error.message))
                continue
            verdict = loaded.matches(file.identity) if file.name == name else False
            if verdict:
                return file
            problem = (
                f"another build, {file.identity}" if verdict is False else f"cannot be told: it has {file.identity}"
            )
            candidates.append(Candidate(path, file.identity, problem))
        return Mismatch(name, loaded, tuple(candidates)) if candidates else None

    def _files(self) -> Iterator[Path]:
        seen = 0
        for directory in self._directories:
            if directory.is_file():
                yield directory
            for root, directories, names in os.walk(directory):
                directories.sort()
                seen += len(names)
                if seen > _MAX_FILES:
                    return
                for name in sorted(names):
                    if name.endswith(_SUFFIXES):
                        yield Path(root, name)


def _module_name(path: Path) -> str:
    stem = path.name
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    return stem.replace("-", "_")
