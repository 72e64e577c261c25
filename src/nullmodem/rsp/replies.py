# SPDX-License-Identifier: Apache-2.0
"""Replies: stop replies, errors, thread lists, and chunks of documents.

Source: gdb manual, "Stop Reply Packets"; gdb/remote.c ``remote_parse_stop_reply``; for what the kernel sends,
kernel/debug/gdbstub.c ``gdb_serial_stub`` (``T05thread:01;``), ``gdb_cmd_status`` (``S05``), ``gdbstub_exit``
(``W00``), ``gdbstub_msg_write`` (``O...``) and ``error_packet``.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from nullmodem.errors import LocalProtocolError, RemoteProtocolError
from nullmodem.rsp.hexadecimal import encode_byte, encode_hex, encode_number, parse_hex, parse_number, show
from nullmodem.rsp.threads import encode_thread_id, parse_thread_id

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "OK",
    "UNSUPPORTED",
    "ConsoleOutput",
    "ErrorReply",
    "Exited",
    "StopEvent",
    "StopReason",
    "StopReply",
    "Terminated",
    "ThreadList",
    "WatchKind",
    "encode_hex",
    "parse_hex",
    "parse_stop_reply",
    "xfer_chunk",
]

OK = b"OK"
UNSUPPORTED = b""

_Key = TypeVar("_Key", int, str)

BROKEN_STOP = re.compile(rb"\$[TS][0-9a-f]{2}|thread:")
"""A stop whose $ was lost, or with a byte in it that is no text, passes for console text; this is how it shows."""

_ERRNO = re.compile(rb"E([0-9a-fA-F])([0-9a-fA-F])")
_REGISTER = re.compile(rb"[0-9a-fA-F]{1,4}")
_MAX_REGISTER = 0xFFFF
_STATUS = re.compile(rb"([0-9a-fA-F]{1,8})(?:;process:[0-9a-fA-F]{1,16})?")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")


class WatchKind(enum.StrEnum):
    """Which access a watchpoint saw, as its key in a stop reply."""

    WRITE = "watch"
    READ = "rwatch"
    ACCESS = "awatch"


class StopReason(enum.StrEnum):
    """What kind of breakpoint stopped the target; the pc is at its address, not behind it."""

    SWBREAK = "swbreak"
    HWBREAK = "hwbreak"


@dataclass(frozen=True, slots=True)
class StopReply:
    """``T`` or ``S``: the target has stopped.

    ``signal`` 5 is a trap, and 0 only news. ``registers`` are (number, value in the target's byte order) pairs sent
    along unasked. ``library`` says that the list of libraries has changed, ``watch`` what a watchpoint saw and where.
    """

    signal: int
    thread: int | None = None
    registers: tuple[tuple[int, bytes], ...] = ()
    reason: StopReason | None = None
    library: bool = False
    watch: tuple[WatchKind, int] | None = None

    def encode(self) -> bytes:
        """Return the payload, in the ``T`` form."""
        payload = b"T" + encode_byte(self.signal)
        if self.thread is not None:
            payload += b"thread:" + encode_thread_id(self.thread) + b";"
        for number, value in self.registers:
            if not 0 <= number <= _MAX_REGISTER:
                raise LocalProtocolError(f"there is no register {number}")
            payload += b"%02x:" % number + encode_hex(value) + b";"
        if self.reason is not None:
            payload += self.reason.value.encode("ascii") + b":;"
        if self.watch is not None:
            kind, address = self.watch
            payload += kind.value.encode("ascii") + b":" + encode_number(address) + b";"
        return payload + b"library:;" if self.library else payload


@dataclass(frozen=True, slots=True)
class Exited:
    """``W``: the target ended with ``code``; from a kernel, the machine reboots or halts."""

    code: int


@dataclass(frozen=True, slots=True)
class Terminated:
    """``X``: ``signal`` ended the target."""

    signal: int


@dataclass(frozen=True, slots=True)
class ConsoleOutput:
    """``O``: text for the user; the answer proper is still to come."""

    data: bytes

    def encode(self) -> bytes:
        """Return the payload."""
        return b"O" + encode_hex(self.data)


StopEvent: TypeAlias = StopReply | Exited | Terminated | ConsoleOutput


def parse_stop_reply(payload: bytes) -> StopEvent:
    """Read a stop reply, or one of the packets that may come in its place.

    Keys that are not known are passed over, as the protocol wants.

    Raises:
        RemoteProtocolError: it is none, or a part of it is malformed or there twice.
    """
    parser = _STOP_PARSERS.get(payload[:1])
    if parser is None:
        raise RemoteProtocolError(f"expected a stop reply, not {show(payload)}")
    return parser(payload[1:])


def _parse_signal(body: bytes) -> StopReply:
    return StopReply(parse_hex(body, 1)[0])


def _parse_stop(body: bytes) -> StopReply:
    signal = parse_hex(body[:2], 1)[0]
    found: dict[str, bytes] = {}
    registers: dict[int, bytes] = {}
    for pair in filter(None, body[2:].split(b";")):
        key, colon, value = pair.partition(b":")
        if not colon:
            raise RemoteProtocolError(f"{show(pair)} in a stop reply is no key:value")
        if _REGISTER.fullmatch(key):
            _put(registers, int(key, 16), parse_hex(value), pair)
        else:
            _put(found, key.decode("ascii", "replace"), value, pair)
    thread = found.get("thread")
    return StopReply(
        signal,
        None if thread is None else parse_thread_id(thread),
        tuple(registers.items()),
        next((reason for reason in StopReason if reason in found), None),
        "library" in found,
        next(((kind, parse_number(found[kind], "a watched address")) for kind in WatchKind if kind in found), None),
    )


def _put(table: dict[_Key, bytes], key: _Key, value: bytes, pair: bytes) -> None:
    if key in table:
        raise RemoteProtocolError(f"{show(pair)} in a stop reply is there twice")
    table[key] = value


def _parse_status(body: bytes) -> int:
    found = _STATUS.fullmatch(body)
    if found is None:
        raise RemoteProtocolError(f"expected an exit status, not {show(body)}")
    return int(found[1], 16)


_STOP_PARSERS: dict[bytes, Callable[[bytes], StopEvent]] = {
    b"T": _parse_stop,
    b"S": _parse_signal,
    b"W": lambda body: Exited(_parse_status(body)),
    b"X": lambda body: Terminated(_parse_status(body)),
    b"O": lambda body: ConsoleOutput(parse_hex(body)),
}


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """``Enn``, or ``E.text`` when there is a ``text`` (gdb 15 and later, if it said ``error-message+``).

    ``code`` is what the kernel meant: it writes errno in *decimal*, tens and ones one digit each, and the tens digit
    goes on with a, b, c from 100 on. A code whose last digit is no decimal one is another stub's hex.
    """

    code: int
    text: str = ""

    def encode(self) -> bytes:
        """Return the payload; bytes of ``text`` that are not printable ASCII become ``?``.

        Raises:
            LocalProtocolError: ``code`` is not between 0 and 159, and there is no text.
        """
        if self.text:
            return b"E." + _NOT_PRINTABLE.sub("?", self.text).encode("ascii")
        tens, ones = divmod(self.code, 10)
        if not 0 <= tens <= 15:
            raise LocalProtocolError(f"{self.code} is no error number")
        return b"E%x%d" % (tens, ones)

    @classmethod
    def parse(cls, payload: bytes) -> ErrorReply | None:
        """Read an error reply; None when ``payload`` is something else. Hex data never has three digits."""
        if payload.startswith(b"E."):
            return cls(0, _NOT_PRINTABLE.sub("?", payload[2:].decode("ascii", "replace")))
        found = _ERRNO.fullmatch(payload)
        if found is None:
            return None
        tens, ones = int(found[1], 16), int(found[2], 16)
        return cls(10 * tens + ones if ones < 10 else 16 * tens + ones)


@dataclass(frozen=True, slots=True)
class ThreadList:
    """A part of the thread list: ``threads`` in the stub's order, and whether this is the ``end``, which holds none."""

    threads: tuple[int, ...]
    end: bool

    def encode(self) -> bytes:
        """Return the payload: ``m`` and ids, or ``l``."""
        return b"l" if self.end else b"m" + b",".join(map(encode_thread_id, self.threads))

    @classmethod
    def parse(cls, payload: bytes) -> ThreadList:
        """Read ``m`` and ids, ``l``, or the empty packet with which kgdb ends its list.

        Raises:
            RemoteProtocolError: it is none of these, or an id is malformed.
        """
        if payload in (b"l", b"", b"m"):
            return cls((), end=True)
        if not payload.startswith(b"m"):
            raise RemoteProtocolError(f"expected a thread list, not {show(payload)}")
        return cls(tuple(map(parse_thread_id, payload[1:].split(b","))), end=False)


def xfer_chunk(document: bytes, offset: int, length: int) -> bytes:
    """Return at most ``length`` bytes of ``document`` from ``offset`` on, after ``m`` if there is more, else ``l``.

    Raises:
        RemoteProtocolError: ``offset`` is behind the end of the document.
    """
    if offset > len(document):
        raise RemoteProtocolError(f"offset {offset} is behind the end of a document of {len(document)} bytes")
    return (b"m" if offset + length < len(document) else b"l") + document[offset : offset + length]
