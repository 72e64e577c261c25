# SPDX-License-Identifier: Apache-2.0
"""A drgn Program of the stopped kernel, over nothing but reads of its memory.

drgn wants a vmcoreinfo note to believe in a kernel. Not every kernel has one, and reading it would cost eight round
trips; the four facts drgn needs of it are known, so it is written here. Virtual memory comes from the target's stub,
which walks the page tables itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import drgn

from nullmodem.errors import KernelDataError, MemoryFault, SymbolError
from nullmodem.kernel.processor import processor_of
from nullmodem.kernel.regions import KERNEL_SPACE
from nullmodem.symbols.elf import ElfFile
from nullmodem.symbols.module_file import PER_CPU

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from nullmodem.kernel.load_map import LoadedSection
    from nullmodem.kernel.memory import Memory
    from nullmodem.kernel.modules import LoadedModule
    from nullmodem.symbols.vmlinux import Vmlinux

_PAGE_SIZE: Final = 4096
_WHOLE_SPACE: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class MappedModule:
    """A loaded module, the file with its debug info (which must not change), and where the file's sections are."""

    module: LoadedModule
    path: Path
    sections: tuple[LoadedSection, ...]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The memory it has, as drgn wants it."""
        return [(region.range.start, region.range.end) for region in self.module.regions]

    def is_load_of(self, before: MappedModule) -> bool:
        """Whether it is the same load of the same file, at most with less memory."""
        same_file = (self.path, self.sections) == (before.path, before.sections)
        return same_file and set(self.module.regions) <= set(before.module.regions)


class KernelProgram:
    """drgn's view of one boot of one kernel: types, objects and stack traces of it and of its modules.

    Reading debug info is lazy; making one takes some 0.1 s. ``memory`` is read whenever drgn wants something, from the
    thread that asks. Errors of ``memory`` other than MemoryFault come through as they are.
    """

    def __init__(self, vmlinux: Vmlinux, slide: int, memory: Memory) -> None:
        self.vmlinux = vmlinux
        self.slide = slide
        self.processor = processor_of(vmlinux.machine)
        self._memory = memory
        self._modules: dict[tuple[str, int], MappedModule] = {}
        self.drgn = self._make()

    def set_modules(self, modules: Iterable[MappedModule]) -> None:
        """Make these the modules drgn knows.

        drgn cannot forget a module: when one is gone, or is not where it was, the program is made anew, and objects of
        the old one must not be used any more. One whose init memory has been freed stays. Raises SymbolError when drgn
        cannot use a module's file.
        """
        wanted = {(mapped.module.name, mapped.module.address): mapped for mapped in modules}
        if not all(key in wanted and wanted[key].is_load_of(mapped) for key, mapped in self._modules.items()):
            self.drgn = self._make()
            self._modules = {}
        for key, mapped in wanted.items():
            known = self._modules.get(key)
            if known is None:
                self._add(mapped)
            elif known != mapped:
                self.drgn.relocatable_module(*key).address_ranges = mapped.ranges
            self._modules[key] = mapped

    def registers_object(self, registers: Mapping[str, int]) -> drgn.Object:
        """A ``struct pt_regs`` with these registers, by gdb's names; those not given are 0."""
        values = {member: registers[name] for name, member in self.processor.saved.items() if name in registers}
        try:
            return drgn.Object(self.drgn, "struct pt_regs", value=values)
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            msg = f"these registers make no struct pt_regs: {error}"
            raise KernelDataError(msg) from error

    def _read(self, address: int, length: int, _offset: int, _physical: bool) -> bytes:
        if address < KERNEL_SPACE:  # where a stack leads that ends in user code: another one's memory
            msg = "no memory of the kernel's"
            raise drgn.FaultError(msg, address)
        try:
            return self._memory.read(address, length)
        except MemoryFault as error:
            raise drgn.FaultError(error.message, address) from error

    def _make(self) -> drgn.Program:
        program = drgn.Program(drgn.Platform(self.processor.architecture))
        program.set_linux_kernel_custom(self._vmcoreinfo(), is_live=True)
        program.add_memory_segment(0, _WHOLE_SPACE, self._read)
        module = program.main_module("kernel", create=True)
        module.try_file(self.vmlinux.path, force=True)
        if module.wants_debug_file():
            msg = f"{self.vmlinux.path} has no debug info"
            raise SymbolError(msg, hint="build the kernel with CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y")
        return program

    def _vmcoreinfo(self) -> str:
        release = self.vmlinux.banner.decode("utf-8", "replace").split(" ")[2]
        lines = [f"OSRELEASE={release}", f"PAGESIZE={_PAGE_SIZE}", f"KERNELOFFSET={self.slide:x}"]
        for name, symbol in (("init_uts_ns", "init_uts_ns"), ("swapper_pg_dir", self.processor.page_table)):
            found = self.vmlinux.symbol(symbol)
            if found is None:
                msg = f"{self.vmlinux.path} has no symbol {symbol}"
                raise SymbolError(msg)
            lines.append(f"SYMBOL({name})={found.address + self.slide:x}")
        return "\n".join(lines) + "\n"

    def _add(self, mapped: MappedModule) -> None:
        loaded = mapped.module
        ElfFile.open(mapped.path).close()  # drgn passes over what it cannot open without a word
        module = self.drgn.relocatable_module(loaded.name, loaded.address, create=True)
        module.address_ranges = mapped.ranges
        for section in mapped.sections:
            if section.present and section.section.name != PER_CPU:
                module.section_addresses[section.section.name] = section.address
        try:
            module.try_file(mapped.path, force=True)
        except (OSError, ValueError, LookupError) as error:
            msg = f"cannot use {mapped.path} for {loaded.name}: {error}"
            raise SymbolError(msg) from error
