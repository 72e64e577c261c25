# SPDX-License-Identifier: Apache-2.0
"""Reading ELF files, good ones and hostile ones: each of the latter is one clear SymbolError."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nullmodem.errors import SymbolError
from nullmodem.symbols.elf import ElfFile, find_build_id
from nullmodem.symbols.lines import LineTable
from nullmodem.symbols.module_file import ModuleFile
from nullmodem.symbols.vmlinux import Vmlinux

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IN_HEADER = {
    "e_machine": (18, "<H"), "e_phoff": (32, "<Q"), "e_shoff": (40, "<Q"), "e_phentsize": (54, "<H"),
    "e_phnum": (56, "<H"), "e_shentsize": (58, "<H"), "e_shnum": (60, "<H"), "e_shstrndx": (62, "<H"),
}  # fmt: skip
IN_SECTION = {
    "sh_name": (0, "<I"), "sh_type": (4, "<I"), "sh_flags": (8, "<Q"), "sh_addr": (16, "<Q"), "sh_offset": (24, "<Q"),
    "sh_size": (32, "<Q"), "sh_link": (40, "<I"), "sh_addralign": (48, "<Q"),
}  # fmt: skip


def use_everything(path: Path) -> None:
    """Everything nullmodem reads of a file it is given, whatever it is."""
    for use in (use_module, use_vmlinux):
        with suppress(SymbolError):
            use(path)


def use_module(path: Path) -> None:
    file = ModuleFile.open(path)
    assert (file.init_function, file.exit_function, file.functions, file.identity) is not None
    for section in file.sections:
        with suppress(SymbolError):
            file.section_bytes(section.name)
    table = LineTable.of_module(file)
    assert table.places("fakemodule.c", 1) is not None


def use_vmlinux(path: Path) -> None:
    vmlinux = Vmlinux.open(path)
    try:
        for question in (lambda: vmlinux.banner, lambda: vmlinux.text, lambda: vmlinux.init, lambda: vmlinux.per_cpu,
                         lambda: vmlinux.section_ranges, lambda: vmlinux.symbol_at(1 << 63)):  # fmt: skip
            with suppress(SymbolError):
                question()
    finally:
        vmlinux.close()


def patched(original: Path, to: Path, offset: int, form: str, value: int) -> Path:
    raw = bytearray(original.read_bytes())
    struct.pack_into(form, raw, offset, value)
    to.write_bytes(raw)
    return to


def section_header(path: Path, name: str) -> int:
    """File offset of the header of a section."""
    with ElfFile.open(path) as elf:
        section = elf.section(name)
        assert section is not None
        return elf.section_table + section.index * 64


def test_sections_symbols_and_data_are_those_of_the_file(module_path: Path) -> None:
    with ElfFile.open(module_path) as elf:
        data = elf.section(".data")
        bss = elf.section(".bss")
        assert data is not None
        assert bss is not None
        assert elf.data(data) == struct.pack("<i", 1)
        assert elf.data(bss) == b""
        assert elf.section(".nothing") is None
        names = {symbol.name for symbol in elf.symbols()}
        assert names >= {b"init_module", b"example_init", b"hot", b"rodata"}
        text = elf.section(".init.text")
        assert text is not None
        assert len(list(elf.relocations(text))) >= 3
        assert len(elf.build_id() or b"") == 20


@pytest.mark.parametrize(("content", "says", "hint"), [
    (b"", "is empty", "vmlinux"),
    (b"#!/bin/sh\n", "not an ELF file", "vmlinux"),
    (b"\xfd7zXZ\0rest", "compressed with xz", "xz -dk"),
    (b"\x28\xb5\x2f\xfdrest", "compressed with zstd", "zstd -dk"),
    (b"\x1f\x8brest", "compressed with gzip", "gzip -dk"),
    (b"MZ" + bytes(600), "bzImage", "vmlinux"),
    (b"!<arch>\n", "archive", ".ko"),
    (b"BC\xc0\xde", "bitcode", "LTO"),
    (b"\x7fELF", "ends inside its header", "again"),
    (b"\x7fELF\x01\x01\x01" + bytes(57), "32-bit little-endian", ""),
    (b"\x7fELF\x02\x02\x01" + bytes(57), "64-bit big-endian", ""),
    (b"\x7fELF\x07\x09\x01" + bytes(57), "class 7 byte order 9", ""),
])  # fmt: skip
def test_what_is_no_usable_elf_file_is_named_for_what_it_is(
    tmp_path: Path, content: bytes, says: str, hint: str
) -> None:
    path = tmp_path / "file.ko"
    path.write_bytes(content)
    for opened in (ElfFile.open, ModuleFile.open, Vmlinux.open):
        with pytest.raises(SymbolError, match=says) as caught:
            opened(path)
        assert hint in caught.value.hint
        assert str(path) in caught.value.message


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(SymbolError, match="No such file"):
        ElfFile.open(tmp_path / "none")
    with pytest.raises(SymbolError, match="not a regular file"):
        ElfFile.open(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SymbolError, match="not a regular file"):
        ElfFile.open(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(SymbolError, match="symbolic links"):
        ElfFile.open(tmp_path / "loop")


@pytest.mark.parametrize("field", IN_HEADER)
@pytest.mark.parametrize("value", [0, 1, 0xFF, 0xFFF0, 0xFFFF])
def test_a_hostile_header_is_refused_or_harmless(module_path: Path, tmp_path: Path, field: str, value: int) -> None:
    offset, form = IN_HEADER[field]
    use_everything(patched(module_path, tmp_path / "m.ko", offset, form, value))


@pytest.mark.parametrize("field", IN_SECTION)
@pytest.mark.parametrize("value", [0, 1, 3, 0xFFFF_FFFF, 2**63, 2**64 - 1])
@pytest.mark.parametrize("section", [".symtab", ".strtab", ".shstrtab", ".modinfo", ".debug_line", ".note.gnu.build-id",
                                     ".rela.debug_line", ".gnu.linkonce.this_module"])  # fmt: skip
def test_a_hostile_section_is_refused_or_harmless(
    module_path: Path, tmp_path: Path, section: str, field: str, value: int
) -> None:
    offset, form = IN_SECTION[field]
    value &= (1 << struct.calcsize(form) * 8) - 1
    at = section_header(module_path, section) + offset
    use_everything(patched(module_path, tmp_path / "m.ko", at, form, value))


def test_every_truncation_is_refused_or_harmless(module_path: Path, tmp_path: Path) -> None:
    raw = module_path.read_bytes()
    path = tmp_path / "m.ko"
    for length in range(0, len(raw), 97):
        path.write_bytes(raw[:length])
        use_everything(path)


@pytest.mark.parametrize("file", ["module_path", "kernel_path"])
def test_any_damage_is_refused_or_harmless(request: pytest.FixtureRequest, tmp_path: Path, file: str) -> None:
    original: Path = request.getfixturevalue(file)
    content = original.read_bytes()
    path = tmp_path / "damaged"
    write: Callable[[bytes], int] = path.write_bytes

    @settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
    @given(damage=st.lists(st.tuples(st.integers(0, len(content) - 1), st.binary(min_size=1, max_size=9)), max_size=6))
    def damaged(damage: list[tuple[int, bytes]]) -> None:
        raw = bytearray(content)
        for at, what in damage:
            raw[at : at + len(what)] = what
        write(bytes(raw))
        use_everything(path)

    damaged()


@given(content=st.binary(max_size=300))
def test_notes_of_any_content_hold_a_build_id_or_none(content: bytes) -> None:
    found = find_build_id(content)
    assert found is None or found in content


def test_a_build_id_behind_other_notes_is_found() -> None:
    other = struct.pack("<III", 6, 5, 1) + b"Linux\0\0\0" + b"12345\0\0\0"
    note = struct.pack("<III", 4, 20, 3) + b"GNU\0" + bytes(range(20))
    assert find_build_id(other + note) == bytes(range(20))
    assert find_build_id(other + note[:-1]) is None
    assert find_build_id(other) is None
    assert find_build_id(struct.pack("<III", 0xFFFF_FFFF, 0xFFFF_FFFF, 3) + note) is None


def test_a_file_that_shrinks_while_it_is_read_is_refused(module_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.ko"
    path.write_bytes(module_path.read_bytes())
    with ElfFile.open(path) as elf:
        text = elf.section(".text")
        assert text is not None
        path.write_bytes(b"")
        with pytest.raises(SymbolError, match="shrank"):
            elf.data(text)


def test_compressed_debug_info_says_which_option_to_change(module_path: Path, tmp_path: Path) -> None:
    offset, form = IN_SECTION["sh_flags"]
    at = section_header(module_path, ".debug_line") + offset
    path = patched(module_path, tmp_path / "m.ko", at, form, 0x800)
    with pytest.raises(SymbolError, match="is compressed") as caught:
        LineTable.of_module(ModuleFile.open(path))
    assert "CONFIG_DEBUG_INFO_COMPRESSED_NONE" in caught.value.hint
