# SPDX-License-Identifier: Apache-2.0
"""The Debug Adapter Protocol's framing and messages: bytes in, typed requests out. Pure: no I/O.

::

    Content-Length: 119\\r\\n
    \\r\\n
    {"seq": 153, "type": "request", "command": "next", "arguments": {"threadId": 3}}
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from nullmodem.errors import RemoteProtocolError

HEADER_LIMIT: Final = 4096
"""Bytes of all header lines together. There is one, of some twenty bytes, in every client known."""

BODY_LIMIT: Final = 16 << 20
"""Bytes. The largest thing an editor sends is memory to be written; a hundredth of this is far more than that."""

_KNOWN: Final = (b"content-length", b"content-type")
"""The protocol has the first alone; the second is of the language server protocol, whose libraries some clients use."""

_LENGTH: Final = re.compile(rb"[0-9]{1,9}")
_SEQUENCE: Final = range(1 << 53)

Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What an editor asks. ``arguments`` is empty where there were none."""

    seq: int
    command: str
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that was framed well and is none. ``seq`` is its number, if one could be made out."""

    reason: str
    seq: int | None = None


class Decoder:
    """Messages from a stream of bytes, however these were cut into pieces."""

    def __init__(self, body_limit: int = BODY_LIMIT) -> None:
        self._buffer = bytearray()
        self._body_limit = body_limit
        self._length: int | None = None

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def is_idle(self) -> bool:
        """Whether the stream may end here: no message has begun."""
        return not self._buffer and self._length is None

    def next(self) -> bytes | None:
        """The next message's body; None until it is complete.

        Raises RemoteProtocolError when the framing is broken: where the next message begins cannot be told any more.
        """
        if self._length is None:
            self._length = self._header()
        if self._length is None or len(self._buffer) < self._length:
            return None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        self._length = None
        return body

    def _header(self) -> int | None:
        end = self._buffer.find(b"\r\n\r\n", 0, HEADER_LIMIT + 4)
        if end < 0:
            if len(self._buffer) >= HEADER_LIMIT:
                msg = f"a message's header has more than {HEADER_LIMIT} bytes"
                raise RemoteProtocolError(msg)
            return None
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        return _length(lines, self._body_limit)


def _length(lines: list[bytes], limit: int) -> int:
    """What a header says of its body's bytes.

    A line that no client of the protocol sends ends it all: a page in a browser can have a message posted to a port of
    this machine, and that begins with a request line and headers of HTTP.
    """
    fields = [(name.strip().lower(), value.strip()) for name, _colon, value in (line.partition(b":") for line in lines)]
    lengths = [value for name, value in fields if name == b"content-length"]
    strange = next((line for line, (name, _value) in zip(lines, fields, strict=True) if name not in _KNOWN), None)
    if strange:
        msg = f"a line that belongs to no header of the Debug Adapter Protocol: {strange[:80]!r}"
        raise RemoteProtocolError(msg)
    if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        msg = f"a message's header has no Content-Length, or no single one: {lines[0][:80]!r}"
        raise RemoteProtocolError(msg)
    length = int(lengths[0])
    if length > limit:
        msg = f"a message of {length} bytes; {limit} is the limit"
        raise RemoteProtocolError(msg)
    return length


def parse_message(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises RemoteProtocolError for anything else."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        msg = f"a message is not JSON: {error}"
        raise RemoteProtocolError(msg) from None
    if not isinstance(message, dict):
        msg = "a message is no JSON object"
        raise RemoteProtocolError(msg)
    return message


def parse_request(body: bytes) -> Request | Malformed:
    """What an editor sent."""
    try:
        message = parse_message(body)
    except RemoteProtocolError as error:
        return Malformed(error.message)
    seq = message.get("seq")
    number = seq if type(seq) is int and seq in _SEQUENCE else None
    match message:
        case {"type": "request", "command": str(command)} if number is not None:
            # Some editors send null for no arguments (Helix does, for configurationDone).
            arguments = message.get("arguments")
            if arguments is None or isinstance(arguments, dict):
                return Request(number, command, arguments or {})
            return Malformed(f"the arguments of {command[:40]!r} are no JSON object", number)
        case {"type": "request"}:
            return Malformed("a request wants a seq, a whole number, and a command, a string", number)
    return Malformed("only requests are taken", number)


def encode(message: dict[str, Any]) -> bytes:
    """A message with its header."""
    # ASCII, with escapes: a lone surrogate, which JSON can hold, could not be encoded otherwise.
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
