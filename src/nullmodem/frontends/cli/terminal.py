# SPDX-License-Identifier: Apache-2.0
"""Joining our terminal to the target's console."""

from __future__ import annotations

import contextlib
import os
import socket
import termios
import tty
from typing import TYPE_CHECKING

from nullmodem.errors import NoSessionError, SessionError
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.api.sessions import RunningSession

ESCAPE = b"\x1d"
ESCAPE_NAME = "Ctrl-]"
_CHUNK = 1 << 16
QUIET_SECONDS = 2.0
"""For what was typed to have had its effect; a target may be slow, and there is no other sign of it."""


def connect(session: RunningSession) -> socket.socket:
    """A connection to the session's console. Raises NoSessionError."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(session.console_socket))
    except OSError as error:
        connection.close()
        msg = f"the console of {session.name!r} cannot be reached: {error.strerror}"
        raise NoSessionError(msg, hint="`nullmodem list` shows whether the session is still starting.") from error
    return connection


class Terminal:
    """Our input and output. Interactive, raw and with an escape key, only when both are a terminal."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self.is_interactive = os.isatty(source) and os.isatty(sink)

    def join(self, connection: socket.socket, name: str, *, follow: bool = False) -> None:
        """Copy both ways until the escape key, or until our input has ended and the console is quiet; with ``follow``
        for ever. Raises SessionError when the console ends first."""
        with self._raw():
            ended = not self._copy(connection, follow=follow)
        if ended:
            msg = f"the console has ended, and with it the session {name!r}"
            raise SessionError(msg)

    def _copy(self, connection: socket.socket, *, follow: bool) -> bool:
        """True when our side ended it, false when the other did."""
        sources: list[int | socket.socket] = [self._source, connection]
        while True:
            leaving = self._source not in sources and not follow
            ready = wait_readable(sources, QUIET_SECONDS if leaving else None)
            if not ready:
                return True
            if self._source in ready:
                typed = os.read(self._source, _CHUNK)
                before, escape, _after = typed.partition(ESCAPE) if self.is_interactive else (typed, b"", b"")
                with contextlib.suppress(OSError):  # its end is noticed where it is read
                    connection.sendall(before)
                if escape:
                    return True
                if not typed:
                    if self.is_interactive:
                        return True
                    sources.remove(self._source)
            if connection in ready:
                try:
                    data = connection.recv(_CHUNK)
                except OSError:
                    data = b""
                if not data:
                    return False
                _write_all(self._sink, data)

    @contextlib.contextmanager
    def _raw(self) -> Iterator[None]:
        if not self.is_interactive:
            yield
            return
        before = termios.tcgetattr(self._source)
        try:
            tty.setraw(self._source)
            yield
        finally:
            with contextlib.suppress(termios.error):  # the terminal has been closed
                termios.tcsetattr(self._source, termios.TCSADRAIN, before)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
