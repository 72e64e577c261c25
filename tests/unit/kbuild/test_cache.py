# SPDX-License-Identifier: Apache-2.0
"""The cache: locks, records, and what a full or forbidden disk does."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from nullmodem.errors import BuildError
from nullmodem.kbuild import cache

_HOLDER = """
import sys
from nullmodem.kbuild import cache
with cache.lock("it", lambda holder: print("waiting for", holder, flush=True)):
    print("holding", flush=True)
    sys.stdin.readline()
"""


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache.cache_root() == tmp_path / "cache"
    monkeypatch.delenv("NULLMODEM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_root() == tmp_path / "xdg" / "nullmodem"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_root() == Path("~/.cache/nullmodem").expanduser()


def holder() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", _HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_second_waits_for_the_first_and_learns_who_it_is() -> None:
    with holder() as first:
        assert first.stdout.readline() == "holding\n"
        with holder() as second:
            assert second.stdout.readline() == f"waiting for {first.pid}\n"
            first.communicate("\n")
            assert second.stdout.readline() == "holding\n"
            second.communicate("\n")


def test_a_process_that_inherited_the_lock_holds_it_when_the_owner_is_gone() -> None:
    with cache.lock("it", lambda _: None) as fd:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(fd,))
    with child, holder() as other:
        assert other.stdout.readline().startswith("waiting for")
        child.communicate()
        assert other.stdout.readline() == "holding\n"
        other.communicate("\n")


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', "\0", "{}{}"])
def test_a_record_that_is_no_json_object_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "r").write_text(text)
    assert cache.read_record(tmp_path / "r") is None
    assert cache.read_record(tmp_path / "none") is None
    assert cache.read_record(tmp_path) is None


def test_a_record_reads_back_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    cache.write_atomically(tmp_path / "r", {"a": [1, "ü"]})
    assert cache.read_record(tmp_path / "r") == {"a": [1, "ü"]}
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_a_record_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    cache.write_atomically(tmp_path / "r", {"a": 1})
    with pytest.raises(TypeError):
        cache.write_atomically(tmp_path / "r", {"a": object()})
    assert cache.read_record(tmp_path / "r") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_removing_a_tree_also_removes_the_rest_of_an_interrupted_removal(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tmp_path / ".tree.doomed" / "old").mkdir(parents=True)
    (tree / "new").mkdir(parents=True)
    cache.remove(tree)
    cache.remove(tree)
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_one_clear_error_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"not enough space .* MiB are free, 1099511627776 MiB are needed") as caught:
        cache.require_space(tmp_path, 1 << 60)
    assert "NULLMODEM_CACHE" in caught.value.hint


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_what_the_disk_refuses_says_what_to_do(number: int) -> None:
    with pytest.raises(BuildError, match="cannot try this") as caught, cache.explained("cannot try this"):
        raise OSError(number, "no")
    assert "NULLMODEM_CACHE" in caught.value.hint


def test_a_cache_below_a_file_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BuildError, match=r"cannot make .*: Not a directory"):
        cache.directory("kernels")
