# SPDX-License-Identifier: Apache-2.0
"""The source lines of a kernel's report: each place in code as file and line, through inlined functions.

A place is looked up by its symbol and offset, so no address and no slide is needed; drgn reads the debug information.
What is not proved to be the same build is not shown: see `OopsDecoder`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import drgn

from nullmodem.errors import SymbolError
from nullmodem.kernel.processor import processor_of
from nullmodem.symbols.elf import ElfFile
from nullmodem.symbols.vmlinux import SymbolKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nullmodem.kernel.oops import CodeAddress, Trouble
    from nullmodem.symbols.module_file import ModuleFile
    from nullmodem.symbols.vmlinux import Vmlinux

_MODULES_AT: Final = 0x1_0000_0000
"""Where the first module's sections are put, in a program that has no memory: below every kernel's own addresses."""

_APART: Final = 0x1000_0000


@dataclass(frozen=True, slots=True)
class SourcePlace:
    """A line of source. ``function`` is empty where it is not known."""

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.function} at {self.file}:{self.line}" if self.function else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class DecodedLine:
    """A line of a report. ``places`` is empty for one without code, and where ``problem`` says why there are none;
    otherwise the innermost inlined function comes first and the function that is named in ``text`` last.
    """

    text: str
    places: tuple[SourcePlace, ...] = ()
    problem: str = ""


class OopsDecoder:
    """Decodes reports of one kernel and its modules.

    Args:
        vmlinux: the kernel that printed them. Its build-id is compared where a report has one.
        find: the file of a module by its name and, if the report has it, its build-id: b"" if not. It returns a string
            that says why when there is none.
    """

    def __init__(self, vmlinux: Vmlinux, find: Callable[[str, bytes], ModuleFile | str]) -> None:
        self._vmlinux = vmlinux
        self._find = find
        self._program: drgn.Program | None = None
        self._bases: dict[tuple[int, ...], dict[int, int]] = {}

    def decode(self, trouble: Trouble) -> tuple[DecodedLine, ...]:
        """The lines of ``trouble``, in order. Raises SymbolError when the vmlinux has no debug information."""
        own = self._vmlinux.build_id
        foreign = bool(trouble.kernel_build and own and trouble.kernel_build != own)
        problem = f"{self._vmlinux.path} is another build than the kernel that printed this" if foreign else ""
        # Where the fault was is printed without a build-id, its callers with it (arch/x86/kernel/dumpstack.c show_ip).
        codes = [line.code for line in trouble.lines if line.code is not None]
        builds = {code.module: code.build_id for code in codes if code.build_id}
        return tuple(
            DecodedLine(line.text)
            if line.code is None
            else self._decode(line.text, replace(line.code, build_id=builds.get(line.code.module, b"")), problem)
            for line in trouble.lines
        )

    def _decode(self, text: str, code: CodeAddress, kernel_problem: str) -> DecodedLine:
        problem = kernel_problem if not code.module else ""
        addresses: tuple[int, ...] = ()
        if not problem:
            addresses, problem = self._module_code(code) if code.module else self._kernel_code(code)
        for address in addresses:
            if places := self._places(address if code.exact else max(address - 1, address - code.offset)):
                return DecodedLine(text, places)
        return DecodedLine(text, problem=problem or f"no line is known for {code.symbol}")

    def _kernel_code(self, code: CodeAddress) -> tuple[tuple[int, ...], str]:
        """Where it may be, at link time; several static functions may share a name, and then the size decides."""
        # The kernel takes all up to the next symbol for the function (kernel/kallsyms.c), so its size may be larger.
        fitting = [
            symbol
            for symbol in self._vmlinux.symbols_named(code.symbol)
            if symbol.kind is not SymbolKind.OBJECT and symbol.size <= code.size
        ]
        if not fitting:
            return (), f"{self._vmlinux.path} has no such {code.symbol}"
        largest = max(symbol.size for symbol in fitting)
        best = [symbol for symbol in fitting if symbol.size == largest]
        if len(best) > 1:
            return (), f"{len(best)} functions of the kernel are named {code.symbol}"
        return (best[0].address + code.offset,), ""

    def _module_code(self, code: CodeAddress) -> tuple[tuple[int, ...], str]:
        found = self._find(code.module, code.build_id)
        if isinstance(found, str):
            return (), found
        if code.build_id and found.build_id and not found.build_id.startswith(code.build_id):
            return (), f"{found.path} is another build than the module that was loaded"
        symbol = found.symbol(code.symbol)
        if symbol is None or symbol.size > code.size or code.offset > code.size:
            return (), f"{found.path} has no such {code.symbol}: it is another build"
        try:
            bases = self._place(found)
        except SymbolError as error:
            return (), error.message
        return (bases[symbol.section_index] + symbol.offset + code.offset,), ""

    def _places(self, address: int) -> tuple[SourcePlace, ...]:
        try:
            found: Iterable[drgn.SourceLocation] = self._drgn.source_location(address)
        except LookupError:
            return ()
        return tuple(SourcePlace(place.name() or "", place.filename, place.line) for place in found if place.line)

    @property
    def _drgn(self) -> drgn.Program:
        if self._program is None:
            program = drgn.Program(drgn.Platform(processor_of(self._vmlinux.machine).architecture))
            kernel = program.extra_module("vmlinux", 0, create=True)
            kernel.address_ranges = [(self._vmlinux.image.start, self._vmlinux.image.end)]
            kernel.try_file(self._vmlinux.path, force=True)
            if kernel.wants_debug_file():
                msg = f"{self._vmlinux.path} has no debug info"
                raise SymbolError(msg, hint="build the kernel with CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y")
            self._program = program
        return self._program

    def _place(self, file: ModuleFile) -> dict[int, int]:
        """Show drgn a module's file; where each of its sections was put, by index. Raises SymbolError."""
        if file.stamp in self._bases:
            return self._bases[file.stamp]
        with ElfFile.open(file.path) as elf:
            file.check_unchanged(elf)
        start = address = _MODULES_AT + len(self._bases) * _APART
        bases = {}
        for section in file.allocated:
            address = -(-address // section.alignment) * section.alignment
            bases[section.index] = address
            address += section.size
        module = self._drgn.relocatable_module(file.name, start, create=True)
        module.address_ranges = [(start, max(address, start + 1))]
        for section in file.allocated:
            module.section_addresses[section.name] = bases[section.index]
        try:
            module.try_file(file.path, force=True)
        except (OSError, ValueError, LookupError) as error:
            msg = f"cannot use {file.path}: {error}"
            raise SymbolError(msg) from error
        if module.wants_debug_file():
            msg = f"{file.path} has no debug info"
            raise SymbolError(msg)
        self._bases[file.stamp] = bases
        return bases
