# SPDX-License-Identifier: Apache-2.0
"""Where editors come from: standard input and output, or a socket on which each connection is one of them."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError
from nullmodem.frontends.dap.conversation import Conversation
from nullmodem.frontends.dap.editor import Editor
from nullmodem.frontends.gdb.server import listen_tcp, listen_unix

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.frontends.dap.log import Log

_CHUNK: Final = 1 << 16
_ESTABLISHED: Final = "01"
"""TCP_ESTABLISHED (include/net/tcp_states.h), as the table of connections has it."""


def converse(source: int, sink: int, gdb: str | None = None, log: Log | None = None) -> int:
    """Serve the editor at the other end of two descriptors; the exit code."""
    return _converse(lambda: os.read(source, _CHUNK), lambda data: _write_all(sink, data), gdb, log)


def _converse(read: Callable[[], bytes], write: Callable[[bytes], None], gdb: str | None, log: Log | None) -> int:
    if log is not None:
        read, write = log.between(read, write)
    return Conversation(Editor(write), read, gdb).run()


def listen(address: str) -> socket.socket:
    """``HOST:PORT`` on this machine, or the path of a socket. Raises UsageError."""
    return listen_unix(Path(address)) if "/" in address else listen_tcp(address)


def serve(listener: socket.socket, gdb: str | None, say: Callable[[str], None], log: Log | None = None) -> None:
    """Serve every editor that connects, each in a thread, until the listener is shut down; wait for all to end."""
    threads: list[threading.Thread] = []
    connections: list[socket.socket] = []
    while True:
        try:
            connection, peer = listener.accept()
        except OSError:
            break
        try:
            if isinstance(peer, tuple) and not is_this_user(connection):
                say(f"a connection from another user was refused: {peer[0]}:{peer[1]}")
                connection.close()
                continue
        except UsageError as error:
            say(error.message)
            connection.close()
            continue
        thread = threading.Thread(target=_serve_one, args=(connection, gdb, log), name="nullmodem-dap", daemon=True)
        threads.append(thread)
        connections.append(connection)
        thread.start()
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RD)
    for thread in threads:
        thread.join()


def _serve_one(connection: socket.socket, gdb: str | None, log: Log | None) -> None:
    with connection:
        _converse(lambda: connection.recv(_CHUNK), connection.sendall, gdb, log)


def is_this_user(connection: socket.socket) -> bool:
    """Whether a TCP peer on this machine is a process of this user or root, by the kernel's own table of connections.

    An editor may have any command executed here: it must be nobody else's. A peer that has closed already is nobody's:
    of a socket without an owner the kernel says that it is root's (net/core/sock.c sock_i_uid). Raises UsageError when
    who it is cannot be told.
    """
    table = Path("/proc/net/tcp6" if connection.family == socket.AF_INET6 else "/proc/net/tcp")
    try:
        wanted = [_in_table(connection.family, name) for name in (connection.getpeername(), connection.getsockname())]
    except OSError:  # it has reset the connection
        return False
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError as error:
        raise UsageError(f"{table} cannot be read, so who connects cannot be told: {error.strerror}") from error
    for line in lines:
        _number, *ends, state, _queues, _timer, _retransmissions, owner, _timeout, inode = line.split()[:10]
        if ends == wanted:
            return state == _ESTABLISHED and inode != "0" and int(owner) in (os.getuid(), 0)
    return False


def _in_table(family: int, name: tuple[str, int]) -> str:
    """An address and port as the kernel's table has them: words of the machine's own byte order, in hexadecimal."""
    packed = socket.inet_pton(family, name[0].partition("%")[0])
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words) + f":{name[1]:04X}"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
