# SPDX-License-Identifier: Apache-2.0
"""Kernel sources."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import BuildError, UsageError
from nullmodem.kbuild import cache
from nullmodem.kbuild.source import Source, debian_source, directory_source, unpack

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A /usr/src with one small source package."""
    directory = tmp_path / "usr-src"
    tree = directory / "linux-source-6.1"
    (tree / "kernel").mkdir(parents=True)
    (tree / "Makefile").write_text("all:\n")
    (tree / "kernel" / "module.c").write_text("int x;\n" * 10_000)
    subprocess.run(["tar", "cJf", "linux-source-6.1.tar.xz", "linux-source-6.1"], cwd=directory, check=True)
    return directory


def unpacked(source: Source) -> list[float]:
    fractions: list[float] = []
    with cache.lock(source.label, lambda _: None) as fd:
        unpack(source, fd, fractions.append)
    return fractions


def test_the_archive_is_unpacked_once_without_its_top_directory(packages: Path, cache_directory: Path) -> None:
    source = debian_source("6.1", packages)
    assert not source.ready
    assert unpacked(source)[-1] == 1.0
    assert source.ready
    assert (source.directory / "kernel" / "module.c").is_file()
    assert source.directory.parent == cache_directory / "sources"


def test_another_content_is_another_directory(packages: Path) -> None:
    first = debian_source("6.1", packages)
    assert debian_source("6.1", packages) == first
    with (packages / "linux-source-6.1.tar.xz").open("ab") as file:
        file.write(b"\0\0\0\0")
    second = debian_source("6.1", packages)
    assert second.identity != first.identity
    assert second.directory != first.directory


def test_the_identity_is_remembered_but_only_for_the_same_file(packages: Path, cache_directory: Path) -> None:
    archive = packages / "linux-source-6.1.tar.xz"
    identity = debian_source("6.1", packages).identity
    memory = cache_directory / "sources" / "linux-source-6.1.tar.xz.json"
    memory.write_text(memory.read_text().replace(identity, "0" * 64))
    assert debian_source("6.1", packages).identity == "0" * 64
    os.utime(archive)
    assert debian_source("6.1", packages).identity == identity


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="is not there") as caught:
        debian_source("6.12", tmp_path)
    assert caught.value.hint == "sudo apt install linux-source-6.12"


def test_an_unknown_version_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"known are 6\.1, 6\.12"):
        debian_source("5.10", tmp_path)


def test_a_damaged_archive_leaves_nothing(packages: Path, cache_directory: Path) -> None:
    archive = packages / "linux-source-6.1.tar.xz"
    archive.write_bytes(archive.read_bytes()[:-40])
    source = debian_source("6.1", packages)
    with pytest.raises(BuildError, match="tar failed") as caught:
        unpacked(source)
    assert "reinstall linux-source-6.1" in caught.value.hint
    assert not source.ready
    assert not [path for path in (cache_directory / "sources").iterdir() if path.is_dir()]


def test_an_interrupted_unpacking_leaves_nothing_and_can_be_repeated(packages: Path, cache_directory: Path) -> None:
    source = debian_source("6.1", packages)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), cache.lock("it", lambda _: None) as fd:
        unpack(source, fd, interrupt)
    assert not [path for path in (cache_directory / "sources").iterdir() if path.is_dir()]
    unpacked(source)
    assert source.ready


def test_the_rest_of_a_killed_unpacking_is_replaced(packages: Path) -> None:
    source = debian_source("6.1", packages)
    partial = source.directory.with_name(f"{source.directory.name}.partial")
    (partial / "junk").mkdir(parents=True)
    unpacked(source)
    assert source.ready
    assert not (source.directory / "junk").exists()
    assert not partial.exists()


def test_a_users_tree_is_used_where_it_is(source: object) -> None:
    directory = source.directory
    found = directory_source(directory)
    assert found.directory == directory
    assert found.ready
    assert directory_source(directory).identity == found.identity


def test_a_changed_file_makes_it_another_source_but_git_does_not(source: object) -> None:
    identity = directory_source(source.directory).identity
    (source.directory / ".git").mkdir()
    (source.directory / ".git" / "index").write_text("x")
    assert directory_source(source.directory).identity == identity
    (source.directory / "Kconfig").write_text("# changed\n")
    assert directory_source(source.directory).identity != identity


def test_a_directory_that_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a kernel source tree: it has no Makefile"):
        directory_source(tmp_path)


@pytest.mark.parametrize("trace", [".config", "include/config/auto.conf"])
def test_a_tree_that_was_built_in_is_refused_with_the_way_out(source: object, trace: str) -> None:
    file = source.directory / trace
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    with pytest.raises(UsageError, match="configured or built in place") as caught:
        directory_source(source.directory)
    assert "mrproper" in caught.value.hint
