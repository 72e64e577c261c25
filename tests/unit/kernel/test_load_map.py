# SPDX-License-Identifier: Apache-2.0
"""Joining the addresses the kernel gave with the sections of the .ko."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import IdentityError, KernelDataError
from nullmodem.kernel.load_map import ABSENT, LoadMaps, check_identity, locate
from nullmodem.kernel.modules import LoadedModule, ModuleReader
from nullmodem.symbols.module_file import PER_CPU, ModuleFile
from support.fakekernel import SLIDE, FakeKernel, build_module

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.testing.memory import FakeMemory

NOT_KEPT = (".modinfo", "__versions")


def read(kernel: FakeKernel, memory: FakeMemory, address: int) -> LoadedModule:
    return ModuleReader(kernel.types, kernel.vmlinux, SLIDE).read(memory, address)


def test_every_section_is_where_the_kernel_put_it(kernel: FakeKernel, module_file: ModuleFile) -> None:
    memory = kernel.memory()
    loaded = kernel.load(memory, module_file)
    sections = locate(read(kernel, memory, loaded.address), module_file)
    assert [found.section for found in sections] == list(module_file.allocated)
    there = {found.section.name: found.address for found in sections if found.present}
    kept = {name: address for name, address in loaded.sections.items() if name not in (".symtab", ".strtab")}
    assert there == {**kept, PER_CPU: 0x21968}


def test_absent_sections_have_addresses_of_their_own_that_are_not_zero(
    layouts: FakeKernel, module_file: ModuleFile
) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    sections = locate(read(layouts, memory, loaded.address), module_file)
    absent = [found for found in sections if not found.present]
    assert {found.section.name for found in absent} == set(NOT_KEPT)
    assert all(found.address in ABSENT for found in absent)
    assert len({found.address for found in sections}) == len(sections)


def test_two_modules_do_not_share_absent_addresses(layouts: FakeKernel, tmp_path: Path) -> None:
    memory = layouts.memory()
    seen: set[int] = set()
    for name in ("first", "second"):
        file = ModuleFile.open(build_module(tmp_path, name))
        sections = locate(read(layouts, memory, layouts.load(memory, file).address), file)
        absent = {found.address for found in sections if not found.present}
        assert not absent & seen
        seen |= absent


def test_init_sections_are_absent_once_they_are_freed(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file, state=0)
    freed = {f"init_layout.{part}": 0 for part in ("base", "size", "text_size", "ro_size", "ro_after_init_size")}
    layouts.set(memory, "struct module", loaded.address, freed)
    sections = locate(read(layouts, memory, loaded.address), module_file)
    assert {found.section.name for found in sections if not found.present} == {".init.text", ".init.data", *NOT_KEPT}


@pytest.mark.parametrize("dropped", [
    (".modinfo", PER_CPU),  # __versions is kept under MODULE_INIT_IGNORE_MODVERSIONS
    (".modinfo", "__versions"),  # per-cpu data was listed before 6.0
    (".modinfo", "__versions", PER_CPU, ".exit.text"),  # without CONFIG_MODULE_UNLOAD
])  # fmt: skip
def test_kernels_that_keep_other_sections_are_understood(
    layouts: FakeKernel, module_file: ModuleFile, dropped: tuple[str, ...]
) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file, dropped=dropped)
    sections = locate(read(layouts, memory, loaded.address), module_file)
    for found in sections:
        if found.section.name != PER_CPU:
            assert found.present == (found.section.name in loaded.sections), found.section.name
            assert not found.present or found.address == loaded.sections[found.section.name]


def test_addresses_that_do_not_fit_the_file_are_refused(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    module = read(layouts, memory, layouts.load(memory, module_file).address)
    addresses = module.section_addresses
    swapped = (addresses[1], addresses[0], *addresses[2:])
    for wrong in (addresses[:-1], (*addresses, addresses[-1]), addresses[::-1], swapped, (0,) * len(addresses),
                  (2**64 - 1,) * len(addresses), (addresses[0] + 1, *addresses[1:])):  # fmt: skip
        with pytest.raises(KernelDataError, match="do not fit"):
            locate(replace(module, section_addresses=wrong), module_file)


def test_a_struct_module_elsewhere_than_its_section_is_refused(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    module = read(layouts, memory, layouts.load(memory, module_file).address)
    with pytest.raises(KernelDataError, match="do not fit"):
        locate(replace(module, address=module.address + 64), module_file)


def test_before_the_kernel_knows_them_there_are_no_addresses(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    module = read(layouts, memory, layouts.load(memory, module_file).address)
    with pytest.raises(KernelDataError, match="has not told") as caught:
        locate(replace(module, section_addresses=()), module_file)
    assert "do_init_module" in caught.value.hint


def test_a_rebuilt_file_is_refused_with_both_identities(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    module = read(layouts, memory, layouts.load(memory, module_file).address)
    check_identity(module, module_file)
    with pytest.raises(IdentityError, match=r"loaded: build-id 0{40}\n  file:   build-id [0-9a-f]{40}"):
        check_identity(replace(module, build_id=bytes(20)), module_file)
    with pytest.raises(IdentityError, match="is the module fake_mod, not other"):
        check_identity(replace(module, name="other"), module_file)


def test_srcversion_decides_where_there_is_no_build_id(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    module = replace(read(layouts, memory, layouts.load(memory, module_file).address), build_id=None)
    check_identity(replace(module, srcversion="0123456789ABCDEF0123456"), module_file)
    with pytest.raises(IdentityError, match="loaded: srcversion 99"):
        check_identity(replace(module, srcversion="99"), module_file)
    with pytest.raises(IdentityError, match="nothing tells") as caught:
        check_identity(module, module_file)
    assert "CONFIG_MODULE_SRCVERSION_ALL" in caught.value.hint


def test_a_build_that_was_loaded_before_is_located_without_reading(kernel: FakeKernel, module_file: ModuleFile) -> None:
    memory = kernel.memory()
    reader = ModuleReader(kernel.types, kernel.vmlinux, SLIDE)
    maps = LoadMaps(reader)
    first = reader.read(memory, kernel.load(memory, module_file).address, sections=False)
    assert maps.locate(memory, first, module_file) == locate(reader.read(memory, first.address), module_file)

    second = reader.read(memory, kernel.load(memory, module_file).address, sections=False)
    memory.reads.clear()
    found = maps.locate(memory, second, module_file)
    assert memory.reads == []
    assert found == locate(reader.read(memory, second.address), module_file)
    assert [there.address for there in found] != [there.address for there in maps.locate(memory, first, module_file)]


def test_what_was_remembered_is_not_used_when_the_memory_has_other_sizes(
    layouts: FakeKernel, module_file: ModuleFile
) -> None:
    memory = layouts.memory()
    reader = ModuleReader(layouts.types, layouts.vmlinux, SLIDE)
    maps = LoadMaps(reader)
    first = reader.read(memory, layouts.load(memory, module_file).address, sections=False)
    maps.locate(memory, first, module_file)
    freed = replace(first, regions=tuple(region for region in first.regions if not region.kind.is_init))
    memory.reads.clear()
    assert {found.section.name for found in maps.locate(memory, freed, module_file) if not found.present} >= {
        ".init.text"
    }
    assert memory.reads != []


def test_a_module_first_seen_when_live_is_not_remembered(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    reader = ModuleReader(layouts.types, layouts.vmlinux, SLIDE)
    maps = LoadMaps(reader)
    whole = reader.read(memory, layouts.load(memory, module_file).address)
    live = replace(whole, regions=tuple(region for region in whole.regions if not region.kind.is_init))
    maps.locate(memory, live, module_file)
    memory.reads.clear()
    maps.locate(memory, replace(whole, section_addresses=()), module_file)
    assert memory.reads != []


def test_another_build_is_refused_before_anything_is_remembered(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    reader = ModuleReader(layouts.types, layouts.vmlinux, SLIDE)
    module = reader.read(memory, layouts.load(memory, module_file).address)
    with pytest.raises(IdentityError):
        LoadMaps(reader).locate(memory, replace(module, build_id=bytes(20)), module_file)
