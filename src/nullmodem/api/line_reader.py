# SPDX-License-Identifier: Apache-2.0
"""Lines from a stream whose other end may send anything."""

from __future__ import annotations

from typing import Final, Protocol

from nullmodem.errors import RemoteProtocolError

LINE_LIMIT: Final = 1 << 20
"""Bytes in one line, with its end."""


class Readable(Protocol):
    def recv(self, size: int, /) -> bytes: ...


class LineReader:
    """Lines from a stream, none longer than the limit."""

    def __init__(self, stream: Readable, limit: int = LINE_LIMIT) -> None:
        self._stream = stream
        self._limit = limit
        self._buffer = bytearray()

    def read(self) -> bytes | None:
        """The next line without its end; None when the stream ends before one is complete.

        Raises RemoteProtocolError for a line that is too long, and what ``recv`` raises.
        """
        scanned = 0
        while (end := self._buffer.find(b"\n", scanned)) < 0:
            scanned = len(self._buffer)
            if scanned >= self._limit:
                raise RemoteProtocolError(f"a line of more than {self._limit} bytes")
            data = self._stream.recv(1 << 16)
            if not data:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line
