# SPDX-License-Identifier: Apache-2.0
"""Find the .ko a loaded module came from, by name and proof of identity."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nullmodem.errors import SymbolError
from nullmodem.symbols.identity import Identity
from nullmodem.symbols.module_file import ModuleFile, read_identity
from nullmodem.symbols.module_index import ModuleIndex, module_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

    from nullmodem.symbols.plain import PlainFiles


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


class _Found(NamedTuple):
    """A file of the right name, and the tree it is in."""

    root: Path
    path: Path


class ModuleFinder:
    """Looks for .ko files in directory trees, the first directory first.

    Trees are searched once and the result kept; a name that is not found, or found as another build only, makes them be
    searched again, because modules are built while a session runs. Links to directories are not followed.
    ``machine`` is the kernel's ELF machine number; ``index`` remembers trees from earlier sessions; ``plain`` unpacks
    compressed files and finds debug info that is kept aside.
    """

    def __init__(
        self,
        directories: Iterable[str | PathLike[str]],
        *,
        machine: int | None = None,
        index: ModuleIndex | None = None,
        plain: PlainFiles | None = None,
    ) -> None:
        self._directories = tuple(Path(directory) for directory in directories)
        self._machine = machine
        self._index = index or ModuleIndex()
        self._plain = plain
        self._names: dict[str, list[_Found]] | None = None

    @property
    def directories(self) -> tuple[Path, ...]:
        """Where it looks."""
        return self._directories

    def add(self, *directories: str | PathLike[str]) -> None:
        """Look here too, before everywhere else: directory trees or single files."""
        new = tuple(Path(directory) for directory in directories)
        self._directories = (*new, *(directory for directory in self._directories if directory not in new))
        self._names = None

    def find(self, name: str, build_id: bytes | None, srcversion: str | None) -> ModuleFile | Mismatch | None:
        """The file the loaded module ``name`` came from.

        A Mismatch when only other builds of it are there, None when no file has that name.
        """
        loaded = Identity(build_id, srcversion)
        found = self._look(name, loaded)
        if not isinstance(found, ModuleFile):
            self._names = self._search(fresh=True)
            found = self._look(name, loaded, fresh=True)
        self._index.keep()
        return found

    def named(self, name: str) -> Iterator[tuple[Path, ModuleFile]]:
        """Every readable file of a module of this name, whatever build it is, and where it was found."""
        for _root, path in self._search().get(name, ()):
            with contextlib.suppress(SymbolError):
                file = ModuleFile.open(self._plain.unpacked(path) if self._plain is not None else path)
                if file.name == name:
                    yield path, file

    def _look(self, name: str, loaded: Identity, *, fresh: bool = False) -> ModuleFile | Mismatch | None:
        if self._names is None:
            self._names = self._search()
        candidates = []
        for root, path in self._names.get(name, ()):
            try:
                # A file that is another build, as those of other kernels are, need not be read as a whole.
                readable = self._plain.unpacked(path) if self._plain is not None else path
                own_name, identity = (
                    self._index.identity(root, path, fresh=fresh) if readable == path else read_identity(readable)
                )
                verdict = loaded.matches(identity) if own_name == name else False
                if verdict is not False:
                    file = ModuleFile.open(readable, machine=self._machine)
                    identity, verdict = file.identity, loaded.matches(file.identity)
            except SymbolError as error:
                candidates.append(Candidate(path, None, error.message))
                continue
            if verdict:
                return self._plain.whole(file, path) if self._plain is not None else file
            problem = f"another build, {identity}" if verdict is False else f"cannot be told: it has {identity}"
            candidates.append(Candidate(path, identity, problem))
        return Mismatch(name, loaded, tuple(candidates)) if candidates else None

    def _search(self, *, fresh: bool = False) -> dict[str, list[_Found]]:
        names: dict[str, list[_Found]] = {}
        for directory in self._directories:
            if directory.is_file():
                names.setdefault(module_name(directory.name), []).append(_Found(directory, directory))
                continue
            for name, paths in self._index.by_name(directory, fresh=fresh).items():
                names.setdefault(name, []).extend(_Found(directory, path) for path in paths)
        return names
