# SPDX-License-Identifier: Apache-2.0
"""Headers, sections, symbols and notes of one 64-bit little-endian ELF file.

Read with ``struct`` rather than pyelftools, which builds an object per symbol: 2.9 s for the 119 000 symbols of a
distribution's vmlinux, 0.1 s here.

The file is read with ``pread``, never mapped: a file that somebody truncates while it is mapped kills the process with
SIGBUS, and a .ko is rebuilt in place all the time.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from nullmodem.errors import SymbolError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

SHT_SYMTAB: Final = 2
SHT_RELA: Final = 4
SHT_NOTE: Final = 7
SHT_NOBITS: Final = 8
SHF_WRITE: Final = 0x1
SHF_ALLOC: Final = 0x2
SHF_EXECINSTR: Final = 0x4
SHF_COMPRESSED: Final = 0x800
SHN_UNDEF: Final = 0
SHN_LORESERVE: Final = 0xFF00
SHN_ABS: Final = 0xFFF1
SHN_XINDEX: Final = 0xFFFF
PT_LOAD: Final = 1
ET_REL: Final = 1
ET_EXEC: Final = 2
ET_DYN: Final = 3
STT_NOTYPE: Final = 0
STT_OBJECT: Final = 1
STT_FUNC: Final = 2
STT_FILE: Final = 4
STB_LOCAL: Final = 0
NT_GNU_BUILD_ID: Final = 3

_EHDR: Final = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION_HEADER: Final = struct.Struct("<IIQQQQIIQQ")
SEGMENT_HEADER: Final = struct.Struct("<IIQQQQQQ")
_SYM: Final = struct.Struct("<IBBHQQ")
_RELA: Final = struct.Struct("<QQq")
_NHDR: Final = struct.Struct("<III")

_MAX_SECTIONS: Final = 65_536  # more needs a file built by -ffunction-sections gone wild, or a hostile one
_MAX_SEGMENTS: Final = 1024

_NOT_ELF: Final = (  # what users have where an ELF file is wanted; the magic at the file's start, and what to do
    (b"\xfd7zXZ\0", "is compressed with xz", "unpack it first: xz -dk FILE"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "unpack it first: zstd -dk FILE"),
    (b"\x1f\x8b", "is compressed with gzip", "unpack it first: gzip -dk FILE"),
    (b"!<arch>\n", "is an ar archive (.a)", "name the .ko or vmlinux itself"),
    (b"BC\xc0\xde", "is LLVM bitcode", "build without LTO, or name the .ko the build made of it"),
    (b"MZ", "is a bootable kernel image (bzImage)", "name the vmlinux at the top of its build tree"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the section header table, in the ELF specification's terms."""

    index: int
    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One entry of the program header table."""

    type: int
    flags: int
    offset: int
    address: int
    file_size: int
    memory_size: int


class RawSymbol(NamedTuple):
    """One entry of the symbol table; ``name`` as the bytes in the file, ``section`` a header index or SHN_*.

    A tuple, not a dataclass, because a kernel has a hundred thousand of them.
    """

    name: bytes
    type: int
    binding: int
    section: int
    value: int
    size: int


class ElfFile:
    """One open ELF file. Use as a context manager, or :meth:`close` it. Every method raises SymbolError.

    ``machine`` is the e_machine number, ``type`` the e_type one, ``length`` the file's size in bytes, ``section_table``
    and ``segment_table`` the file offsets of the header tables. ``stamp`` tells this file from one that has replaced
    it under the same name.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            msg = f"{path} is not a regular file"
            raise SymbolError(msg)
        self.length = status.st_size
        self.stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        ident, self.type, self.machine, shentsize, shnum, shstrndx, phentsize, phnum, shoff, phoff = self._header()
        self._check_ident(ident)
        self.section_table, self.segment_table = shoff, phoff
        self.sections = self._read_sections(shoff, shentsize, shnum, shstrndx)
        self.segments = self._read_segments(phoff, phentsize, phnum)
        # A kernel's file stays open as long as its session, and is let go with it when nobody says so before.
        self._close = weakref.finalize(self, os.close, fd)

    @classmethod
    def open(cls, path: Path) -> ElfFile:
        """Open and check ``path``; SymbolError when it is missing, unreadable, no ELF file or a broken one."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            msg = f"cannot open {path}: {error.strerror}"
            raise SymbolError(msg) from error
        try:
            return cls(path, fd)
        except BaseException:
            os.close(fd)
            raise

    def close(self) -> None:
        """Close the file; harmless when already closed."""
        self._close()
        self._fd = -1

    def __enter__(self) -> ElfFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def broken(self, what: str, hint: str = "build it again; if it was copied, copy it again") -> SymbolError:
        """The error to raise when this file's content makes no sense."""
        return SymbolError(f"{self.path} is broken: {what}", hint=hint)

    def section(self, name: str) -> Section | None:
        """The first section of that name."""
        return next((section for section in self.sections if section.name == name), None)

    def data(self, section: Section) -> bytes:
        """The section's bytes as they stand in the file, unrelocated; zeros for NOBITS are not made up: empty."""
        if section.type == SHT_NOBITS:
            return b""
        if section.flags & SHF_COMPRESSED:
            raise self.broken(f"section {section.name} is compressed", "build with CONFIG_DEBUG_INFO_COMPRESSED_NONE=y")
        return self._read(section.offset, section.size, f"section {section.name}")

    def slice(self, section: Section, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset`` of the section, which must hold them all."""
        if section.type == SHT_NOBITS:
            raise self.broken(f"section {section.name} has no bytes in the file")
        if min(offset, length) < 0 or offset + length > section.size:
            raise self.broken(f"section {section.name} ends before {offset + length:#x}")
        return self._read(section.offset + offset, length, f"section {section.name}")

    def read_at(self, offset: int, length: int) -> bytes:
        """``length`` bytes at a file offset."""
        return self._read(offset, length, f"offset {offset:#x}")

    def data_ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of a range of the file that are no holes: those read as zeros, and take no room on the disk."""
        while start < end:
            try:
                data = os.lseek(self._fd, start, os.SEEK_DATA)
                hole = os.lseek(self._fd, data, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing but a hole up to the end of the file
                    return
                msg = f"cannot read {self.path}: {error.strerror}"
                raise SymbolError(msg) from error
            if data < end:
                yield data, min(hole, end)
            start = hole

    def symbols(self) -> Iterator[RawSymbol]:
        """Every symbol, in the file's order, the null symbol included; none when there is no symbol table."""
        table = next((section for section in self.sections if section.type == SHT_SYMTAB), None)
        if table is None:
            return
        if table.link >= len(self.sections):
            raise self.broken(f"the symbol table names section {table.link} as its strings, and there is none")
        strings = self.data(self.sections[table.link])
        raw = self.data(table)
        for name, info, _other, section, value, size in _SYM.iter_unpack(raw[: len(raw) - len(raw) % _SYM.size]):
            end = strings.find(b"\0", name)
            if end < 0:
                raise self.broken("a symbol's name lies outside the string table")
            yield RawSymbol(strings[name:end], info & 0xF, info >> 4, section, value, size)

    def relocations(self, target: Section) -> Iterator[tuple[int, int, int, int]]:
        """``(offset, type, symbol index, addend)`` of every relocation with addend that applies to ``target``."""
        for section in self.sections:
            if section.type == SHT_RELA and section.info == target.index:
                raw = self.data(section)
                for offset, info, addend in _RELA.iter_unpack(raw[: len(raw) - len(raw) % _RELA.size]):
                    yield offset, info & 0xFFFFFFFF, info >> 32, addend

    def build_id(self) -> bytes | None:
        """The GNU build-id among the notes: first of the note sections, or None. A broken note ends the search."""
        for section in self.sections:
            if section.type == SHT_NOTE and (found := find_build_id(self.data(section))):
                return found
        return None

    # -- parsing -------------------------------------------------------------------------------------------------

    def _read(self, offset: int, length: int, what: str) -> bytes:
        if length > self.length or offset > self.length - length:
            raise self.broken(f"{what} lies outside the file, which has {self.length} bytes")
        parts = []
        while length:
            try:
                part = os.pread(self._fd, length, offset)
            except OSError as error:
                msg = f"cannot read {self.path}: {error.strerror}"
                raise SymbolError(msg) from error
            if not part:
                raise self.broken(f"{what} is cut short; the file shrank while it was read")
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _header(self) -> tuple[bytes, int, int, int, int, int, int, int, int, int]:
        start = self._read(0, min(self.length, _EHDR.size), "the header")
        if not start.startswith(b"\x7fELF"):
            for magic, what, hint in _NOT_ELF:
                if start.startswith(magic):
                    msg = f"{self.path} {what}, not an ELF file"
                    raise SymbolError(msg, hint=hint.replace("FILE", str(self.path)))
            msg = f"{self.path} is {'empty' if not start else 'not an ELF file'}"
            raise SymbolError(msg, hint="name a vmlinux or a .ko")
        if len(start) < _EHDR.size:
            raise self.broken(f"it ends inside its header, after {len(start)} bytes")
        ident, kind, machine, _v, _entry, phoff, shoff, _flags, _size, phsize, phnum, shsize, shnum, strndx = (
            _EHDR.unpack(start)
        )
        return ident, kind, machine, shsize, shnum, strndx, phsize, phnum, shoff, phoff

    def _check_ident(self, ident: bytes) -> None:
        bits, order = ident[4], ident[5]
        if bits != 2 or order != 1:
            words = {1: "32-bit", 2: "64-bit"}.get(bits, f"class {bits}")
            ends = {1: "little-endian", 2: "big-endian"}.get(order, f"byte order {order}")
            msg = f"{self.path} is a {words} {ends} ELF file; only 64-bit little-endian ones can be debugged"
            raise SymbolError(msg)

    def _read_sections(self, offset: int, entry: int, count: int, names_index: int) -> tuple[Section, ...]:
        if offset == 0:
            return ()
        if entry != SECTION_HEADER.size:
            raise self.broken(f"its section headers have {entry} bytes each instead of {SECTION_HEADER.size}")
        first = SECTION_HEADER.unpack(self._read(offset, SECTION_HEADER.size, "the section header table"))
        count = count or first[5]  # from SHN_LORESERVE sections on, the counts stand in the null section
        names_index = first[6] if names_index == SHN_XINDEX else names_index
        if not 0 < count <= _MAX_SECTIONS or names_index >= count:
            raise self.broken(f"it claims {count} sections, with the names in section {names_index}")
        raw = list(
            SECTION_HEADER.iter_unpack(self._read(offset, count * SECTION_HEADER.size, "the section header table"))
        )
        strings = self._read(raw[names_index][4], raw[names_index][5], "the table of section names")
        sections = []
        for index, (name, kind, flags, address, start, size, link, info, alignment, each) in enumerate(raw):
            end = strings.find(b"\0", name)
            if end < 0:
                raise self.broken(f"the name of section {index} lies outside the table of names")
            text = strings[name:end].decode("utf-8", "backslashreplace")
            if address + size > 1 << 64:
                raise self.broken(f"section {text} leaves the address space")
            sections.append(Section(index, text, kind, flags, address, start, size, link, info, alignment, each))
        return tuple(sections)

    def _read_segments(self, offset: int, entry: int, count: int) -> tuple[Segment, ...]:
        if offset == 0 or count == 0:
            return ()
        if entry != SEGMENT_HEADER.size or count > _MAX_SEGMENTS:
            raise self.broken(f"it claims {count} program headers of {entry} bytes each")
        segments = []
        for kind, flags, start, address, _physical, in_file, in_memory, _align in SEGMENT_HEADER.iter_unpack(
            self._read(offset, count * SEGMENT_HEADER.size, "the program header table")
        ):
            if address + in_memory > 1 << 64:
                raise self.broken(f"the segment at {address:#x} leaves the address space")
            segments.append(Segment(kind, flags, start, address, in_file, in_memory))
        return tuple(segments)


def find_build_id(notes: bytes) -> bytes | None:
    """The GNU build-id in the bytes of a note section, or None when there is none or the notes are broken."""
    position = 0
    while position + _NHDR.size <= len(notes):
        name_size, size, kind = _NHDR.unpack_from(notes, position)
        name_at = position + _NHDR.size
        data_at = name_at + (name_size + 3 & ~3)
        position = data_at + (size + 3 & ~3)
        if kind == NT_GNU_BUILD_ID and notes[name_at : name_at + name_size] == b"GNU\0" and 0 < size <= 64:
            found = notes[data_at : data_at + size]
            return found if len(found) == size else None
    return None
