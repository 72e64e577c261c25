# SPDX-License-Identifier: Apache-2.0
"""The console as a unix socket: who may connect, what they see, and that nobody holds up anybody."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import UsageError
from nullmodem.targets.console import Console
from nullmodem.targets.console_server import ConsoleServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Served:
    """A served console, and the UART's end of its line."""

    def __init__(self, directory: Path) -> None:
        here, self.uart = socket.socketpair()
        self.uart.settimeout(10)
        self.console = Console(here, directory / "console.log")
        self.server = ConsoleServer(self.console, directory / "s")
        self.clients: list[socket.socket] = []

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.clients.append(client)
        client.settimeout(10)
        client.connect(str(self.server.path))
        return client

    def say(self, data: bytes) -> None:
        self.uart.sendall(data)
        self.console.wait(data.decode()[-20:], 10)

    def close(self) -> None:
        self.server.close()
        self.console.close()
        self.uart.close()
        for client in self.clients:
            client.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.close()


def hear(client: socket.socket, ending: bytes) -> bytes:
    heard = b""
    while not heard.endswith(ending):
        data = client.recv(1 << 16)
        assert data, heard[-100:]
        heard += data
    return heard


def test_a_client_sees_the_last_lines_and_then_everything(served: Served) -> None:
    served.say(b"prompt# ")
    client = served.connect()
    assert hear(client, b"# ") == b"prompt# "
    served.say(b"more")
    assert hear(client, b"more") == b"more"


def test_what_clients_type_is_typed_on_the_console(served: Served) -> None:
    served.connect().sendall(b"ls\n")
    assert served.uart.recv(10) == b"ls\n"
    served.connect().sendall(b"\x03")
    assert served.uart.recv(10) == b"\x03"


def test_a_client_that_reads_nothing_holds_up_neither_the_console_nor_the_others(served: Served) -> None:
    served.connect()
    other = served.connect()
    block = b"y" * (1 << 16)
    for _ in range(32):
        served.uart.sendall(block)
        assert len(hear(other, b"y" * 100)) > 0
    served.say(b"the end")
    assert hear(other, b"the end").endswith(b"the end")


def test_a_client_that_leaves_leaves_nothing_behind(served: Served) -> None:
    client = served.connect()
    served.say(b"hello")
    hear(client, b"hello")
    with served.server._lock:
        (inside,) = served.server._clients
    client.close()
    inside._writer.join(10)
    assert not inside._writer.is_alive()
    assert not served.server._clients


def test_typing_that_cannot_be_delivered_is_told_to_the_typist(served: Served) -> None:
    client = served.connect()
    served.uart.shutdown(socket.SHUT_RD)
    client.sendall(b"x")
    assert b"nullmodem: the target's console is gone" in hear(client, b"\r\n")


def test_clients_are_disconnected_when_the_target_is_gone(served: Served) -> None:
    client = served.connect()
    served.uart.close()
    assert client.recv(10) == b""


def test_only_the_owner_may_connect(served: Served) -> None:
    assert stat.S_IMODE(served.server.path.stat().st_mode) == 0o600


def test_closing_removes_the_socket_and_disconnects(served: Served) -> None:
    client = served.connect()
    served.say(b"x")
    hear(client, b"x")
    served.server.close()
    served.server.close()
    assert client.recv(10) == b""
    assert not served.server.path.exists()


def test_a_name_too_long_for_a_socket_is_refused(served: Served, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the system's limit is 107"):
        ConsoleServer(served.console, tmp_path / ("x" * 108))


def test_a_name_that_is_taken_is_refused(served: Served) -> None:
    with pytest.raises(UsageError, match="in use"):
        ConsoleServer(served.console, served.server.path)
