# SPDX-License-Identifier: Apache-2.0
"""The listening sockets: who can reach them, and what is left when they close."""

from __future__ import annotations

import os
import socket
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import UsageError
from nullmodem.frontends.gdb.server import GdbServer, listen_tcp, listen_unix
from nullmodem.rsp.framing import encode_packet

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

SECONDS = 5.0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_unix_socket_is_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        listener = listen_unix(tmp_path / "gdb.sock")
        assert mode(tmp_path / "gdb.sock") == 0o600
        assert os.umask(0) == 0, "and the umask is as it was"
        listener.close()
    finally:
        os.umask(before)


def test_a_path_that_is_taken_or_nowhere_is_refused_with_the_reason(tmp_path: Path) -> None:
    listener = listen_unix(tmp_path / "gdb.sock")
    with pytest.raises(UsageError, match="Address already in use"):
        listen_unix(tmp_path / "gdb.sock")
    with pytest.raises(UsageError, match="No such file or directory"):
        listen_unix(tmp_path / "nowhere" / "gdb.sock")
    listener.close()


def test_a_path_too_long_for_a_socket_is_refused_before_it_is_cut(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too long for a socket"):
        listen_unix(tmp_path / ("x" * 108))


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", ":0", "127.1.2.3:0", "[::1]:0"])
def test_tcp_is_bound_to_loopback(address: str) -> None:
    try:
        listener = listen_tcp(address)
    except UsageError as error:
        if "::1" in address and "cannot listen" in error.message:
            pytest.skip("no IPv6 on this machine")
        raise
    host, port = listener.getsockname()[:2]
    assert host.startswith("127.") or host == "::1"
    assert port > 0
    listener.close()


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:0",
        "[::]:0",
        "*:0",
        "192.168.1.5:1234",
        "8.8.8.8:0",
        "example.org:0",
        "localhost.example.org:0",
        "127.0.0.1.nip.io:0",
        "0x7f.1:0",
        "2130706433:0",
        "127.1:0",
        "[fe80::1%lo]:0",
        "localhost.:0",
    ],
)
def test_tcp_is_bound_to_nothing_else(address: str) -> None:
    with pytest.raises(UsageError, match="from this machine only"):
        listen_tcp(address)


@pytest.mark.parametrize("address", ["", "1234", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", ":-1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        listen_tcp(address)


def test_a_port_beyond_the_last_is_refused_with_the_last() -> None:
    with pytest.raises(UsageError, match="the last port there is is 65535"):
        listen_tcp("127.0.0.1:65536")


def test_a_port_in_use_is_refused_with_what_to_do() -> None:
    listener = listen_tcp("127.0.0.1:0")
    port = listener.getsockname()[1]
    with pytest.raises(UsageError, match="Address already in use") as caught:
        listen_tcp(f"127.0.0.1:{port}")
    assert ":0 takes a free one" in caught.value.hint
    listener.close()


def connect(server: GdbServer) -> socket.socket:
    address: object = server.address
    if ":" in server.address:
        host, _, port = server.address.rpartition(":")
        address = (host, int(port))
    sock = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    sock.settimeout(SECONDS)
    sock.connect(address)
    return sock


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_gdbs_are_served_on_both_kinds(rig: Rig, tmp_path: Path, kind: str) -> None:
    listener = listen_unix(tmp_path / "gdb.sock") if kind == "unix" else listen_tcp(":0")
    server = GdbServer(rig.live, listener)
    first, second = connect(server), connect(server)
    for sock in (first, second):
        sock.sendall(encode_packet(b"qAttached"))
        assert sock.recv(100).startswith(b"+")
    server.close()
    for sock in (first, second):
        while sock.recv(100):
            pass
        sock.close()


def test_the_address_is_what_follows_target_remote(rig: Rig, tmp_path: Path) -> None:
    for listener, expected in (
        (listen_unix(tmp_path / "gdb.sock"), str(tmp_path / "gdb.sock")),
        (listen_tcp("127.0.0.1:0"), "127.0.0.1:"),
    ):
        server = GdbServer(rig.live, listener)
        assert server.address.startswith(expected)
        server.close()


def test_closing_may_be_done_twice_and_leaves_no_thread(rig: Rig, tmp_path: Path) -> None:
    before = threading.active_count()
    for number in range(5):
        server = GdbServer(rig.live, listen_unix(tmp_path / f"{number}.sock"))
        sockets = [connect(server) for _ in range(4)]
        server.close()
        server.close()
        for sock in sockets:
            sock.close()
    assert threading.active_count() == before


def test_a_gdb_that_does_not_read_is_no_obstacle_to_closing(rig: Rig, tmp_path: Path) -> None:
    server = GdbServer(rig.live, listen_unix(tmp_path / "gdb.sock"))
    stuck = connect(server)
    request = encode_packet(b"qXfer:features:read:target.xml:0,fff")
    stuck.settimeout(0.1)
    sent = 0
    try:
        for _ in range(20_000):
            stuck.sendall(b"+" + request)
            sent += 1
    except TimeoutError:
        pass
    assert sent < 20_000, "it answers nobody who does not listen"
    good = connect(server)
    good.sendall(encode_packet(b"qAttached"))
    assert good.recv(100).startswith(b"+")
    server.close()
    stuck.close()
    good.close()
