# SPDX-License-Identifier: Apache-2.0
"""Modules' files as distributions ship them, made into what can be read: unpacked, and joined with their debug info.

``modules_install`` compresses (``.ko.xz``, ``.ko.zst``, ``.ko.gz``), and packages keep debug info aside: in a file
found by build-id below ``/usr/lib/debug/.build-id``, or in a ``.ko.debug`` beside the module or at its place below
``/usr/lib/debug``. gdb finds such a file for itself, drgn and our own line tables would not; so the two are joined.
"""

from __future__ import annotations

import gzip
import lzma
import struct
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol

import zstandard

from nullmodem.errors import SymbolError
from nullmodem.symbols.elf import SECTION_HEADER, SHF_ALLOC, SHT_NOBITS, ElfFile
from nullmodem.symbols.module_file import ModuleFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nullmodem.symbols.elf import Section

SIZE_LIMIT: Final = 256 << 20
"""Bytes of an unpacked module; the largest there are, with debug info, have 60 MB."""
_MEMORY_LIMIT: Final = 256 << 20
_CHUNK: Final = 1 << 20
DEBUG_ROOT: Final = Path("/usr/lib/debug")
_TYPE, _OFFSET = 4, 24  # of sh_type and sh_offset in a section header


class FetchDebugInfo(Protocol):
    """Somebody who has debug info by build-id: a directory, a server. None: he has none."""

    def __call__(self, build_id: bytes) -> Path | None: ...


def no_debug_info(build_id: bytes) -> Path | None:  # noqa: ARG001  # as FetchDebugInfo is called
    """Nobody has any."""
    return None


class PlainFiles:
    """Makes them in ``directory``, which is ours. ``debug_root`` is where packages put debug info; ``fetch`` is asked
    when it is not there. Everything that raises raises SymbolError.
    """

    def __init__(
        self, directory: Path, *, debug_root: Path = DEBUG_ROOT, fetch: FetchDebugInfo = no_debug_info
    ) -> None:
        self._directory = directory
        self._debug_root = debug_root
        self._fetch = fetch
        self._unpacked: dict[tuple[Path, int, int], Path] = {}
        self._count = 0

    def unpacked(self, path: Path) -> Path:
        """A path to the module in the file: its own, if it is not compressed."""
        unpack = _UNPACKERS.get(path.suffix)
        if unpack is None:
            return path
        try:
            status = path.stat()
            key = path, status.st_size, status.st_mtime_ns
            if key not in self._unpacked:
                self._unpacked[key] = self._unpack(path, unpack)
            return self._unpacked[key]
        except _BROKEN as error:
            msg = f"cannot unpack {path}: {error}"
            raise SymbolError(msg) from error

    def whole(self, file: ModuleFile, original: Path) -> ModuleFile:
        """The same module with debug info, if it has none and some can be found; ``original`` is its file."""
        if file.has_debug_info or file.build_id is None:
            return file
        for candidate in self._debug_files(original, file.build_id):
            target = self._new_path(file.name)
            try:
                join(file.path, candidate, target)
                return ModuleFile.open(target, machine=file.machine)
            except (SymbolError, OSError):  # another build's, or none at all; the module itself is good
                target.unlink(missing_ok=True)
        return file

    def _debug_files(self, original: Path, build_id: bytes) -> Iterator[Path]:
        name = original.name.removesuffix(original.suffix) if original.suffix in _UNPACKERS else original.name
        identity = build_id.hex()
        places = (
            self._debug_root / ".build-id" / identity[:2] / f"{identity[2:]}.debug",
            original.with_name(f"{name}.debug"),
            original.parent / ".debug" / f"{name}.debug",
            self._debug_root / original.absolute().parent.relative_to("/") / f"{name}.debug",
        )
        yield from (place for place in places if place.is_file())
        if (fetched := self._fetch(build_id)) is not None:
            yield fetched

    def _unpack(self, path: Path, unpack: Callable[[IO[bytes]], Iterator[bytes]]) -> Path:
        target = self._new_path(path.name.partition(".ko")[0])
        size = 0
        try:
            with path.open("rb") as packed, target.open("wb") as plain:
                for chunk in unpack(packed):
                    size += len(chunk)
                    _check_size(path, size)
                    plain.write(chunk)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target

    def _new_path(self, name: str) -> Path:
        self._count += 1
        place = self._directory / str(self._count)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return place / f"{name}.ko"


def join(stripped: Path, debug: Path, target: Path) -> None:
    """Write a module with debug info: the file ``debug`` with the contents that it lacks, from ``stripped``.

    ``objcopy --only-keep-debug`` keeps every section's header and empties what is loaded. SymbolError when the two are
    not of one build.
    """
    with ElfFile.open(stripped) as code, ElfFile.open(debug) as info:
        own, other = _loaded(code), _loaded(info)
        if code.build_id() is None or code.build_id() != info.build_id():
            msg = f"{debug} is not the debug info of {stripped}: their build-ids differ"
            raise SymbolError(msg)
        if [(section.name, section.size) for section in own] != [(section.name, section.size) for section in other]:
            msg = f"{debug} does not have the sections of {stripped}"
            raise SymbolError(msg)
        with debug.open("rb") as source, target.open("wb") as joined:
            while chunk := source.read(_CHUNK):
                joined.write(chunk)
            for section, empty in zip(own, other, strict=True):
                if section.type == SHT_NOBITS or empty.type != SHT_NOBITS:
                    continue
                joined.seek(0, 2)
                joined.write(bytes(-joined.tell() % max(1, section.alignment)))
                offset = joined.tell()
                joined.write(code.data(section))
                header = info.section_table + empty.index * SECTION_HEADER.size
                joined.seek(header + _TYPE)
                joined.write(struct.pack("<I", section.type))
                joined.seek(header + _OFFSET)
                joined.write(struct.pack("<Q", offset))


def _check_size(path: Path, size: int) -> None:
    if size > SIZE_LIMIT:
        msg = f"{path} is larger than {SIZE_LIMIT >> 20} MiB when unpacked; no module is"
        raise SymbolError(msg)


def _loaded(elf: ElfFile) -> list[Section]:
    return [section for section in elf.sections if section.flags & SHF_ALLOC]


def _unpack_xz(packed: IO[bytes]) -> Iterator[bytes]:
    decompressor = lzma.LZMADecompressor(memlimit=_MEMORY_LIMIT)
    data = b""
    while not decompressor.eof:
        if decompressor.needs_input and not (data := packed.read(_CHUNK)):
            raise EOFError("it ends too early")
        yield decompressor.decompress(data, _CHUNK)
        data = b""


def _unpack_gz(packed: IO[bytes]) -> Iterator[bytes]:
    with gzip.open(packed) as plain:
        while chunk := plain.read(_CHUNK):
            yield chunk


def _unpack_zst(packed: IO[bytes]) -> Iterator[bytes]:
    size = 0
    with zstandard.ZstdDecompressor(max_window_size=_MEMORY_LIMIT).stream_reader(packed) as plain:
        while chunk := plain.read(_CHUNK):
            size += len(chunk)
            yield chunk
    if not size:
        raise EOFError("it holds nothing")


_UNPACKERS: Final = {".xz": _unpack_xz, ".gz": _unpack_gz, ".zst": _unpack_zst}
_BROKEN: Final = (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError)
