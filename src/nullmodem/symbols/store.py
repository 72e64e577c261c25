# SPDX-License-Identifier: Apache-2.0
"""Private copies of the .ko files in use, under a new path for each time one is loaded.

Two facts about the outside world force this. A module is rebuilt in place while its old build is still loaded, and
both gdb and drgn read debug info lazily, so a file must not change under them. And gdb knows a library by its path
alone: the same path at new addresses keeps the old ones, and breakpoints go to them (gdb solib.c update_solib_list).

The copies differ from the originals in two things. No section has an address: the kernel's linker script leaves some
in a .ko (``.data`` at 0x60, since 6.12 or so), where they mean nothing; but gdb takes a file with any for a linked one,
and does not relocate its debug info (symfile.c default_symfile_offsets: "We do not expect this to happen"). And the
sections that the kernel reads and never loads are empty, or `info sharedlibrary` would count their made-up addresses.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import SymbolError
from nullmodem.symbols.elf import SECTION_HEADER, ElfFile

if TYPE_CHECKING:
    from os import PathLike

    from nullmodem.symbols.module_file import ModuleFile

KEEP_RELEASED: Final = 32
_CHUNK: Final = 1 << 20
_ADDRESS: Final = 16  # offset of sh_addr in a section header; sh_offset and sh_size are behind it
NEVER_LOADED: Final = frozenset({".modinfo", "__versions"})  # kernel/module/main.c rewrite_section_headers


class ModuleStore:
    """A directory of copies: ``objects/`` by content, and a numbered directory with one link for each load.

    ``keep`` is how many released instances stay: a gdb may still be looking at one. Everything that raises raises
    SymbolError.
    """

    def __init__(self, directory: str | PathLike[str], *, keep: int = KEEP_RELEASED) -> None:
        self.directory = Path(directory)
        self._objects = self.directory / "objects"
        self._keep = keep
        self._generation = 0
        self._live: set[Path] = set()
        self._released: list[Path] = []
        self._known: dict[tuple[int, ...], Path] = {}
        try:
            self._objects.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            msg = f"cannot make {self._objects}: {error.strerror}"
            raise SymbolError(msg) from error

    def instance(self, file: ModuleFile) -> Path:
        """A path nobody was given before, to a copy of what ``file`` held when it was parsed.

        It stays until :meth:`release`. SymbolError when the file has been replaced since, or the disk is full.
        """
        try:
            content = self._content(file)
            directory = self._next_directory()
            path = directory / f"{file.name}.ko"
            path.hardlink_to(content)
        except OSError as error:
            msg = f"cannot keep a copy of {file.path} in {self.directory}: {error.strerror}"
            raise SymbolError(msg, hint="make room on that disk; the module itself is not affected") from error
        self._live.add(path)
        return path

    def release(self, path: Path) -> None:
        """The module at ``path`` is unloaded; its copy goes once enough others were released after it."""
        if path not in self._live:
            return
        self._live.discard(path)
        self._released.append(path)
        while len(self._released) > self._keep:
            self._remove(self._released.pop(0))

    def _content(self, file: ModuleFile) -> Path:
        """The copy of the file's content, made unless it is there."""
        known = self._known.get(file.stamp)
        if known is not None and known.exists():
            return known
        digest = hashlib.sha256()
        handle, name = tempfile.mkstemp(dir=self._objects, prefix=".new-")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as copy, file.path.open("rb") as original:
                while chunk := original.read(_CHUNK):
                    digest.update(chunk)
                    copy.write(chunk)
            with ElfFile.open(file.path) as after:
                file.check_unchanged(after)
                _prepare(temporary, after)
            content = self._objects / digest.hexdigest()
            temporary.chmod(0o400)
            temporary.replace(content)
        finally:
            temporary.unlink(missing_ok=True)
        self._known[file.stamp] = content
        return content

    def _next_directory(self) -> Path:
        """A numbered directory that was not there: another session may have left its own."""
        while True:
            self._generation += 1
            directory = self.directory / str(self._generation)
            try:
                directory.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return directory

    def _remove(self, path: Path) -> None:
        """Remove one instance, and its content when no other instance has it. What cannot be removed stays."""
        try:
            content = path.stat().st_ino
            path.unlink()
            path.parent.rmdir()
            for object_ in self._objects.iterdir():
                status = object_.stat()
                if status.st_ino == content and status.st_nlink == 1:
                    object_.unlink()
        except OSError:
            return


def _prepare(copy: Path, elf: ElfFile) -> None:
    """Clear every section's address, and the size of those that are never loaded, in a copy of ``elf``."""
    with copy.open("r+b") as file:
        for section in elf.sections:
            length = 0 if section.name in NEVER_LOADED else section.size
            file.seek(elf.section_table + section.index * SECTION_HEADER.size + _ADDRESS)
            file.write(struct.pack("<QQQ", 0, section.offset, length))
