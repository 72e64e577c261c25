# SPDX-License-Identifier: Apache-2.0
"""Files typed into a real shell on a terminal, over a line that may change them."""

from __future__ import annotations

import os
import random
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import CommandError, TargetError, UsageError
from nullmodem.targets.carrying import Carrier
from nullmodem.targets.console_shell import ConsoleShell
from nullmodem.targets.typed_file import BLOCK_LINES, LINE, TypedFile
from support.desk import desk

if TYPE_CHECKING:
    from pathlib import Path

    from support.desk import Desk

__all__ = ["desk"]

TERMINAL = 4095
"""Characters that the kernel's terminal keeps for a reader."""


def file_of(directory: Path, size: int, name: str = "some file") -> Path:
    path = directory / name
    path.write_bytes(random.Random(size).randbytes(size))
    return path


def quiet(_line: str) -> None:
    """For a test that does not look."""


@pytest.mark.parametrize("size", [0, 1, 5000, 60_000])
def test_a_file_arrives_byte_for_byte_in_short_lines_without_an_echo(desk: Desk, tmp_path: Path, size: int) -> None:
    file = file_of(tmp_path, size)
    there = tmp_path / "there"
    there.mkdir()
    carrier = Carrier(ConsoleShell(desk.console, 115200))
    assert carrier.carry(file, str(there), quiet) == f"{there}/some file"
    assert (there / "some file").read_bytes() == file.read_bytes()
    assert [path.name for path in there.iterdir()] == ["some file"]
    assert max(map(len, b"".join(desk.typed).splitlines())) < 1024
    assert BLOCK_LINES * (LINE + 1) <= TERMINAL
    # What came back is the commands' echo and one request for each block.
    assert desk.console.position < 12_000 + size // 50
    assert ConsoleShell(desk.console).exec("stty -a | grep -o ' echo '").text.strip() == "echo"


def test_what_is_there_already_is_not_typed_again_and_what_has_changed_is(desk: Desk, tmp_path: Path) -> None:
    file = file_of(tmp_path, 20_000)
    file.chmod(0o755)
    carrier = Carrier(ConsoleShell(desk.console))
    path = carrier.carry(file, None, quiet)
    assert os.access(path, os.X_OK)
    desk.typed.clear()
    assert carrier.carry(file, None, quiet) == path
    assert sum(map(len, desk.typed)) < 2_000
    file.write_bytes(b"new")
    assert carrier.carry(file, None, quiet) == path
    with open(path, "rb") as copied:  # noqa: PTH123
        assert copied.read() == b"new"
    os.unlink(path)  # noqa: PTH108
    os.rmdir(os.path.dirname(path))  # noqa: PTH106, PTH120


def test_a_byte_that_the_line_changes_is_found_and_the_file_typed_again(desk: Desk, tmp_path: Path) -> None:
    file = file_of(tmp_path, 20_000)
    spoiled: list[bytes] = []

    def once(data: bytes) -> bytes:
        if len(data) < 1500 or spoiled:
            return data
        spoiled.append(data)
        return data[:700] + (b"A" if data[700:701] != b"A" else b"B") + data[701:]

    desk.spoil = once
    Carrier(ConsoleShell(desk.console)).carry(file, "copy", quiet)
    assert (tmp_path / "copy").read_bytes() == file.read_bytes()
    assert spoiled


def test_a_line_that_changes_every_block_is_an_error_and_leaves_the_old_file(desk: Desk, tmp_path: Path) -> None:
    file = file_of(tmp_path, 5_000)
    (tmp_path / "copy").write_bytes(b"old")
    desk.spoil = lambda data: data[:700] + b"A" + data[701:] if len(data) > 1500 else data
    with pytest.raises(TargetError, match="has arrived wrong 2 times"):
        Carrier(ConsoleShell(desk.console)).carry(file, "copy", quiet)
    assert (tmp_path / "copy").read_bytes() == b"old"
    assert not (tmp_path / "copy.part").exists()
    assert ConsoleShell(desk.console).exec("echo fine").text.strip() == "fine"


def test_what_cannot_be_written_is_told_before_anything_is_typed(desk: Desk, tmp_path: Path) -> None:
    file = file_of(tmp_path, 20_000)
    with pytest.raises(CommandError, match="/no/such/copy"):
        Carrier(ConsoleShell(desk.console)).carry(file, "/no/such/copy", quiet)
    assert sum(map(len, desk.typed)) < 3_000
    with pytest.raises(UsageError, match="does not exist"):
        Carrier(ConsoleShell(desk.console)).carry(tmp_path / "none", None, quiet)


@pytest.mark.parametrize(("baud", "words"), [(9600, "minutes through the console at 9600 baud"), (None, "115200 baud")])
def test_what_would_take_too_long_is_refused_with_how_long(baud: int | None, words: str) -> None:
    data = random.Random(1).randbytes(4_000_000)
    with pytest.raises(UsageError, match=words) as refused:
        TypedFile(data, "/tmp/x", baud)
    assert "ssh:USER@HOST" in refused.value.hint


def test_whoever_has_to_press_a_key_gets_its_turn_between_two_blocks(desk: Desk, tmp_path: Path) -> None:
    file = file_of(tmp_path, 300_000)
    since = desk.console.position
    copied: list[str] = []
    shell = ConsoleShell(desk.console)
    copying = threading.Thread(target=lambda: copied.append(Carrier(shell).carry(file, "copy", quiet)))
    copying.start()
    desk.console.wait(r"\.2\.\s", 20, since=since)
    for _ in range(3):
        with desk.console.undisturbed():
            assert copied == []
    copying.join(60)
    assert (tmp_path / "copy").read_bytes() == file.read_bytes()


def test_a_break_in_does_not_type_into_a_file(desk: Desk, tmp_path: Path) -> None:
    shell = ConsoleShell(desk.console)
    with shell.alone(), pytest.raises(TargetError, match="busy with another command"), shell.alone(0):
        pass
    assert shell.exec("echo free").text.strip() == "free"
