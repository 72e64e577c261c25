# SPDX-License-Identifier: Apache-2.0
"""Modules as distributions ship them: compressed, and with debug info in a file of its own."""

from __future__ import annotations

import contextlib
import gzip
import lzma
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nullmodem.errors import SymbolError
from nullmodem.symbols import plain as plain_module
from nullmodem.symbols.finder import Mismatch, ModuleFinder
from nullmodem.symbols.lines import LineTable
from nullmodem.symbols.module_file import ModuleFile
from nullmodem.symbols.plain import PlainFiles, join
from support.fakekernel import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.compress,
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.fixture
def files(tmp_path: Path) -> PlainFiles:
    return PlainFiles(tmp_path / "unpacked", debug_root=tmp_path / "debug")


@pytest.fixture
def split(module_path: Path, tmp_path: Path) -> tuple[Path, Path]:
    """The module as a package has it: stripped, and its debug info."""
    place = tmp_path / "lib" / "modules"
    place.mkdir(parents=True)
    stripped, debug = place / "fake_mod.ko", place / "fake_mod.ko.debug"
    run("objcopy", "--only-keep-debug", str(module_path), str(debug), cwd=place)
    run("objcopy", "--strip-debug", str(module_path), str(stripped), cwd=place)
    return stripped, debug


@pytest.mark.parametrize("suffix", list(PACKERS))
def test_a_compressed_module_is_found_by_build_id(
    files: PlainFiles, module_path: Path, tmp_path: Path, suffix: str
) -> None:
    file = ModuleFile.open(module_path)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / f"fake-mod.ko{suffix}").write_bytes(PACKERS[suffix](module_path.read_bytes()))
    found = ModuleFinder([tree], plain=files).find("fake_mod", file.build_id, None)
    assert isinstance(found, ModuleFile)
    assert found.path.read_bytes() == module_path.read_bytes()
    again = ModuleFinder([tree], plain=files).find("fake_mod", file.build_id, None)
    assert isinstance(again, ModuleFile)
    assert again.path == found.path
    other = ModuleFinder([tree], plain=files).find("fake_mod", bytes(20), None)
    assert isinstance(other, Mismatch)
    assert f"fake-mod.ko{suffix}: another build" in other.describe()


@pytest.mark.parametrize("suffix", list(PACKERS))
def test_a_bomb_is_refused_and_leaves_nothing(
    files: PlainFiles, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_module, "SIZE_LIMIT", 3 << 20)
    bomb = tmp_path / f"bomb.ko{suffix}"
    bomb.write_bytes(PACKERS[suffix](bytes(8 << 20)))
    with pytest.raises(SymbolError, match="larger than 3 MiB"):
        files.unpacked(bomb)
    assert [path for path in (tmp_path / "unpacked").rglob("*") if path.is_file()] == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.binary(max_size=60), st.sampled_from([".xz", ".gz", ".zst"]), st.integers(0, 200))
def test_what_is_broken_is_an_error_and_nothing_else(
    files: PlainFiles, tmp_path: Path, junk: bytes, suffix: str, length: int
) -> None:
    path = tmp_path / f"broken.ko{suffix}"
    path.write_bytes(PACKERS[suffix](b"some text" * 40)[:length] + junk)
    with contextlib.suppress(SymbolError):
        assert files.unpacked(path).exists()


def check_whole(found: object, module_path: Path) -> None:
    """It is the module, with its code, its symbols and its lines, as if it had never been split."""
    assert isinstance(found, ModuleFile)
    original = ModuleFile.open(module_path)
    assert found.has_debug_info
    assert (found.name, found.build_id, found.srcversion) == (original.name, original.build_id, original.srcversion)
    assert [(s.name, s.size) for s in found.allocated] == [(s.name, s.size) for s in original.allocated]
    for section in original.allocated:
        if not section.nobits and section.size:
            assert found.section_bytes(section.name) == original.section_bytes(section.name)
    assert found.symbols.keys() == original.symbols.keys()
    lines, expected = LineTable.of_module(found), LineTable.of_module(original)
    function = original.functions[0]
    assert lines.files == expected.files
    assert lines.line_of(function) == expected.line_of(function) is not None


def test_debug_info_beside_the_module_is_joined_with_it(
    files: PlainFiles, split: tuple[Path, Path], module_path: Path
) -> None:
    stripped = ModuleFile.open(split[0])
    assert not stripped.has_debug_info
    finder = ModuleFinder([split[0].parent], plain=files)
    check_whole(finder.find("fake_mod", stripped.build_id, None), module_path)


def test_debug_info_is_found_by_build_id_also_for_a_compressed_module(
    files: PlainFiles, split: tuple[Path, Path], module_path: Path, tmp_path: Path
) -> None:
    stripped = ModuleFile.open(split[0])
    assert stripped.build_id is not None
    identity = stripped.build_id.hex()
    place = tmp_path / "debug" / ".build-id" / identity[:2]
    place.mkdir(parents=True)
    split[1].rename(place / f"{identity[2:]}.debug")
    packed = split[0].with_name("fake_mod.ko.xz")
    packed.write_bytes(lzma.compress(split[0].read_bytes()))
    split[0].unlink()
    check_whole(ModuleFinder([packed.parent], plain=files).find("fake_mod", stripped.build_id, None), module_path)


def test_debug_info_that_somebody_fetches_is_used(split: tuple[Path, Path], module_path: Path, tmp_path: Path) -> None:
    stripped = ModuleFile.open(split[0])
    elsewhere = split[1].rename(tmp_path / "fetched")
    asked: list[bytes] = []

    def fetch(build_id: bytes) -> Path | None:
        asked.append(build_id)
        return elsewhere

    files = PlainFiles(tmp_path / "unpacked", debug_root=tmp_path / "debug", fetch=fetch)
    check_whole(ModuleFinder([split[0]], plain=files).find("fake_mod", stripped.build_id, None), module_path)
    assert asked == [stripped.build_id]


def test_another_builds_debug_info_is_not_used(files: PlainFiles, split: tuple[Path, Path], tmp_path: Path) -> None:
    stripped = ModuleFile.open(split[0])
    assert stripped.build_id is not None
    wrong = split[1].read_bytes().replace(stripped.build_id, bytes(20))
    split[1].write_bytes(wrong)
    with pytest.raises(SymbolError, match="build-ids differ"):
        join(split[0], split[1], tmp_path / "joined.ko")
    found = ModuleFinder([split[0].parent], plain=files).find("fake_mod", stripped.build_id, None)
    assert isinstance(found, ModuleFile)
    assert not found.has_debug_info
