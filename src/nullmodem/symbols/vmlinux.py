# SPDX-License-Identifier: Apache-2.0
"""A kernel's vmlinux: its symbols, the ranges that matter and its identity, all at link-time addresses.

With KASLR the running kernel stands elsewhere: kernel/slide.py finds by how much.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from nullmodem.errors import SymbolError
from nullmodem.symbols.elf import (
    PT_LOAD,
    SHF_ALLOC,
    SHN_UNDEF,
    STB_LOCAL,
    STT_FUNC,
    STT_NOTYPE,
    STT_OBJECT,
    ElfFile,
    Section,
    Segment,
)
from nullmodem.symbols.ranges import AddressRange

if TYPE_CHECKING:
    from os import PathLike

_BANNER_LIMIT: Final = 1024
_NOT_A_KERNEL: Final = (
    "name the vmlinux of the running kernel: it stands at the top of its build tree, "
    "or comes in the distribution's debug symbol package"
)


class SymbolKind(Enum):
    """What a symbol names."""

    FUNCTION = "function"
    OBJECT = "object"
    LABEL = "label"


class Symbol(NamedTuple):
    """One symbol of vmlinux. ``address`` is the link-time one; ``size`` is 0 where the assembler gave none."""

    name: str
    address: int
    size: int
    kind: SymbolKind
    is_local: bool


_KINDS: Final = {STT_FUNC: SymbolKind.FUNCTION, STT_OBJECT: SymbolKind.OBJECT, STT_NOTYPE: SymbolKind.LABEL}


class Vmlinux:
    """One vmlinux file. Headers are read when it is opened, the symbol table at the first question about a symbol.

    ``path``: the file. ``machine``: its ELF machine number. ``build_id``: the GNU build-id, None without one.
    """

    def __init__(self, elf: ElfFile) -> None:
        self._elf = elf
        self.path = elf.path
        self.machine = elf.machine
        self.build_id = elf.build_id()
        if not any(segment.type == PT_LOAD for segment in elf.segments):
            msg = f"{elf.path} has no loadable segments, so it is no linked kernel"
            raise SymbolError(msg, hint=_NOT_A_KERNEL)

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Vmlinux:
        """Open ``path``. SymbolError when it is no vmlinux, is broken, or has had its symbols stripped."""
        elf = ElfFile.open(Path(path))
        try:
            vmlinux = cls(elf)
            vmlinux.check()
        except BaseException:
            elf.close()
            raise
        return vmlinux

    def check(self) -> None:
        """Raise SymbolError unless the file has the symbols of a kernel."""
        self._require("_text", "linux_banner")

    def close(self) -> None:
        """Close the file. Symbols and sections read before stay usable."""
        self._elf.close()

    @property
    def sections(self) -> tuple[Section, ...]:
        """Every section, in header order."""
        return self._elf.sections

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Every program header, in the file's order."""
        return self._elf.segments

    @cached_property
    def has_debug_info(self) -> bool:
        """Whether the file carries DWARF."""
        return self._elf.section(".debug_info") is not None

    @cached_property
    def section_ranges(self) -> dict[str, AddressRange]:
        """Link-time range of every section that is in memory, per-cpu's included; the first of each name."""
        ranges: dict[str, AddressRange] = {}
        for section in self._elf.sections:
            if section.flags & SHF_ALLOC:
                ranges.setdefault(section.name, AddressRange.sized(section.address, section.size))
        return ranges

    def section_data(self, name: str) -> bytes:
        """The bytes of a section of the file, of debug info for one; empty where there is none. Raises SymbolError."""
        section = self._elf.section(name)
        return b"" if section is None else self._elf.data(section)

    def slice(self, name: str, offset: int, length: int) -> bytes:
        """A part of such a section, which must hold it. Raises SymbolError."""
        section = self._elf.section(name)
        if section is None:
            msg = f"{self.path} has no section {name}"
            raise SymbolError(msg)
        return self._elf.slice(section, offset, length)

    @cached_property
    def banner(self) -> bytes:
        """``linux_banner``: the line /proc/version shows, without its newline: "Linux version 6.1.0 (…) #1 SMP …"."""
        address = self._require("linux_banner")[0].address
        segment = next(
            (s for s in self._elf.segments if s.type == PT_LOAD and 0 <= address - s.address < s.file_size), None
        )
        if segment is None:
            raise self._elf.broken("linux_banner is in no segment of the file", _NOT_A_KERNEL)
        length = min(_BANNER_LIMIT, segment.file_size - (address - segment.address))
        text, nul, _rest = self.read_static(address, length).partition(b"\0")
        if not nul or not text.startswith(b"Linux version "):
            raise self._elf.broken(f"its linux_banner says {text[:40]!r}", _NOT_A_KERNEL)
        return text.rstrip(b"\n")

    @cached_property
    def text(self) -> AddressRange:
        """The kernel's text, ``_text`` to ``_etext``."""
        return self._range("_text", "_etext")

    @cached_property
    def image(self) -> AddressRange:
        """The whole image, ``_text`` to ``_end``."""
        return self._range("_text", "_end")

    @cached_property
    def init(self) -> AddressRange:
        """What the kernel frees when it has booted: ``__init_begin`` to ``__init_end``."""
        return self._range("__init_begin", "__init_end")

    @cached_property
    def per_cpu(self) -> AddressRange | None:
        """The template of per-cpu data, or None in a kernel without SMP.

        On x86-64 before relative per-cpu addresses it starts at 0: such addresses are offsets, and do not move with
        the kernel.
        """
        if self.symbol("__per_cpu_start") is None or self.symbol("__per_cpu_end") is None:
            return None
        return self._range("__per_cpu_start", "__per_cpu_end") or None

    def read_static(self, address: int, length: int) -> bytes:
        """``length`` bytes at a link-time address, as they stand in the file.

        Raises SymbolError when the file has not all of them: .bss, or no part of the image.
        """
        for segment in self._elf.segments:
            offset = address - segment.address
            if segment.type == PT_LOAD and offset >= 0 and offset + length <= segment.file_size:
                return self._elf.read_at(segment.offset + offset, length)
        msg = f"{self.path} holds no {length} bytes for {address:#x}"
        raise SymbolError(msg)

    def symbol(self, name: str) -> Symbol | None:
        """The symbol of that name, a global one before local ones; None when there is none."""
        found = self.symbols_named(name)
        return next((symbol for symbol in found if not symbol.is_local), found[0] if found else None)

    def symbols_named(self, name: str) -> tuple[Symbol, ...]:
        """Every symbol of that name, in the file's order: static functions of different files may share one."""
        return self._index.get(name, ())

    @property
    def functions(self) -> tuple[Symbol, ...]:
        """Every function, by address."""
        return tuple(symbol for symbol in self._by_address if symbol.kind is SymbolKind.FUNCTION)

    def symbol_at(self, address: int) -> Symbol | None:
        """The symbol that covers a link-time address, or None.

        A function or object with a size comes before a label; among aliases a global symbol comes first. A label covers
        everything up to the next symbol.
        """
        position = bisect_right(self._addresses, address)
        label = None
        while position > 0:
            position -= 1
            symbol = self._by_address[position]
            if address - symbol.address < symbol.size:
                return symbol
            if symbol.size:
                break
            label = label or symbol
        return label if label is not None and address in self.image else None

    # -- the symbol table ----------------------------------------------------------------------------------------

    @cached_property
    def _index(self) -> dict[str, tuple[Symbol, ...]]:
        index: dict[str, tuple[Symbol, ...]] = {}
        for raw in self._elf.symbols():
            kind = _KINDS.get(raw.type)
            if kind is None or not raw.name or raw.section == SHN_UNDEF:
                continue
            name = raw.name.decode("utf-8", "backslashreplace")
            symbol = Symbol(name, raw.value, raw.size, kind, raw.binding == STB_LOCAL)
            index[name] = (*index.get(name, ()), symbol)
        return index

    @cached_property
    def _by_address(self) -> list[Symbol]:
        per_cpu = self.section_ranges.get(".data..percpu")
        low = self.image.start if per_cpu and per_cpu.start == 0 else 0
        symbols = [symbol for group in self._index.values() for symbol in group if symbol.address >= low]
        return sorted(symbols, key=lambda symbol: (symbol.address, symbol.size > 0, not symbol.is_local))

    @cached_property
    def _addresses(self) -> list[int]:
        return [symbol.address for symbol in self._by_address]

    def _require(self, *names: str) -> list[Symbol]:
        found = []
        for name in names:
            symbol = self.symbol(name)
            if symbol is None:
                what = "has no symbols" if not self._index else f"has no symbol {name}"
                msg = f"{self.path} {what}: it is stripped, or not a Linux kernel"
                raise SymbolError(msg, hint=_NOT_A_KERNEL)
            found.append(symbol)
        return found

    def _range(self, first: str, last: str) -> AddressRange:
        start, end = self._require(first, last)
        if end.address < start.address:
            raise self._elf.broken(f"{last} stands before {first}")
        return AddressRange(start.address, end.address)
