# SPDX-License-Identifier: Apache-2.0
"""Private copies of modules, a new path for each load."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nullmodem.errors import SymbolError
from nullmodem.symbols.elf import ElfFile
from nullmodem.symbols.module_file import ModuleFile
from nullmodem.symbols.store import NEVER_LOADED, ModuleStore
from support.fakekernel import build_module, run


@pytest.fixture
def path(module_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(module_path, tmp_path / "fake-mod.ko"))


@pytest.fixture
def store(tmp_path: Path) -> ModuleStore:
    return ModuleStore(tmp_path / "store", keep=2)


def content(path: Path) -> dict[str, bytes]:
    """The bytes of every section that a debugger reads."""
    with ElfFile.open(path) as elf:
        return {section.name: elf.data(section) for section in elf.sections if section.name not in NEVER_LOADED}


def contents(store: ModuleStore) -> list[Path]:
    return list((store.directory / "objects").iterdir())


def test_every_load_has_a_path_of_its_own_with_the_same_content(store: ModuleStore, path: Path) -> None:
    file = ModuleFile.open(path)
    paths = [store.instance(file) for _ in range(3)]
    assert len(set(paths)) == 3
    assert {copy.name for copy in paths} == {"fake_mod.ko"}
    assert all(content(copy) == content(path) for copy in paths)
    assert len(contents(store)) == 1


def test_the_sections_of_a_copy_have_no_addresses_and_those_never_loaded_no_size(
    store: ModuleStore, path: Path
) -> None:
    run(
        "objcopy",
        "--set-section-flags",
        ".modinfo=alloc,readonly",
        "--change-section-vma",
        ".data=0x60",
        path,
        cwd=path.parent,
    )
    file = ModuleFile.open(path)
    with ElfFile.open(path) as original, ElfFile.open(store.instance(file)) as copy:
        assert any(section.address for section in original.sections)
        assert not any(section.address for section in copy.sections)
        emptied = [new.name for old, new in zip(original.sections, copy.sections, strict=True) if new.size != old.size]
        assert sorted(emptied) == sorted(NEVER_LOADED)


def test_a_copy_keeps_its_content_when_the_module_is_rebuilt_in_place(
    store: ModuleStore, path: Path, tmp_path: Path
) -> None:
    before = content(path)
    copy = store.instance(ModuleFile.open(path))
    other = tmp_path / "other"
    other.mkdir()
    path.write_bytes(build_module(other, extra=("-O1",)).read_bytes())
    assert content(copy) == before
    second = store.instance(ModuleFile.open(path))
    assert content(second) == content(path) != before
    assert len(contents(store)) == 2


def test_a_file_replaced_since_it_was_parsed_is_refused(store: ModuleStore, path: Path) -> None:
    file = ModuleFile.open(path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(SymbolError, match="was replaced since it was read"):
        store.instance(file)
    path.unlink()
    with pytest.raises(SymbolError):
        store.instance(file)
    assert contents(store) == []


def test_released_copies_go_when_enough_others_were_released(store: ModuleStore, path: Path) -> None:
    file = ModuleFile.open(path)
    kept = store.instance(file)
    released = [store.instance(file) for _ in range(5)]
    for copy in released:
        store.release(copy)
    assert [copy.exists() for copy in released] == [False, False, False, True, True]
    assert kept.exists()
    assert not released[0].parent.exists()
    assert len(contents(store)) == 1


def test_content_goes_with_the_last_copy_of_it(store: ModuleStore, path: Path, tmp_path: Path) -> None:
    store.release(store.instance(ModuleFile.open(path)))
    for name in ("one", "two"):
        store.release(store.instance(ModuleFile.open(build_module(tmp_path, name))))
    assert len(contents(store)) == 2
    again = store.instance(ModuleFile.open(path))
    assert content(again) == content(path)


def test_releasing_twice_or_a_strange_path_is_harmless(store: ModuleStore, path: Path) -> None:
    copy = store.instance(ModuleFile.open(path))
    for _ in range(9):
        store.release(copy)
    store.release(path)
    assert copy.exists()
    assert path.exists()


def test_a_second_store_in_the_same_place_gives_new_paths(store: ModuleStore, path: Path) -> None:
    file = ModuleFile.open(path)
    first = store.instance(file)
    assert ModuleStore(store.directory).instance(file) != first


def test_nobody_else_can_look_at_the_copies(store: ModuleStore, path: Path) -> None:
    copy = store.instance(ModuleFile.open(path))
    assert copy.stat().st_mode & 0o777 == 0o400
    assert copy.parent.stat().st_mode & 0o077 == 0
    assert store.directory.joinpath("objects").stat().st_mode & 0o077 == 0


def test_a_place_that_cannot_be_made_is_a_clear_error(path: Path) -> None:
    with pytest.raises(SymbolError, match="cannot make"):
        ModuleStore(path / "store")


def test_a_place_that_went_away_is_a_clear_error(store: ModuleStore, path: Path) -> None:
    shutil.rmtree(store.directory)
    with pytest.raises(SymbolError, match="cannot keep a copy") as caught:
        store.instance(ModuleFile.open(path))
    assert "disk" in caught.value.hint


def test_a_full_disk_is_a_clear_error_that_leaves_nothing(path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    file = ModuleFile.open(path)
    with pytest.raises(SymbolError, match="cannot make"):
        ModuleStore(full / "store").instance(file)
