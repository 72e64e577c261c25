# SPDX-License-Identifier: Apache-2.0
"""Packets as bytes: the grammar of a line that carries the GDB Remote Serial Protocol.

::

    $payload#cc     packet; cc is the sum of the raw payload bytes, mod 256, in two hex digits
    %payload#cc     notification, never acknowledged
    +   -           the last packet was received well, or was not
    0x03            interrupt, but only between packets: inside one it is data

Inside a payload ``}`` escapes the byte after it (xor 0x20), and ``c*n`` stands for ``c`` and ``ord(n) - 29`` more.
Everything else between packets is junk; on a shared line junk is the kernel's console, so it is data and is kept.

Source: "Overview" and "Binary Data" in appendix E of the gdb manual; gdb/remote.c ``read_frame`` and
``remote_unescape_input`` (runs are expanded first, escapes undone after).
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TypeAlias

_ESCAPE = 0x7D  # }
_RUN = 0x2A  # *
_MUST_ESCAPE = re.compile(rb"[#$}*]")
_MARK = re.compile(rb"[$+\-\x03]")
_MARK_OR_NOTIFICATION = re.compile(rb"[$%+\-\x03]")
_BODY_END = re.compile(rb"[#$]")
_TEXT_BODY_END = re.compile(rb"[#$]|[^\x20-\x7e]")
_ESCAPED = re.compile(rb"}(?s:.)")
_ENCODED = re.compile(rb"[}*]")
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")


class Damage(enum.StrEnum):
    """Why a stretch of bytes that began like a packet is none."""

    CHECKSUM = "its checksum does not match"
    ENCODING = "its escapes or runs are malformed"
    INTERRUPTED = "another packet begins inside it"
    OVERLONG = "it is longer than any packet may be"
    NOT_TEXT = "it holds a byte that no text packet holds"
    ABANDONED = "it never ended"


@dataclass(frozen=True, slots=True)
class Packet:
    """A well-formed packet; ``payload`` has runs expanded and escapes undone."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Notification:
    """A well-formed notification; ``payload`` has runs expanded and escapes undone."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """``+`` between packets."""


@dataclass(frozen=True, slots=True)
class Nack:
    """``-`` between packets."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """0x03 between packets: the client wants the target stopped."""


@dataclass(frozen=True, slots=True)
class Corrupt:
    """Bytes that began like a packet. ``raw`` is all of them, save what came after the bound of an overlong one."""

    raw: bytes
    reason: Damage


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes outside any packet: console text, or noise."""

    data: bytes


Frame: TypeAlias = Packet | Notification | Ack | Nack | Interrupt | Corrupt | Junk

_MARKS: dict[int, Frame] = {0x2B: Ack(), 0x2D: Nack(), 0x03: Interrupt()}


def encode_packet(payload: bytes) -> bytes:
    """Return ``$payload#cc`` with ``#``, ``$``, ``}`` and ``*`` escaped.

    ``*`` needs no escape toward a stub, but every reader undoes it, and toward gdb it is required.
    """
    body = _MUST_ESCAPE.sub(lambda found: bytes((_ESCAPE, found[0][0] ^ 0x20)), payload)
    return b"$%b#%02x" % (body, sum(body) & 0xFF)


def _expand(body: bytes, limit: int) -> bytes | None:
    """Expand the runs of ``body``; None when a run is malformed or the result is longer than ``limit``."""
    out = bytearray()
    position = 0
    while (star := body.find(b"*", position)) >= 0:
        out += body[position:star]
        count = body[star + 1 : star + 2]
        # ' ' is the least count a sender may write (3 more), '~' the greatest, '*' is one like any other. '#' and '$'
        # are counts no one may write: the first ends the packet, the second begins another, so neither arrives here.
        if not out or not b" " <= count <= b"~":
            return None
        out += out[-1:] * (count[0] - 29)
        if len(out) > limit:
            return None
        position = star + 2
    return bytes(out + body[position:])


def _unescape(body: bytes) -> bytes | None:
    """Undo the escapes of ``body``; None when it ends in the middle of one."""
    plain = _ESCAPED.sub(lambda found: bytes((found[0][1] ^ 0x20,)), body)
    return None if _ESCAPED.sub(b"", body).endswith(b"}") else plain


def _decode(body: bytes, max_payload: int) -> bytes | None:
    """Return the payload that ``body`` encodes, or None when it encodes none of at most ``max_payload`` bytes."""
    if _ENCODED.search(body) is None:
        return body if len(body) <= max_payload else None
    expanded = _expand(body, 2 * max_payload)
    payload = None if expanded is None else _unescape(expanded)
    return None if payload is None or len(payload) > max_payload else payload


class _State(enum.Enum):
    BETWEEN = enum.auto()  # outside any packet
    BODY = enum.auto()  # after $ or %, before #
    CHECKSUM = enum.auto()  # after #, before the second digit
    SKIP_BODY = enum.auto()  # in the body of an overlong packet, reported already
    SKIP_CHECKSUM = enum.auto()  # in its checksum


