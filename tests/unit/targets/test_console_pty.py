# SPDX-License-Identifier: Apache-2.0
"""The console as a terminal device: what it shows, what is typed, and that it waits for nobody."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import TargetError
from nullmodem.targets.console import Console
from nullmodem.targets.console_pty import ConsolePty
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Desk:
    """A console with a terminal, and the target's end of its line."""

    def __init__(self, directory: Path) -> None:
        self.refuses = ""
        here, self.there = socket.socketpair()
        self.there.settimeout(10)
        self.console = Console(here, directory / "console.log", refuses=lambda: self.refuses)
        self.link = directory / "console.tty"
        self.terminal = ConsolePty(self.console, self.link)
        self.user = os.open(self.link, os.O_RDWR | os.O_NOCTTY)

    def shown(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            assert wait_readable([self.user], 10)
            data += os.read(self.user, length - len(data))
        return data

    def close(self) -> None:
        os.close(self.user)
        self.terminal.close()
        self.terminal.close()
        self.console.close()
        self.there.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_it_shows_what_the_console_prints_byte_for_byte(desk: Desk) -> None:
    text = bytes(range(256)) * 8
    desk.there.sendall(text)
    assert desk.shown(len(text)) == text


def test_what_is_typed_reaches_the_target_unchanged_and_without_echo(desk: Desk) -> None:
    os.write(desk.user, b"ls\r\x03")
    assert desk.there.recv(100) == b"ls\r\x03"
    assert not wait_readable([desk.user], 0.05)


def test_a_refusal_is_shown_where_it_was_typed_and_nowhere_else(desk: Desk) -> None:
    desk.refuses = "the target is stopped"
    os.write(desk.user, b"x")
    assert b"nullmodem: the target is stopped" in desk.shown(36)
    assert desk.console.text() == ""


def test_a_terminal_nobody_reads_holds_up_nobody(desk: Desk) -> None:
    for _ in range(64):
        desk.there.sendall(b"x" * 4096)
    desk.console.wait("x{262144}", 20)
    assert desk.console.position == 64 * 4096


def test_its_link_goes_with_it(desk: Desk) -> None:
    assert desk.link.is_symlink()
    desk.terminal.close()
    assert not desk.link.is_symlink()


def test_a_link_that_cannot_be_made_leaves_no_descriptor_open(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    console = Console(here, tmp_path / "console.log")
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(TargetError, match="cannot make a terminal of the console: No such file"):
        ConsolePty(console, tmp_path / "nowhere" / "console.tty")
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208
    console.close()
    there.close()
