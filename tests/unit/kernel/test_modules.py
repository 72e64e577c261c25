# SPDX-License-Identifier: Apache-2.0
"""Reading modules from memory, in every shape kernels have had, and from memory that makes no sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nullmodem.errors import KernelDataError, MemoryFault, NullmodemError
from nullmodem.kernel.fields import WIRE_READ
from nullmodem.kernel.hooks import ModuleState
from nullmodem.kernel.modules import ModuleReader
from nullmodem.symbols.module_file import ModuleFile
from support.fakekernel import SLIDE, FakeKernel, build_module

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.testing.memory import FakeMemory


def reader_of(kernel: FakeKernel) -> ModuleReader:
    return ModuleReader(kernel.types, kernel.vmlinux, SLIDE)


def wire_reads(memory: FakeMemory) -> int:
    """How many requests the reads would be on a wire that carries WIRE_READ bytes each."""
    return sum(-(-length // WIRE_READ) for _, length in memory.reads)


def test_a_module_is_read_whole_in_every_shape(kernel: FakeKernel, module_file: ModuleFile) -> None:
    memory = kernel.memory()
    loaded = kernel.load(memory, module_file)
    module = reader_of(kernel).read(memory, loaded.address)
    assert (module.name, module.address, module.state) == ("fake_mod", loaded.address, ModuleState.COMING)
    assert module.build_id == module_file.build_id
    assert module.percpu == 0x21968
    assert module.section_addresses == tuple(loaded.sections.values())
    assert module.init_function == loaded.sections[".init.text"]
    expected = {(base, base + size) for base, size in loaded.regions.values() if size}
    assert {(region.range.start, region.range.end) for region in module.regions} == expected


def test_init_memory_and_text_are_told_apart(kernel: FakeKernel, module_file: ModuleFile) -> None:
    memory = kernel.memory()
    loaded = kernel.load(memory, module_file)
    module = reader_of(kernel).read(memory, loaded.address)
    init_text, text = loaded.sections[".init.text"], loaded.sections[".text"]
    assert any(init_text in part for part in module.init)
    assert not any(text in part for part in module.init)
    assert all(any(address in part for part in module.text) for address in (init_text, text))
    assert not any(loaded.sections[".data"] in part for part in module.text)
    region = module.region_of(loaded.sections[".rodata"])
    assert region is not None
    assert region.kind.value == "rodata"
    assert module.region_of(0) is None


def test_a_struct_module_costs_two_reads_of_the_wires_size(kernel: FakeKernel, module_file: ModuleFile) -> None:
    memory = kernel.memory()
    loaded = kernel.load(memory, module_file)
    reader_of(kernel).read(memory, loaded.address, sections=False)
    identity = 0 if kernel.types.has("struct module", "build_id") else 3  # notes_attrs: head, attributes, the note
    assert wire_reads(memory) == 2 + identity


def test_section_addresses_cost_no_more_reads_than_their_length(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    reader = reader_of(layouts)
    module = reader.read(memory, loaded.address, sections=False)
    memory.reads.clear()
    module = reader.with_sections(memory, module)
    stride = layouts.types.size("struct module_sect_attr")
    assert wire_reads(memory) == -(-(8 + stride * len(module.section_addresses)) // WIRE_READ)
    memory.reads.clear()
    assert reader.with_sections(memory, module) is module
    assert memory.reads == []


def test_a_module_without_sect_attrs_yet_has_no_section_addresses(kernel: FakeKernel, module_file: ModuleFile) -> None:
    memory = kernel.memory()
    loaded = kernel.load(memory, module_file)
    kernel.set(memory, "struct module", loaded.address, {"sect_attrs": 0})
    module = reader_of(kernel).read(memory, loaded.address)
    assert (module.sect_attrs, module.section_addresses) == (0, ())


def test_srcversion_is_read_where_no_build_id_is_kept(notes: FakeKernel, module_file: ModuleFile) -> None:
    memory = notes.memory()
    loaded = notes.load(memory, module_file)
    notes.set(memory, "struct module", loaded.address, {"notes_attrs": 0})
    module = reader_of(notes).read(memory, loaded.address)
    assert (module.build_id, module.srcversion) == (None, "0123456789ABCDEF0123456")


def test_the_list_is_walked_from_the_youngest(kernel: FakeKernel, tmp_path: Path) -> None:
    memory = kernel.memory()
    names = ["first", "second", "third"]
    for name in names:
        kernel.load(memory, ModuleFile.open(build_module(tmp_path, name)))
    modules = reader_of(kernel).walk(memory)
    assert [module.name for module in modules] == names[::-1]
    assert all(module.section_addresses for module in modules)


def test_an_empty_list_costs_one_read(layouts: FakeKernel) -> None:
    memory = layouts.memory()
    assert reader_of(layouts).walk(memory) == []
    assert len(memory.reads) == 1


@pytest.mark.parametrize("name", [
    b"../../etc/passwd\0", b"a/b\0", b"a b\0", b"a\x1b[31m\0", b"<b>\0", b"quote\"'\0", b"new\nline\0", b"\0",
    b"x" * 56, b"\xff\xfe\0", b".\0", b"a;ls\0", b"$HOME\0",
])  # fmt: skip
def test_a_name_that_is_none_is_refused_and_shown_harmless(
    layouts: FakeKernel, module_file: ModuleFile, name: bytes
) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    layouts.set(memory, "struct module", loaded.address, {"name": name})
    with pytest.raises(KernelDataError, match="no module name") as caught:
        reader_of(layouts).read(memory, loaded.address)
    assert str(caught.value).isprintable()


def test_an_unknown_state_is_refused(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file, state=77)
    with pytest.raises(KernelDataError, match="unknown state 77"):
        reader_of(layouts).read(memory, loaded.address)


@pytest.mark.parametrize("count", [0, 1025, 2**32 - 1])
def test_an_impossible_number_of_sections_is_refused_unread(
    layouts: FakeKernel, module_file: ModuleFile, count: int
) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    layouts.set(memory, "struct module_sect_attrs", loaded.attributes, {"nsections": count})
    with pytest.raises(KernelDataError, match=f"claim {count} sections"):
        reader_of(layouts).read(memory, loaded.address)
    assert sum(length for _, length in memory.reads) < 2000


def test_a_table_of_attributes_without_end_is_refused(private: FakeKernel, module_file: ModuleFile) -> None:
    memory = private.memory()
    loaded = private.load(memory, module_file)
    endless = 0xFFFF_8880_7000_0000
    memory.add(endless, b"\xff" * (1 << 20))
    private.set(memory, "struct module_sect_attrs", loaded.attributes, {"grp.bin_attrs": endless})
    with pytest.raises(KernelDataError, match=r"claim \d+ sections"):
        reader_of(private).read(memory, loaded.address)


@pytest.mark.parametrize(("member", "value"), [
    ("core_layout.base", 0), ("core_layout.base", 0x40_0000), ("core_layout.size", 0xFFFF_FFFF),
    ("core_layout.base", 2**64 - 4096), ("sect_attrs", 8),
])  # fmt: skip
def test_memory_no_kernel_would_claim_is_refused(
    layouts: FakeKernel, module_file: ModuleFile, member: str, value: int
) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    layouts.set(memory, "struct module", loaded.address, {member: value})
    with pytest.raises(KernelDataError):
        reader_of(layouts).read(memory, loaded.address)


def test_regions_that_overlap_are_refused(layouts: FakeKernel, module_file: ModuleFile) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    base = loaded.regions["text"][0]
    layouts.set(memory, "struct module", loaded.address, {"init_layout.base": base})
    with pytest.raises(KernelDataError, match="overlaps"):
        reader_of(layouts).read(memory, loaded.address)


@pytest.mark.parametrize("following", [0, 0xDEAD_0000_0000_0100, 0xFFFF_FFFF_0000_0000, 0x1000])
def test_a_poisoned_list_is_refused(layouts: FakeKernel, module_file: ModuleFile, following: int) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    layouts.set(memory, "struct module", loaded.address, {"list.next": following})
    with pytest.raises(KernelDataError, match="corrupt after fake_mod"):
        reader_of(layouts).walk(memory)


def test_a_list_that_goes_in_circles_is_refused(layouts: FakeKernel, tmp_path: Path) -> None:
    memory = layouts.memory()
    first = layouts.load(memory, ModuleFile.open(build_module(tmp_path, "first")))
    second = layouts.load(memory, ModuleFile.open(build_module(tmp_path, "second")))
    node = second.address + layouts.types.offset("struct module", "list")
    layouts.set(memory, "struct module", first.address, {"list.next": node})
    with pytest.raises(KernelDataError, match="corrupt after first"):
        reader_of(layouts).walk(memory)


def test_no_module_at_an_address_without_memory(layouts: FakeKernel) -> None:
    with pytest.raises(MemoryFault):
        reader_of(layouts).read(layouts.memory(), 0xFFFF_FFFF_DEAD_0000)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_struct_torn_anywhere_gives_a_module_or_a_clear_error(
    layouts: FakeKernel, module_file: ModuleFile, data: st.DataObject
) -> None:
    memory = layouts.memory()
    loaded = layouts.load(memory, module_file)
    size = layouts.types.size("struct module")
    where = data.draw(st.integers(0, size - 1))
    what = data.draw(st.binary(min_size=1, max_size=64))
    target = data.draw(st.sampled_from([loaded.address, loaded.attributes]))
    try:
        memory.write(target + where, what)
        modules = reader_of(layouts).walk(memory)
    except NullmodemError:
        return
    assert len(modules) == 1