class Decoder:
    """Cuts a byte stream into frames; the same frames however the stream is split.

    One exception, forced by junk being live console text: it is handed over at the end of every ``feed`` and not held
    back, so only its total is the same. Adjacent ``Junk`` is one frame within a feed; between two feeds it may be two.

    ``max_payload`` bounds a decoded payload and with it all memory held: a body may be twice that before decoding
    (every byte escaped). ``notifications`` off makes ``%`` junk: kgdb sends none, and console text is full of it.
    ``text_only`` ends a packet as ``Damage.NOT_TEXT`` at the first byte that is not printable ASCII: a stub whose
    replies are all hex never sends one, so it was a dollar sign in console text, or noise.

    Nothing raises: bad bytes are frames too.
    """

    def __init__(self, *, max_payload: int = 1 << 20, notifications: bool = True, text_only: bool = False) -> None:
        self._max_payload = max_payload
        self._max_body = 2 * max_payload
        self._mark = _MARK_OR_NOTIFICATION if notifications else _MARK
        self._body_end = _TEXT_BODY_END if text_only else _BODY_END
        self._state = _State.BETWEEN
        self._held = bytearray()  # the unfinished packet, from its $ or %
        self._digits = 0  # of the checksum of a packet being skipped

    @property
    def partial(self) -> bool:
        """Whether a packet has begun and not ended."""
        return self._state is not _State.BETWEEN

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes of the stream, any number, and return the frames they complete."""
        frames: list[Frame] = []
        position = 0
        while position < len(data):
            match self._state:
                case _State.BETWEEN:
                    position = self._between(data, position, frames)
                case _State.BODY:
                    position = self._body(data, position, frames)
                case _State.CHECKSUM:
                    position = self._checksum(data, position, frames)
                case _State.SKIP_BODY:
                    position = self._skip_body(data, position)
                case _:
                    position = self._skip_checksum(data, position)
        return frames

    def abandon(self) -> Corrupt | None:
        """Give up the unfinished packet, if any, and return its bytes. The next byte is read as between packets."""
        held = bytes(self._held)
        self._held.clear()
        self._state = _State.BETWEEN
        return Corrupt(held, Damage.ABANDONED) if held else None

    def _between(self, data: bytes, position: int, frames: list[Frame]) -> int:
        found = self._mark.search(data, position)
        end = found.start() if found else len(data)
        if end > position:
            frames.append(Junk(data[position:end]))
        if found is None:
            return end
        mark = data[end]
        if mark in _MARKS:
            frames.append(_MARKS[mark])
        else:
            self._begin(mark)
        return end + 1

    def _begin(self, mark: int) -> None:
        self._held.append(mark)
        self._state = _State.BODY

    def _body(self, data: bytes, position: int, frames: list[Frame]) -> int:
        room = self._max_body + 1 - len(self._held)
        found = self._body_end.search(data, position, position + room + 1)
        end = found.start() if found else min(position + room, len(data))
        self._held += data[position:end]
        if found is None:
            if position + room < len(data):
                self._spoil(frames, Damage.OVERLONG)
                self._state = _State.SKIP_BODY
            return end
        if data[end] == 0x23:
            self._held.append(0x23)
            self._state = _State.CHECKSUM
            return end + 1
        # A dollar is escaped inside a packet: this one lost its end, or was console text, and the next begins here.
        self._spoil(frames, Damage.INTERRUPTED if data[end] == 0x24 else Damage.NOT_TEXT)
        return end

    def _checksum(self, data: bytes, position: int, frames: list[Frame]) -> int:
        digit = data[position]
        if digit == 0x24:
            self._spoil(frames, Damage.INTERRUPTED)
            return position
        self._held.append(digit)
        if digit not in _HEX_DIGITS:
            self._spoil(frames, Damage.CHECKSUM)
        elif self._held[-3] == 0x23:
            self._finish(frames)
        return position + 1

    def _finish(self, frames: list[Frame]) -> None:
        body = bytes(self._held[1:-3])
        payload = _decode(body, self._max_payload)
        if int(self._held[-2:], 16) != sum(body) & 0xFF:
            self._spoil(frames, Damage.CHECKSUM)
        elif payload is None:
            self._spoil(frames, Damage.ENCODING)
        else:
            frames.append(Packet(payload) if self._held[0] == 0x24 else Notification(payload))
            self._held.clear()
            self._state = _State.BETWEEN

    def _spoil(self, frames: list[Frame], reason: Damage) -> None:
        frames.append(Corrupt(bytes(self._held), reason))
        self._held.clear()
        self._state = _State.BETWEEN

    def _skip_body(self, data: bytes, position: int) -> int:
        # What follows the bound is still that packet's: read as between packets, a 0x03 in it would stop the target.
        found = self._body_end.search(data, position)
        if found is None:
            return len(data)
        if data[found.start()] != 0x23:
            self._state = _State.BETWEEN
            return found.start()
        self._state = _State.SKIP_CHECKSUM
        self._digits = 0
        return found.end()

    def _skip_checksum(self, data: bytes, position: int) -> int:
        if data[position] not in _HEX_DIGITS:
            self._state = _State.BETWEEN
            return position
        self._digits += 1
        if self._digits == 2:
            self._state = _State.BETWEEN
        return position + 1
