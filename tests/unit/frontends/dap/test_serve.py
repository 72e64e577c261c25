# SPDX-License-Identifier: Apache-2.0
"""Who is served that connects to a port: processes of this user and root, and nobody who cannot be told."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import UsageError
from nullmodem.frontends.dap.serve import is_this_user
from nullmodem.frontends.gdb.server import listen_tcp

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture(params=["127.0.0.1:0", "[::1]:0"], ids=["IPv4", "IPv6"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    try:
        listening = listen_tcp(request.param)
    except UsageError as error:
        pytest.skip(f"this machine has no such loopback: {error}")
    with listening:
        yield listening


def test_a_client_of_this_user_is_served(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()[:2]):
        connection, _peer = listener.accept()
        with connection:
            assert is_this_user(connection)


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_has_closed_at_once_is_nobody(listener: socket.socket, *, reset: bool) -> None:
    with socket.create_connection(listener.getsockname()[:2]) as client:
        client.sendall(b"Content-Length: 2\r\n\r\n{}")
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection, _peer = listener.accept()
    with connection:
        assert not is_this_user(connection)


def test_another_connection_with_the_same_ports_is_not_taken_for_it() -> None:
    """Ours, to another address of this machine, from the port that the one in question comes from."""
    with listen_tcp("127.0.0.1:0") as listening:
        with socket.create_connection(listening.getsockname()) as gone:
            port = gone.getsockname()[1]
        connection, _peer = listening.accept()
        with (
            connection,
            socket.create_server(("127.0.0.2", listening.getsockname()[1])) as other,
            socket.create_connection(other.getsockname(), source_address=("127.0.0.2", port)),
        ):
            assert not is_this_user(connection)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_user_is_refused_whether_he_stays_or_goes(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    command = ["/bin/bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}; echo; read"]
    with subprocess.Popen(command, user=NOBODY, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        connection, _peer = listener.accept()
        with connection:
            assert not is_this_user(connection)
            other.communicate(b"\n")
            assert not is_this_user(connection)
