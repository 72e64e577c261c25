# SPDX-License-Identifier: Apache-2.0
"""The console for other processes: a unix socket whose clients see what it prints and type on it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.targets.console import Console

# sun_path in <sys/un.h> has 108 bytes, the last one for the NUL.
_PATH_LIMIT = 107

# What a new client sees first: enough for the prompt and how it came to that.
_BACKLOG = 4096


class ConsoleServer:
    """Serves ``console`` at ``path`` (mode 0600). A client sees the last lines, then everything; its input is typed.

    A slow client holds up nobody: it reads at its own pace from the console's history. Raises UsageError when the path
    is too long for a socket, or taken.
    """

    def __init__(self, console: Console, path: Path) -> None:
        self.path = path
        self._console = console
        self._lock = threading.Lock()
        self._clients: set[_Client] = set()
        self._socket = _listen(path)
        self._thread = threading.Thread(target=self._accept, name="nullmodem-console-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Disconnect every client and remove the socket. May be called again."""
        # shutdown, unlike close, wakes the thread that waits in accept.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        self.path.unlink(missing_ok=True)
        with self._lock:
            clients = tuple(self._clients)
        for client in clients:
            client.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._clients.add(_Client(self._console, connection, self._left))

    def _left(self, client: _Client) -> None:
        with self._lock:
            self._clients.discard(client)


class _Client:
    """One connection: a thread types what it sends, another sends what the console prints."""

    def __init__(self, console: Console, connection: socket.socket, left: Callable[[_Client], None]) -> None:
        self._console = console
        self._socket = connection
        self._left = left
        self._gone = threading.Event()
        self._reader = threading.Thread(target=self._type, name="nullmodem-console-in", daemon=True)
        self._writer = threading.Thread(target=self._show, name="nullmodem-console-out", daemon=True)
        self._reader.start()
        self._writer.start()

    def close(self) -> None:
        self._hang_up()
        self._writer.join()

    def _hang_up(self) -> None:
        self._gone.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._console.poke()

    def _type(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._socket.recv(4096):
                try:
                    self._console.write(data)
                except NullmodemError as error:
                    # The person at the terminal has no other place to read this.
                    self._socket.sendall(f"\r\nnullmodem: {error.message}\r\n".encode())
        self._hang_up()

    def _show(self) -> None:
        position = max(0, self._console.position - _BACKLOG)
        with contextlib.suppress(OSError):
            while not self._gone.is_set():
                data, position = self._console.follow(position, self._gone)
                if not data:
                    break
                self._socket.sendall(data)
        self._hang_up()
        self._reader.join()
        self._socket.close()
        self._left(self)


def _listen(path: Path) -> socket.socket:
    raw = os.fsencode(path)
    if len(raw) > _PATH_LIMIT:
        raise UsageError(
            f"{path} cannot be a socket: the name is {len(raw)} bytes long, the system's limit is {_PATH_LIMIT}",
            hint="use a work directory with a shorter name",
        )
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(raw)
        path.chmod(0o600)
        server.listen()
    except OSError as error:
        server.close()
        raise UsageError(f"cannot serve the console at {path}: {error.strerror}") from error
    return server
