# SPDX-License-Identifier: Apache-2.0
"""The vmlinux that is given to gdb: that a real gdb then leaves per-cpu variables alone is tested on a real kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import SymbolError
from nullmodem.symbols.elf import PT_LOAD, SHT_NOBITS, SHT_RELA, ElfFile
from nullmodem.symbols.for_gdb import needs_copy, vmlinux_for_gdb
from nullmodem.symbols.types import TypeInfo
from nullmodem.symbols.vmlinux import Vmlinux
from support.fakekernel import HERE, build_kernel, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def relocated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vmlinux that keeps its relocations, as one made for KASLR does."""
    directory = tmp_path_factory.mktemp("relocated")
    build_kernel(directory)
    link = ["ld", "-static", "-nostdlib", "--build-id=sha1", "--no-warn-rwx-segments", "--emit-relocs"]
    run(*link, "-T", HERE / "fakekernel.ld", "first.o", "second.o", "-o", "vmlinux", cwd=directory)
    return directory / "vmlinux"


def test_the_copy_has_no_segment_at_zero_and_the_same_identity(relocated: Path, tmp_path: Path) -> None:
    vmlinux = Vmlinux.open(relocated)
    assert needs_copy(vmlinux)
    copy = Vmlinux.open(vmlinux_for_gdb(vmlinux, tmp_path))
    assert not needs_copy(copy)
    assert copy.path.name == "vmlinux"
    assert (copy.build_id, copy.banner, copy.per_cpu) == (vmlinux.build_id, vmlinux.banner, vmlinux.per_cpu)
    loads = [segment for segment in copy.segments if segment.type == PT_LOAD]
    assert loads == [segment for segment in vmlinux.segments if segment.type == PT_LOAD and segment.address]
    assert vmlinux_for_gdb(copy, tmp_path) == copy.path


def test_everything_but_relocations_is_the_same_in_the_copy(relocated: Path, tmp_path: Path) -> None:
    copy = vmlinux_for_gdb(Vmlinux.open(relocated), tmp_path)
    with ElfFile.open(relocated) as before, ElfFile.open(copy) as after:
        assert after.length == before.length
        assert any(section.type == SHT_RELA for section in before.sections)
        for old, new in zip(before.sections, after.sections, strict=True):
            assert (new.name, new.address, new.offset) == (old.name, old.address, old.offset)
            if old.type == SHT_RELA:
                assert new.size == 0
            elif old.name == ".data..percpu":
                assert new.type == SHT_NOBITS
            else:
                assert after.data(new) == before.data(old)
    assert TypeInfo.open(copy).size("struct module") == TypeInfo.open(relocated).size("struct module")


def test_a_copy_is_made_once(relocated: Path, tmp_path: Path) -> None:
    first = vmlinux_for_gdb(Vmlinux.open(relocated), tmp_path)
    stamp = first.stat()
    second = vmlinux_for_gdb(Vmlinux.open(relocated), tmp_path)
    assert (second, second.stat().st_ino) == (first, stamp.st_ino)
    assert [path.name for path in first.parent.iterdir()] == ["vmlinux"]


def test_a_kernel_that_needs_no_copy_is_given_as_it_is(relocated: Path, tmp_path: Path) -> None:
    copy = Vmlinux.open(vmlinux_for_gdb(Vmlinux.open(relocated), tmp_path))
    assert vmlinux_for_gdb(copy, tmp_path / "elsewhere") == copy.path
    assert not (tmp_path / "elsewhere").exists()


def test_a_kernel_without_build_id_cannot_be_kept(tmp_path: Path) -> None:
    path = build_kernel(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"\x03\0\0\0GNU\0", b"\x09\0\0\0GNU\0"))
    with pytest.raises(SymbolError, match="has no build-id"):
        vmlinux_for_gdb(Vmlinux.open(path), tmp_path / "copies")


def test_a_place_that_cannot_be_written_is_a_clear_error(relocated: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(SymbolError, match="cannot make a copy") as caught:
        vmlinux_for_gdb(Vmlinux.open(relocated), blocked)
    assert "NULLMODEM_CACHE" in caught.value.hint
