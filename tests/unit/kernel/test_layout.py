# SPDX-License-Identifier: Apache-2.0
"""Where sections should be, and that the kernel's own addresses decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.kernel.layout import predict, telling
from nullmodem.kernel.load_map import LoadMaps, locate
from nullmodem.kernel.modules import ModuleReader
from nullmodem.symbols.module_file import PER_CPU, ModuleSection
from support.fakekernel import SLIDE, FakeKernel, Loaded

if TYPE_CHECKING:
    from nullmodem.kernel.modules import LoadedModule
    from nullmodem.symbols.module_file import ModuleFile
    from nullmodem.testing.memory import FakeMemory


def reader_of(kernel: FakeKernel) -> ModuleReader:
    return ModuleReader(kernel.types, kernel.vmlinux, SLIDE)


def kept(file: ModuleFile, loaded: Loaded) -> list[ModuleSection]:
    """The sections the kernel has kept, in the order of its list."""
    return [section for section in file.sections if section.name in loaded.sections and section.size]


def put(kernel: FakeKernel, memory: FakeMemory, loaded: Loaded, position: int, address: int) -> None:
    """Change an address in the kernel's list."""
    kernel.set(memory, "struct module_sect_attrs", loaded.attributes, {f"attrs[{position}].address": address})


def bytes_read(memory: FakeMemory) -> int:
    return sum(length for _address, length in memory.reads)


def both(kernel: FakeKernel, memory: FakeMemory, address: int, file: ModuleFile) -> tuple[object, object]:
    """The load map as it is found, and as the kernel's whole list has it."""
    reader = reader_of(kernel)
    module = reader.read(memory, address, sections=False)
    return LoadMaps(reader).locate(memory, module, file), locate(reader.read(memory, address), file)


def test_sections_are_predicted_where_the_kernel_puts_them(kernel: FakeKernel, module_file: ModuleFile) -> None:
    memory = kernel.memory()
    loaded = kernel.load(memory, module_file)
    module = reader_of(kernel).read(memory, loaded.address, sections=False)
    sections = kept(module_file, loaded)
    expected = {section.index: loaded.sections[section.name] for section in sections if section.allocated}
    assert predict(module.regions, sections) == expected


def test_nothing_is_predicted_of_init_once_it_is_freed(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    module: LoadedModule = reader_of(layouts).read(memory, loaded.address, sections=False)
    left = [region for region in module.regions if not region.kind.is_init]
    sections = kept(module_file, loaded)
    found = predict(left, sections)
    assert {section.name for section in sections if section.index in found} == {
        name for name in loaded.sections if not name.startswith((".init", ".symtab", ".strtab"))
    }


def test_code_and_the_last_of_each_region_tell() -> None:
    def section(index: int, name: str, *, executable: bool = False, writable: bool = False) -> ModuleSection:
        return ModuleSection(index, name, 8, 8, True, executable, writable, False)  # noqa: FBT003

    sections = [
        section(1, ".note"), section(2, ".text", executable=True), section(3, ".rodata"),
        section(4, ".text.unlikely", executable=True), section(5, ".data", writable=True),
        section(6, PER_CPU, writable=True), section(7, ".bss", writable=True),
        section(8, ".init.text", executable=True),
    ]  # fmt: skip
    assert telling(sections, {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 7: 7}) == (1, 2, 3, 6)


def test_a_part_of_the_kernels_list_is_enough(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    reader = reader_of(layouts)
    module = reader.read(memory, loaded.address, sections=False)
    memory.reads.clear()
    found = LoadMaps(reader).locate(memory, module, module_file)
    stride = layouts.types.size("struct module_sect_attr")
    assert bytes_read(memory) < stride * len(loaded.sections) * 0.75
    assert found == locate(reader.read(memory, loaded.address), module_file)


def test_a_section_that_is_elsewhere_is_where_the_kernel_says(layouts: FakeKernel, module_file: ModuleFile) -> None:
    """Whichever it is of those that hold code: all addresses are read then."""
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    sections = kept(module_file, loaded)
    code = [position for position, section in enumerate(sections) if section.executable]
    assert len(code) == 4
    for position in code:
        section = sections[position]
        address = loaded.sections[section.name]
        elsewhere = address + 0x800  # in the same region, and over nothing else
        put(layouts, memory, loaded, position, elsewhere)
        found, told = both(layouts, memory, loaded.address, module_file)
        assert found == told
        assert isinstance(found, tuple)
        assert elsewhere in [each.address for each in found]
        put(layouts, memory, loaded, position, address)


def test_a_kernel_that_has_kept_other_sections_is_read_whole(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    for dropped in ((".modinfo", PER_CPU), (".modinfo", "__versions"),
                    (".modinfo", "__versions", PER_CPU, ".exit.text")):  # fmt: skip
        loaded = layouts.load(memory, module_file, dropped=dropped)
        found, told = both(layouts, memory, loaded.address, module_file)
        assert found == told
