# SPDX-License-Identifier: Apache-2.0
"""The console, copied to and from what is no terminal."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import SessionError
from nullmodem.frontends.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0


class Copying:
    """A connection to a console, whose other end is ours, and pipes for input and output."""

    def __init__(self) -> None:
        self.connection, self.console = socket.socketpair()
        self.console.settimeout(PATIENCE)
        self._source, self._typing = os.pipe()
        self._shown, self._sink = os.pipe()
        self.terminal = Terminal(self._source, self._sink)

    def end_input(self, typed: bytes = b"") -> None:
        os.write(self._typing, typed)
        os.close(self._typing)
        self._typing = -1

    def shown(self) -> bytes:
        os.set_blocking(self._shown, False)
        return os.read(self._shown, 4096)

    def close(self) -> None:
        self.connection.close()
        self.console.close()
        for descriptor in (self._source, self._typing, self._shown, self._sink):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def copying() -> Iterator[Copying]:
    copying = Copying()
    yield copying
    copying.close()


def test_it_ends_when_the_input_has_ended_and_the_console_is_quiet(copying: Copying) -> None:
    copying.console.sendall(b"what it said before\r\n")
    copying.end_input(b"uname\n")
    with ThreadPoolExecutor(1) as pool:
        joined = pool.submit(copying.terminal.join, copying.connection, "board")
        assert copying.console.recv(100) == b"uname\n"
        copying.console.sendall(b"Linux\r\n")
        joined.result(PATIENCE)
    assert copying.shown() == b"what it said before\r\nLinux\r\n"


def test_one_that_follows_ends_with_the_session(copying: Copying) -> None:
    copying.end_input()
    with ThreadPoolExecutor(1) as pool:
        joined = pool.submit(copying.terminal.join, copying.connection, "board", follow=True)
        with pytest.raises(TimeoutError):
            joined.result(2.5)  # longer than it would wait for a word
        copying.console.close()
        with pytest.raises(SessionError, match="has ended"):
            joined.result(PATIENCE)
