# SPDX-License-Identifier: Apache-2.0
"""What is refused before a module is built; the builds themselves are in tests/vm/test_kernel_build.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nullmodem.errors import BuildError, SymbolError, UsageError
from nullmodem.kbuild import Kernel, build_module


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A kernel whose files are never looked at here."""
    there = tmp_path / "kernel"
    return Kernel("k", "6.1.0", there, there, there, there, "0123456789ab")


def test_a_path_that_does_not_exist_says_what_may_be_named(kernel: Kernel, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no") as caught:
        build_module(tmp_path / "none", kernel, tmp_path)
    assert ".ko" in caught.value.hint
    with pytest.raises(UsageError, match="/dev/null is neither a file nor a directory"):
        build_module(Path("/dev/null"), kernel, tmp_path)


def test_a_directory_without_a_kbuild_file_points_to_its_c_file(kernel: Kernel, tmp_path: Path) -> None:
    directory = tmp_path / "module"
    directory.mkdir()
    with pytest.raises(UsageError, match="has no Kbuild and no Makefile") as caught:
        build_module(directory, kernel, tmp_path)
    assert caught.value.hint == ""
    (directory / "hello.c").write_text("")
    with pytest.raises(UsageError) as caught:
        build_module(directory, kernel, tmp_path)
    assert caught.value.hint.endswith("hello.c")


@pytest.mark.parametrize("mark", ["scripts/Makefile.build", "include/config/kernel.release"])
def test_a_kernel_tree_is_not_taken_for_a_modules_directory(kernel: Kernel, tmp_path: Path, mark: str) -> None:
    (tmp_path / "Makefile").write_text("# a kernel's\n")
    (tmp_path / mark).parent.mkdir(parents=True)
    (tmp_path / mark).write_text("")
    with pytest.raises(UsageError, match="is a kernel tree, not a module's directory") as caught:
        build_module(tmp_path, kernel, tmp_path)
    assert "--kernel" in caught.value.hint


@pytest.mark.parametrize("name", ["a b", "a:b", "a$b", "a#b", "a'b", "a%b"])
def test_a_path_kbuild_cannot_work_in_is_refused_before_it_tries(kernel: Kernel, tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    (directory / "Kbuild").write_text("obj-m := m.o\n")
    (directory / "m.c").write_text("")
    for path in (directory, directory / "m.c"):
        with pytest.raises(UsageError, match="the kernel's build system cannot work in"):
            build_module(path, kernel, tmp_path / "work")


@pytest.mark.parametrize("name", ["a.b.c", "ä.c", "x" * 56 + ".c"])
def test_a_c_file_whose_name_cannot_be_a_modules_is_refused(kernel: Kernel, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(UsageError, match="cannot be a module"):
        build_module(tmp_path / name, kernel, tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("content", [b"", b"text", b"\x7fELF", b"\xfd7zXZ\0compressed"])
def test_a_ko_that_is_none_is_a_symbol_error(kernel: Kernel, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.ko").write_bytes(content)
    with pytest.raises(SymbolError):
        build_module(tmp_path / "m.ko", kernel, tmp_path)


def test_a_build_that_ends_early_leaves_none_of_kbuilds_scratch_and_all_that_was_there(
    kernel: Kernel, tmp_path: Path
) -> None:
    kernel.build_tree.mkdir()
    (kernel.build_tree / "Makefile").write_text("modules:\n\tmkdir $(M)/.tmp_77; touch $(M)/.tmp_77/tmp; false\n")
    config = tmp_path / "config"
    config.touch()
    module = tmp_path / "module"
    (module / ".tmp_5").mkdir(parents=True)
    (module / "Kbuild").touch()
    with pytest.raises(BuildError, match="did not build"):
        build_module(module, replace(kernel, config=config), tmp_path)
    assert sorted(path.name for path in module.iterdir()) == [".tmp_5", "Kbuild"]
