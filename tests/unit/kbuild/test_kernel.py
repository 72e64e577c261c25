# SPDX-License-Identifier: Apache-2.0
"""Built kernels as they lie on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import BuildError, UsageError
from nullmodem.kbuild import find_kernel, list_kernels, open_build_tree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A build tree made by somebody else's make."""
    directory = tmp_path / "tree"
    for name, text in {
        "vmlinux": "",
        ".config": "CONFIG_KGDB=y\n",
        "arch/x86/boot/bzImage": "",
        "include/config/kernel.release": "6.6.6-mine\n",
        "drivers/a-b.ko": "",
        "drivers/c.ko": "",
        "drivers/not-built.o": "",
    }.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory


def test_a_build_tree_is_a_kernel(tree: Path) -> None:
    kernel = find_kernel(tree)
    assert (kernel.name, kernel.release) == ("tree", "6.6.6-mine")
    assert kernel.image == tree / "arch/x86/boot/bzImage"
    assert kernel.source is None
    assert kernel == find_kernel(str(tree))


def test_its_key_changes_when_it_is_built_again(tree: Path) -> None:
    key = open_build_tree(tree).key
    (tree / "vmlinux").write_text("built again")
    assert open_build_tree(tree).key != key


def test_the_source_is_the_one_the_tree_points_to_or_the_tree_itself(tree: Path, tmp_path: Path) -> None:
    (tree / "Kconfig").write_text("")
    assert open_build_tree(tree).source == tree
    (tmp_path / "elsewhere").mkdir()
    (tree / "source").symlink_to(tmp_path / "elsewhere")
    assert open_build_tree(tree).source == tmp_path / "elsewhere"


@pytest.mark.parametrize("name", ["vmlinux", ".config", "arch/x86/boot/bzImage", "include/config/kernel.release"])
def test_a_tree_in_which_make_has_not_finished_says_what_is_missing(tree: Path, name: str) -> None:
    (tree / name).unlink()
    with pytest.raises(UsageError, match="is not a built kernel: it has no") as caught:
        find_kernel(tree)
    assert (name if "boot" not in name else "bootable image") in caught.value.message


@pytest.mark.parametrize("suffix", ["ko", "o"])
def test_modules_are_known_by_the_name_lsmod_shows(tree: Path, suffix: str) -> None:
    (tree / "modules.order").write_text(f"drivers/a-b.{suffix}\ndrivers/c.{suffix}\ndrivers/not-built.{suffix}\n")
    kernel = open_build_tree(tree)
    assert kernel.modules() == {"a_b": tree / "drivers/a-b.ko", "c": tree / "drivers/c.ko"}
    assert kernel.module("a-b") == kernel.module("a_b") == tree / "drivers/a-b.ko"


def test_an_unknown_module_is_refused_with_those_there_are(tree: Path) -> None:
    (tree / "modules.order").write_text("drivers/c.ko\n")
    with pytest.raises(UsageError, match="has no module 'e1000'; it has: c"):
        open_build_tree(tree).module("e1000")


def test_a_kernel_without_modules_has_none(tree: Path) -> None:
    assert open_build_tree(tree).modules() == {}


def test_neither_name_nor_path_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no kernel 'x'.*\(those are: none yet\)") as caught:
        find_kernel("x")
    assert "nullmodem kernel build" in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": "1"},
        {"name": 1},
        {"key": None},
        {"release": []},
        {"image": "../../x"},
        {"source": "/none"},
    ],
)
def test_a_record_that_is_not_ours_is_no_kernel(
    cache_directory: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    directory = cache_directory / "kernels" / "k-1"
    directory.mkdir(parents=True)
    for name in ("vmlinux", "image", ".config"):
        (directory / name).write_text("")
    record = {"format": 1, "name": "k", "key": "1", "release": "6", "image": "image", "source": str(tmp_path)}
    (directory / "kernel.json").write_text(json.dumps(record))
    assert [kernel.name for kernel in list_kernels()] == ["k"]
    (directory / "kernel.json").write_text(json.dumps(record | change))
    assert list_kernels() == ()


def test_a_cache_that_is_no_directory_is_not_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cache"
    file.touch()
    monkeypatch.setenv("NULLMODEM_CACHE", str(file))
    with pytest.raises(BuildError, match="cache is no directory") as caught:
        list_kernels()
    assert "NULLMODEM_CACHE" in caught.value.hint
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path / "none"))
    assert list_kernels() == ()
