# SPDX-License-Identifier: Apache-2.0
"""Finding the file a loaded module came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.symbols.finder import Mismatch, ModuleFinder
from nullmodem.symbols.identity import Identity
from nullmodem.symbols.module_file import ModuleFile
from support.fakekernel import build_module, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(module_path: Path, tmp_path: Path) -> Path:
    """A build tree with the module deep in it."""
    place = tmp_path / "tree" / "drivers" / "deep"
    place.mkdir(parents=True)
    (place / "fake-mod.ko").write_bytes(module_path.read_bytes())
    return tmp_path / "tree"


def test_a_module_is_found_by_name_and_build_id(tree: Path, module_path: Path) -> None:
    file = ModuleFile.open(module_path)
    found = ModuleFinder([tree]).find("fake_mod", file.build_id, None)
    assert isinstance(found, ModuleFile)
    assert found.path == tree / "drivers" / "deep" / "fake-mod.ko"


def test_srcversion_will_do(tree: Path) -> None:
    assert isinstance(ModuleFinder([tree]).find("fake_mod", None, "0123456789ABCDEF0123456"), ModuleFile)


def test_a_file_can_be_named_itself(module_path: Path) -> None:
    file = ModuleFile.open(module_path)
    finder = ModuleFinder([str(module_path)])
    assert isinstance(finder.find("fake_mod", file.build_id, None), ModuleFile)
    assert finder.directories == (module_path,)


def test_another_build_is_a_mismatch_that_says_what_is_there(tree: Path) -> None:
    found = ModuleFinder([tree]).find("fake_mod", bytes(20), None)
    assert isinstance(found, Mismatch)
    assert found.loaded == Identity(bytes(20), None)
    text = found.describe()
    assert f"no file is the fake_mod that is loaded (build-id {'0' * 40})" in text
    assert f"{tree / 'drivers' / 'deep' / 'fake-mod.ko'}: another build, build-id" in text


def test_without_anything_to_tell_by_nothing_is_taken(tree: Path) -> None:
    found = ModuleFinder([tree]).find("fake_mod", None, None)
    assert isinstance(found, Mismatch)
    assert "neither build-id nor srcversion" in found.describe()
    assert "cannot be told" in found.describe()


def test_the_right_build_is_found_behind_a_wrong_one(tree: Path, tmp_path: Path, module_path: Path) -> None:
    newer = tmp_path / "newer"
    newer.mkdir()
    build_module(newer, "fake_mod", extra=("-O1",))
    file = ModuleFile.open(module_path)
    found = ModuleFinder([newer, tree]).find("fake_mod", file.build_id, None)
    assert isinstance(found, ModuleFile)
    assert found.identity == file.identity


def test_no_file_of_the_name_is_none(tree: Path, tmp_path: Path) -> None:
    assert ModuleFinder([tree]).find("other", bytes(20), None) is None
    assert ModuleFinder([tmp_path / "nowhere"]).find("fake_mod", bytes(20), None) is None
    assert ModuleFinder([]).find("fake_mod", bytes(20), None) is None


def test_a_module_built_after_the_first_search_is_found(tree: Path, tmp_path: Path) -> None:
    finder = ModuleFinder([tree])
    assert finder.find("later", bytes(20), None) is None
    build_module(tree, "later")
    file = ModuleFile.open(tree / "later.ko")
    assert isinstance(finder.find("later", file.build_id, None), ModuleFile)


def test_a_module_rebuilt_elsewhere_is_found(tree: Path) -> None:
    finder = ModuleFinder([tree])
    other = tree / "other"
    other.mkdir()
    build_module(other, "fake_mod", extra=("-O1",))
    rebuilt = ModuleFile.open(other / "fake_mod.ko")
    assert isinstance(finder.find("fake_mod", rebuilt.build_id, None), ModuleFile)


def test_a_broken_file_and_a_compressed_one_are_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "broken.ko").write_bytes(b"\x7fELF")
    (tmp_path / "packed.ko.xz").write_bytes(b"\xfd7zXZ\0")
    finder = ModuleFinder([tmp_path])
    for name, problem in (("broken", "ends inside its header"), ("packed", "compressed with xz")):
        found = finder.find(name, bytes(20), None)
        assert isinstance(found, Mismatch)
        assert problem in found.describe()


def test_another_machines_build_is_told_as_such(tree: Path, module_path: Path) -> None:
    found = ModuleFinder([tree], machine=183).find("fake_mod", ModuleFile.open(module_path).build_id, None)
    assert isinstance(found, Mismatch)
    assert "is for x86-64, the kernel for AArch64" in found.describe()


def test_a_file_of_another_name_inside_is_not_taken(tree: Path, module_path: Path) -> None:
    (tree / "renamed.ko").write_bytes(module_path.read_bytes())
    found = ModuleFinder([tree]).find("renamed", ModuleFile.open(module_path).build_id, None)
    assert isinstance(found, Mismatch)


def test_links_that_go_in_circles_end_nowhere(tree: Path) -> None:
    (tree / "drivers" / "circle").symlink_to(tree)
    (tree / "fake_mod.ko").symlink_to("fake_mod.ko")
    found = ModuleFinder([tree]).find("fake_mod", bytes(20), None)
    assert isinstance(found, Mismatch)
    assert len(found.candidates) == 2
    assert "symbolic links" in found.describe()


def test_a_directory_that_may_not_be_read_is_passed_over(tree: Path, module_path: Path) -> None:
    run("mkdir", "-m", "000", "locked", cwd=tree)
    file = ModuleFile.open(module_path)
    assert isinstance(ModuleFinder([tree]).find("fake_mod", file.build_id, None), ModuleFile)


def test_identities_are_told_apart_by_the_best_they_share() -> None:
    both, build, source = Identity(b"1", "a"), Identity(b"1", None), Identity(None, "a")
    assert both.matches(build) is True
    assert both.matches(source) is True
    assert build.matches(source) is None
    assert both.matches(Identity(b"2", "a")) is False
    assert source.matches(Identity(None, "b")) is False
    assert str(source) == "srcversion a"
