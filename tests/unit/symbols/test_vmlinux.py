# SPDX-License-Identifier: Apache-2.0
"""What a vmlinux says."""

from __future__ import annotations

from pathlib import Path

import pytest

from nullmodem.errors import SymbolError
from nullmodem.symbols.ranges import AddressRange
from nullmodem.symbols.types import TypeInfo
from nullmodem.symbols.vmlinux import SymbolKind, Vmlinux
from support.fakekernel import build_kernel, run

TEXT = 0xFFFF_FFFF_8100_0000


@pytest.fixture
def vmlinux(kernel_path: Path) -> Vmlinux:
    return Vmlinux.open(kernel_path)


def test_identity_banner_and_ranges(vmlinux: Vmlinux, kernel_path: Path) -> None:
    assert vmlinux.path == kernel_path
    assert vmlinux.machine == 62
    assert len(vmlinux.build_id or b"") == 20
    assert vmlinux.banner.startswith(b"Linux version 6.1.99-fake ")
    assert not vmlinux.banner.endswith(b"\n")
    assert vmlinux.text.start == vmlinux.image.start == TEXT
    assert vmlinux.text.end < vmlinux.init.start < vmlinux.image.end
    assert vmlinux.per_cpu is not None
    assert (vmlinux.per_cpu.start, vmlinux.per_cpu.size >= 64) == (0, True)
    assert vmlinux.section_ranges[".text"].start == TEXT
    assert ".debug_info" not in vmlinux.section_ranges
    assert vmlinux.has_debug_info


def test_symbols_are_found_by_name(vmlinux: Vmlinux) -> None:
    init_task = vmlinux.symbol("init_task")
    assert init_task is not None
    assert (init_task.kind, init_task.is_local) == (SymbolKind.OBJECT, False)
    assert init_task.size > 1000
    hook = vmlinux.symbol("do_init_module")
    assert hook is not None
    assert hook.is_local
    assert vmlinux.symbol("nothing") is None
    assert vmlinux.symbols_named("nothing") == ()
    assert len(vmlinux.symbols_named("module_event")) == 2


def test_symbols_are_found_by_address(vmlinux: Vmlinux) -> None:
    symbol = vmlinux.symbol("do_init_module")
    assert symbol is not None
    assert vmlinux.symbol_at(symbol.address) == symbol
    assert vmlinux.symbol_at(symbol.address + symbol.size - 1) == symbol
    assert vmlinux.symbol_at(0) is None
    assert vmlinux.symbol_at(vmlinux.image.end) is None
    assert vmlinux.symbol_at(2**64 - 1) is None


def test_functions_come_by_address(vmlinux: Vmlinux) -> None:
    functions = vmlinux.functions
    assert [function.address for function in functions] == sorted(function.address for function in functions)
    assert {function.kind for function in functions} == {SymbolKind.FUNCTION}


def test_static_content_is_read_by_link_address(vmlinux: Vmlinux) -> None:
    banner = vmlinux.symbol("linux_banner")
    assert banner is not None
    assert vmlinux.read_static(banner.address, 13) == b"Linux version"
    for address in (0x1000_0000, vmlinux.image.end - 8, 2**64 - 1):
        with pytest.raises(SymbolError, match="holds no"):
            vmlinux.read_static(address, 8)


def test_a_stripped_kernel_is_refused(kernel_path: Path, tmp_path: Path) -> None:
    run("strip", "-o", tmp_path / "stripped", kernel_path, cwd=tmp_path)
    with pytest.raises(SymbolError, match="has no symbols: it is stripped") as caught:
        Vmlinux.open(tmp_path / "stripped")
    assert "build tree" in caught.value.hint


def test_a_program_is_no_kernel() -> None:
    with pytest.raises(SymbolError, match="stripped, or not a Linux kernel"):
        Vmlinux.open(Path("/bin/sh").resolve())


def test_an_object_file_is_no_kernel(module_path: Path) -> None:
    with pytest.raises(SymbolError, match="no loadable segments"):
        Vmlinux.open(module_path)


def test_a_kernel_whose_banner_is_nonsense_is_refused(tmp_path: Path) -> None:
    path = build_kernel(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Linux version", b"Minix version"))
    vmlinux = Vmlinux.open(path)
    with pytest.raises(SymbolError, match="linux_banner says"):
        _ = vmlinux.banner


def test_closing_is_harmless_twice(vmlinux: Vmlinux) -> None:
    symbol = vmlinux.symbol("init_task")
    vmlinux.close()
    vmlinux.close()
    assert vmlinux.symbol("init_task") == symbol


def test_types_are_the_kernels_own(kernel_path: Path) -> None:
    types = TypeInfo.open(kernel_path)
    assert types.offset("struct module", "name") == types.offset("struct module", "list.prev") + 8
    assert types.has("struct module", "core_layout.base")
    assert not types.has("struct module", "mem")
    assert not types.has("struct nothing", "at_all")
    assert types.size("struct inactive_task_frame") == 56
    assert types.member_size("struct module", "name") == 56
    assert types.member_size("struct module", "core_layout.text_size") == 4
    assert types.enumerators("enum module_state")["MODULE_STATE_GOING"] == 2
    assert types.function_address("nothing", "debug_core.c") is None
    for question in (
        lambda: types.offset("struct module", "colour"),
        lambda: types.member_size("struct module", "name.colour"),
        lambda: types.size("struct nothing"),
        lambda: types.size("struct {"),
        lambda: types.enumerators("enum nothing"),
        lambda: types.enumerators("struct module"),
    ):
        with pytest.raises(LookupError):
            question()


def test_members_of_arrays_are_found(tmp_path: Path) -> None:
    types = TypeInfo.open(build_kernel(tmp_path, "MEM"))
    assert types.offset("struct module", "mem[1].size") == types.offset("struct module", "mem[0].size") + 72
    assert types.member_size("struct module", "mem[1].size") == 4


def test_types_of_what_is_no_kernel_are_refused(kernel_path: Path, tmp_path: Path) -> None:
    with pytest.raises(SymbolError, match="No such file"):
        TypeInfo.open(tmp_path / "none")
    run("objcopy", "--strip-debug", kernel_path, "bare", cwd=tmp_path)
    with pytest.raises(SymbolError, match="has no debug info") as caught:
        TypeInfo.open(tmp_path / "bare")
    assert "CONFIG_DEBUG_INFO" in caught.value.hint


def test_ranges_are_half_open() -> None:
    part = AddressRange.sized(0x1000, 0x100)
    assert (part.end, part.size, bool(part), str(part)) == (0x1100, 0x100, True, "0x1000..0x1100")
    assert 0x1000 in part
    assert 0x1100 not in part
    assert "text" not in part
    assert part.overlaps(AddressRange(0x10FF, 0x2000))
    assert not part.overlaps(AddressRange(0x1100, 0x2000))
    assert not part.overlaps(AddressRange(0x1050, 0x1050))
    assert part.covers(AddressRange(0x1000, 0x1100))
    assert part.covers(AddressRange(0x1100, 0x1100))
    assert not part.covers(AddressRange(0x0FFF, 0x1001))
    assert part.shifted(-0x1000) == AddressRange(0, 0x100)
    assert not AddressRange(5, 5)
    for start, end in ((2, 1), (-1, 1), (0, 2**64 + 1)):
        with pytest.raises(ValueError, match="not a range"):
            AddressRange(start, end)
