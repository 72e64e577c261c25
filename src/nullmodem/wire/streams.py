# SPDX-License-Identifier: Apache-2.0
"""A line as the rest of the program sees it: bytes in, bytes out, and perhaps a BREAK."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Protocol, runtime_checkable

from nullmodem.errors import UsageError, WireClosed
from nullmodem.waiting import wait_readable

LINGER_SECONDS = 1.0
"""For the other end to read what was written last, and to hang up in its turn."""
RELAY_SECONDS = 0.25
"""For a terminal server to hand on what was written last: it drops its port when its client hangs up, and what is on
its way through that with it."""


@runtime_checkable
class ByteStream(Protocol):
    """A two-way byte stream with one owner, who waits on ``fileno`` and calls from one thread."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when ``read`` will not block; -1 once closed."""
        ...

    def read(self, limit: int = 65536) -> bytes | None:
        """Return the next bytes, at most ``limit``; empty when the other end is gone, for good.

        None when what came was no data but the line's own business, as telnet's commands are. Called when ``fileno`` is
        readable; else it waits.
        """
        ...

    def write(self, data: bytes) -> None:
        """Hand all of ``data`` to the line, waiting for room in it.

        Raises:
            WireClosed: the other end is gone. How much of ``data`` it got is not known.
        """
        ...

    def send_break(self) -> None:
        """Hold the line in BREAK for a moment: on a kernel's console that is the sysrq key.

        Raises:
            UsageError: this kind of line has no BREAK.
            WireClosed: the other end is gone.
        """
        ...

    def close(self) -> None:
        """Let the line go. Calling it again does nothing."""
        ...


class SocketStream:
    """A connected stream socket, Unix or TCP. It has no BREAK: whoever made the socket knows another way, or none."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._unread = False  # what was written last may not have been read there
        sock.settimeout(None)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            # Requests are small and each waits for its answer: the delay of Nagle's algorithm would be paid by all.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 once closed."""
        return self._socket.fileno()

    def read(self, limit: int = 65536) -> bytes:
        """Return the next bytes, at most ``limit``; empty when the other end is gone or reset the connection."""
        self._unread = False
        try:
            return self._socket.recv(limit)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Send all of ``data``.

        Raises:
            WireClosed: the other end is gone, or this one is closed.
        """
        self._unread = True
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise WireClosed(f"the line was closed while {len(data)} bytes were sent: {error}") from error

    def send_break(self) -> None:
        """Refuse.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "this line is a plain socket and cannot carry a BREAK",
            hint="Stop the target through its console, or give the line as rfc2217:// or as a serial device.",
        )

    def close(self) -> None:
        """Close the socket, once the other end has read what was written last. Calling it again does nothing.

        QEMU drops what it has not read of a socket that hangs up. After a detach that is the acknowledgement without
        which the kernel's stub waits for ever, and the machine with it.
        """
        if self._unread and self._socket.fileno() >= 0:
            with contextlib.suppress(OSError):
                if self._socket.family != socket.AF_UNIX:
                    wait_readable([self._socket], RELAY_SECONDS)
                self._socket.shutdown(socket.SHUT_WR)
                deadline = time.monotonic() + LINGER_SECONDS
                while wait_readable([self._socket], deadline - time.monotonic()) and self._socket.recv(4096):
                    pass
        self._socket.close()
