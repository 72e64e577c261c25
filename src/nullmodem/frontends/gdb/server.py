# SPDX-License-Identifier: Apache-2.0
"""Listens for gdb. A Unix socket by default: RSP has no password, and anyone who reaches a TCP port owns the target."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import struct
import threading
from typing import TYPE_CHECKING

from nullmodem.errors import UsageError
from nullmodem.frontends.gdb.connection import GdbConnection

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.api.live import LiveSession
    from nullmodem.frontends.gdb.monitor import MonitorCommand

SOCKET_PATH_LIMIT = 107
"""Bytes: sun_path is 108 with its terminating NUL (unix(7))."""
_LAST_PORT = 65535


def listen_unix(path: Path) -> socket.socket:
    """A listening socket that only this user can reach. Raises UsageError for a path that is too long or taken."""
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        msg = f"{path} is too long for a socket ({SOCKET_PATH_LIMIT} bytes at most)"
        raise UsageError(msg, hint="Set XDG_RUNTIME_DIR to a shorter directory.")
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        msg = f"cannot listen on {path}: {error.strerror}"
        raise UsageError(msg) from error
    finally:
        os.umask(mask)
    listener.listen()
    return listener


def listen_tcp(address: str) -> socket.socket:
    """A listening socket on ``host:port`` of this machine; port 0 takes a free one.

    Raises:
        UsageError: not an address, not a loopback one, or the port is in use.
    """
    host, separator, port = address.rpartition(":")
    if separator and port.isdecimal() and int(port) > _LAST_PORT:
        raise UsageError(f"{address!r}: the last port there is is {_LAST_PORT}")
    if not separator or not port.isdecimal():
        msg = f"{address!r} is not HOST:PORT"
        raise UsageError(msg, hint="For example 127.0.0.1:1234, or :0 for any free port.")
    host = host.strip("[]") or "127.0.0.1"
    host = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        msg = f"gdb may connect from this machine only, not through {host}"
        raise UsageError(msg, hint="The protocol has no password. Use an ssh tunnel to reach it from elsewhere.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except OSError as error:
        listener.close()
        msg = f"cannot listen on {address}: {error.strerror}"
        raise UsageError(msg, hint="Another program may be using the port; :0 takes a free one.") from error
    listener.listen()
    return listener


class GdbServer:
    """Accepts gdbs on one listening socket, each in a thread of its own, until closed."""

    def __init__(
        self, live: LiveSession, listener: socket.socket, extra_commands: tuple[MonitorCommand, ...] = ()
    ) -> None:
        self._live = live
        self._listener = listener
        self._extra = extra_commands
        self._connections: set[GdbConnection] = set()
        self._lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name="nullmodem-gdb-listener", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What follows ``target remote``."""
        name = self._listener.getsockname()
        if isinstance(name, str):
            return name
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Stop listening and end every connection. Safe to call twice."""
        with self._lock:
            self._closing = True
        with contextlib.suppress(OSError):  # it may not be listening any more
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = tuple(self._connections)
        for connection in connections:
            connection.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _address = self._listener.accept()
            except OSError:
                return
            if not _same_user(sock):
                sock.close()
                continue
            with self._lock:
                if self._closing:
                    sock.close()
                    return
                connection = GdbConnection(self._live, sock, self._forget, self._extra)
                self._connections.add(connection)
                connection.start()

    def _forget(self, connection: GdbConnection) -> None:
        with self._lock:
            self._connections.discard(connection)


def _same_user(sock: socket.socket) -> bool:
    """Whether the peer of a Unix socket is this user or root; a TCP peer is on this machine, and cannot be told."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return True
    _pid, uid, _gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid in (os.getuid(), 0)
