# SPDX-License-Identifier: Apache-2.0
"""A vmlinux as gdb should be given it, so that per-cpu variables stay where they are when KASLR moves the rest.

On x86-64 before relative per-cpu addresses, ``.data..percpu`` is linked at address 0: the address of a per-cpu variable
is an offset, to which ``__per_cpu_offset[cpu]`` is added, and it does not move with the kernel. gdb however moves every
section that lies in a PT_LOAD segment by what ``qOffsets`` says (symfile.c symfile_map_offsets_to_segments), and there
is no answer that spares one: ``DataSeg`` counts for all segments behind the first. A section outside every segment
is spared. So the copy for gdb has that segment's type cleared, and the section marked NOBITS, as gdb warns of loadable
sections in no segment. Debug info and build-id are the same. The kernel's own gdb scripts are not put beside it: gdb
would warn, at every start, that it may not load them from there.
"""

from __future__ import annotations

import os
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import SymbolError
from nullmodem.symbols.elf import PT_LOAD, SECTION_HEADER, SEGMENT_HEADER, SHT_NOBITS, SHT_RELA, ElfFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.symbols.vmlinux import Vmlinux

_PT_NULL: Final = 0
_CHUNK: Final = 1 << 24
_PER_CPU: Final = ".data..percpu"
_WHERE_IT_GOES: Final = "make room on that disk, or set NULLMODEM_CACHE to a directory that can be written"


def needs_copy(vmlinux: Vmlinux) -> bool:
    """Whether gdb would move this kernel's per-cpu variables: they are linked at 0, in a segment of their own."""
    return any(segment.type == PT_LOAD and segment.address == 0 for segment in vmlinux.segments)


def vmlinux_for_gdb(vmlinux: Vmlinux, directory: Path) -> Path:
    """The file to give to gdb: ``vmlinux``'s own, or a copy of it in ``directory`` when it needs one.

    The copy is made once for each build, named by its build-id. Relocations, which no debugger reads in a linked file
    and which are half of a vmlinux made for KASLR, are left out. Raises SymbolError, with nothing half-written left,
    when the copy cannot be made.
    """
    if not needs_copy(vmlinux):
        return vmlinux.path
    if vmlinux.build_id is None:
        msg = f"{vmlinux.path} has no build-id, so no copy of it can be kept for gdb"
        raise SymbolError(msg, hint="link the kernel with --build-id, as its Makefile does")
    home = directory / vmlinux.build_id.hex()
    copy = home / "vmlinux"
    if copy.exists():
        return copy
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(vmlinux.path, copy)
    except OSError as error:
        msg = f"cannot make a copy of {vmlinux.path} for gdb in {home}: {error.strerror}"
        raise SymbolError(msg, hint=_WHERE_IT_GOES) from error
    return copy


def _write(original: Path, copy: Path) -> None:
    handle, name = tempfile.mkstemp(dir=copy.parent, prefix=".vmlinux-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out, ElfFile.open(original) as elf:
            for start, end in (data for kept in _kept(elf) for data in elf.data_ranges(*kept)):
                out.seek(start)
                for at in range(start, end, _CHUNK):
                    out.write(elf.read_at(at, min(_CHUNK, end - at)))
            out.truncate(elf.length)
            for offset, value in _patches(elf):
                out.seek(offset)
                out.write(value)
        temporary.chmod(0o600)
        temporary.replace(copy)
    finally:
        temporary.unlink(missing_ok=True)


def _kept(elf: ElfFile) -> Iterator[tuple[int, int]]:
    """The ranges of the file to copy: all but the relocations, which become holes."""
    at = 0
    for section in sorted(elf.sections, key=lambda section: section.offset):
        if section.type == SHT_RELA:
            yield at, max(at, section.offset)
            at = max(at, section.offset + section.size)
    yield at, elf.length


def _patches(elf: ElfFile) -> Iterator[tuple[int, bytes]]:
    """(offset in the file, bytes) of what is different in the copy."""
    for index, segment in enumerate(elf.segments):
        if segment.type == PT_LOAD and segment.address == 0:
            yield elf.segment_table + index * SEGMENT_HEADER.size, struct.pack("<I", _PT_NULL)  # p_type
    for section in elf.sections:
        header = elf.section_table + section.index * SECTION_HEADER.size
        if section.name == _PER_CPU:
            yield header + 4, struct.pack("<I", SHT_NOBITS)  # sh_type
        elif section.type == SHT_RELA:
            yield header + 32, struct.pack("<Q", 0)  # sh_size
