# SPDX-License-Identifier: Apache-2.0
"""What a .ko says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import SymbolError
from nullmodem.symbols.module_file import ModuleFile, ModuleParameter
from nullmodem.symbols.vmlinux import SymbolKind
from support.fakekernel import build_module, run

if TYPE_CHECKING:
    from pathlib import Path

X86_64, AARCH64 = 62, 183


def test_a_module_tells_name_build_and_parameters(module_path: Path) -> None:
    file = ModuleFile.open(str(module_path), machine=X86_64)
    assert file.path == module_path
    assert file.name == "fake_mod"
    assert (file.srcversion, file.vermagic) == ("0123456789ABCDEF0123456", "6.1.99-fake SMP mod_unload ")
    assert file.depends == ("first", "second")
    assert file.params == (
        ModuleParameter("number", "int", "a plain integer"), ModuleParameter("other", "", "described only"),
        ModuleParameter("silent", "", ""),
    )  # fmt: skip
    assert len(file.build_id or b"") == 20
    assert str(file.identity).startswith("build-id ")
    assert file.has_debug_info


def test_sections_are_told_in_header_order_with_what_they_are(module_path: Path) -> None:
    file = ModuleFile.open(module_path)
    assert [section.index for section in file.sections] == list(range(1, len(file.sections) + 1))
    allocated = [section.name for section in file.allocated]
    assert allocated[:5] == [".note.gnu.build-id", ".text", ".text.unlikely", ".init.text", ".exit.text"]
    assert ".debug_line" not in allocated
    named = {section.name: section for section in file.sections}
    assert named[".init.text"].is_init
    assert named[".exit.text"].is_exit
    assert named[".text"].executable
    assert not named[".text"].is_init
    assert named[".data"].writable
    assert named[".bss"].nobits
    assert named[".gnu.linkonce.this_module"].alignment == 64
    assert file.section(".nothing") is None


def test_init_and_exit_have_the_names_of_the_source(module_path: Path) -> None:
    file = ModuleFile.open(module_path)
    init, leave = file.init_function, file.exit_function
    assert init is not None
    assert leave is not None
    assert (init.name, init.section, init.offset, init.source_file) == ("example_init", ".init.text", 0, "fakemodule.c")
    assert (leave.name, leave.section) == ("example_exit", ".exit.text")
    assert init.kind is SymbolKind.FUNCTION
    assert init.size > 0


def test_functions_and_objects_are_found_by_name_and_by_place(module_path: Path) -> None:
    file = ModuleFile.open(module_path)
    hot, rare = file.symbol("hot"), file.symbol("rare")
    assert hot is not None
    assert rare is not None
    assert not hot.is_local
    assert rare.is_local
    assert rare.section == ".text.unlikely"
    assert file.symbol("nothing") is None
    assert file.symbol_at(".text", hot.offset + hot.size - 1) == hot
    assert file.symbol_at(".text", 1 << 20) is None
    assert file.symbol_at(".init.text", 0) == file.init_function
    assert {"hot", "rare", "example_init", "init_module"} <= {function.name for function in file.functions}
    assert "data" not in {function.name for function in file.functions}


def test_a_module_without_init_has_none(tmp_path: Path) -> None:
    source = tmp_path / "none.c"
    source.write_text('__attribute__((section(".gnu.linkonce.this_module"))) char it[64] = "x";')
    file = ModuleFile.open(build_module(tmp_path, "none", source=source))
    assert (file.init_function, file.exit_function) == (None, None)
    assert (file.name, file.srcversion, file.depends, file.params) == ("none", None, (), ())
    assert str(file.identity).startswith("build-id")


def test_an_init_called_init_module_keeps_that_name(tmp_path: Path) -> None:
    source = tmp_path / "plain.c"
    source.write_text(
        '__attribute__((section(".gnu.linkonce.this_module"))) char it[64] = "x"; int init_module(void) { return 0; }'
    )
    init = ModuleFile.open(build_module(tmp_path, "plain", source=source)).init_function
    assert init is not None
    assert (init.name, init.section) == ("init_module", ".text")


def test_a_stripped_module_has_no_debug_info(module_path: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped.ko"
    run("objcopy", "--strip-debug", module_path, stripped, cwd=tmp_path)
    assert not ModuleFile.open(stripped).has_debug_info
    assert ModuleFile.open(stripped).identity == ModuleFile.open(module_path).identity


def test_a_file_before_4_13_is_called_by_its_file_name(tmp_path: Path) -> None:
    source = tmp_path / "old.c"
    source.write_text('__attribute__((section(".gnu.linkonce.this_module"))) char it[64] = "x";')
    path = build_module(tmp_path, "old", source=source).rename(tmp_path / "some-driver.ko")
    assert ModuleFile.open(path).name == "some_driver"


@pytest.mark.parametrize("name", ["../../x", "a b", "", "x" * 56, "<b>", "a\x1bb", "é"])
def test_a_name_no_module_can_have_is_refused(tmp_path: Path, module_path: Path, name: str) -> None:
    info = tmp_path / "info"
    info.write_bytes(b"name=" + name.encode() + b"\0")
    bad = tmp_path / "bad.ko"
    run("objcopy", "--update-section", f".modinfo={info}", module_path, bad, cwd=tmp_path)
    with pytest.raises(SymbolError, match="no module name") as caught:
        ModuleFile.open(bad)
    assert caught.value.message.isprintable()


def test_another_machines_module_is_refused(module_path: Path) -> None:
    with pytest.raises(SymbolError, match="is for x86-64, the kernel for AArch64") as caught:
        ModuleFile.open(module_path, machine=AARCH64)
    assert "CROSS_COMPILE" in caught.value.hint
    with pytest.raises(SymbolError, match="the kernel for ELF machine 4711"):
        ModuleFile.open(module_path, machine=4711)


def test_what_is_no_module_says_what_it_is(tmp_path: Path, kernel_path: Path) -> None:
    with pytest.raises(SymbolError, match="is a linked program or library"):
        ModuleFile.open(kernel_path)
    (tmp_path / "x.c").write_text("int x;\n")
    run("gcc", "-c", "x.c", cwd=tmp_path)
    with pytest.raises(SymbolError, match="an object file but no kernel module") as caught:
        ModuleFile.open(tmp_path / "x.o")
    assert ".ko" in caught.value.hint


def test_sections_are_read_only_from_the_file_that_was_parsed(module_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.ko"
    path.write_bytes(module_path.read_bytes())
    file = ModuleFile.open(path)
    assert file.section_bytes(".data") == b"\1\0\0\0"
    assert file.section_bytes(".bss") == b""
    with pytest.raises(SymbolError, match="has no section"):
        file.section_bytes(".nothing")
    path.unlink()
    path.write_bytes(module_path.read_bytes())
    with pytest.raises(SymbolError, match="was replaced since it was read"):
        file.section_bytes(".data")
