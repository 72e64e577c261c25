# SPDX-License-Identifier: Apache-2.0
"""The shared directory: what goes in, and that nothing follows a link out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import TargetError, UsageError
from nullmodem.targets.share import Share

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def share(tmp_path: Path) -> Share:
    (tmp_path / "share").mkdir()
    return Share(tmp_path / "share")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "simple.ko"
    path.write_bytes(b"new")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("path", "relative"),
    [("/host/a", "a"), ("/host/./d//a", "d/a"), ("/tmp/../host/a", "a"), ("/host", None), ("/host/../etc/a", None)],
)
def test_what_is_below_the_mount_point(share: Share, path: str, relative: str | None) -> None:
    assert share.relative(path) == relative


def test_a_file_arrives_with_its_mode_and_replaces_the_old_one(share: Share, file: Path) -> None:
    (share.directory / "simple.ko").write_bytes(b"old")
    assert share.put(file, "simple.ko") == "/host/simple.ko"
    copy = share.directory / "simple.ko"
    assert copy.read_bytes() == b"new"
    assert os.access(copy, os.X_OK)
    assert [path.name for path in share.directory.iterdir()] == ["simple.ko"]


def test_a_file_that_is_there_already_stays(share: Share) -> None:
    inside = share.directory / "x"
    inside.write_bytes(b"same")
    assert share.put(inside, "x") == "/host/x"
    assert inside.read_bytes() == b"same"


def test_a_link_in_the_share_is_replaced_not_followed(share: Share, file: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (share.directory / "simple.ko").symlink_to(victim)
    share.put(file, "simple.ko")
    assert victim.read_bytes() == b"precious"
    assert not (share.directory / "simple.ko").is_symlink()


def test_a_directory_that_leads_out_of_the_share_is_refused(share: Share, file: Path, tmp_path: Path) -> None:
    (share.directory / "out").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="no directory of the share"):
        share.put(file, "out/simple.ko")
    with pytest.raises(UsageError, match="no directory of the share"):
        share.put(file, "missing/simple.ko")
    assert file.read_bytes() == b"new"


def test_a_directory_is_not_replaced_by_a_file(share: Share, file: Path) -> None:
    (share.directory / "d").mkdir()
    with pytest.raises(UsageError, match="is a directory"):
        share.put(file, "d")


@pytest.mark.parametrize("name", ["missing", "."])
def test_only_files_can_be_pushed(share: Share, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        share.put(tmp_path / name, "x")


def test_a_lent_copy_is_there_for_as_long_as_it_is_needed(share: Share, file: Path) -> None:
    with share.lend(file) as path:
        assert path.endswith("/simple.ko")
        assert (share.directory / path.removeprefix("/host/")).read_bytes() == b"new"
    assert list(share.directory.iterdir()) == []


def test_a_share_that_is_gone_is_an_error(share: Share, file: Path) -> None:
    share.directory.rmdir()
    with pytest.raises(TargetError, match="cannot write to"), share.lend(file):
        pytest.fail("lent")
