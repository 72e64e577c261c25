# SPDX-License-Identifier: Apache-2.0
"""Memory: ``m`` ``x`` ``M`` ``X``, ``qSearch:memory`` and ``qCRC``.

Source: gdb manual, "Packets" and "General Query Packets"; the kernel knows ``m``, ``M`` and ``X``
(kernel/debug/gdbstub.c ``gdb_cmd_memread``, ``write_mem_msg``) and checks no length in any of them, so a write's
declared length is always computed from its data here, and compared with it when parsed.

::

    -> m ffffffff81000000,4      <- 48 8d 25 51 (hex)
    -> x ffffffff81000000,4      <- b and 4 raw bytes
    -> M ffffffff81000000,1:cc   <- OK
    -> qCRC:ffffffff81000000,40  <- C7b1f2a90
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import RemoteProtocolError
from nullmodem.rsp.hexadecimal import encode_hex, encode_range, parse_hex, parse_range

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class ReadMemory:
    """``m``: ``length`` bytes at ``address``, answered in hex."""

    address: int
    length: int

    def encode(self) -> bytes:
        """Return the payload."""
        return b"m" + encode_range(self.address, self.length)


@dataclass(frozen=True, slots=True)
class ReadBinary:
    """``x``: ``length`` bytes at ``address``, answered as ``b`` and raw bytes (gdb 16 and later)."""

    address: int
    length: int

    def encode(self) -> bytes:
        """Return the payload."""
        return b"x" + encode_range(self.address, self.length)


@dataclass(frozen=True, slots=True)
class WriteMemory:
    """``M``: put ``data`` at ``address``, sent in hex."""

    address: int
    data: bytes

    def encode(self) -> bytes:
        """Return the payload."""
        return b"M" + encode_range(self.address, len(self.data)) + b":" + encode_hex(self.data)


@dataclass(frozen=True, slots=True)
class WriteBinary:
    """``X``: put ``data`` at ``address``, sent raw; framing escapes it. With empty data gdb asks for ``X`` support."""

    address: int
    data: bytes

    def encode(self) -> bytes:
        """Return the payload, not escaped yet."""
        return b"X" + encode_range(self.address, len(self.data)) + b":" + self.data


@dataclass(frozen=True, slots=True)
class SearchMemory:
    """``qSearch:memory``: find ``pattern`` in ``length`` bytes from ``address``."""

    address: int
    length: int
    pattern: bytes

    def encode(self) -> bytes:
        """Return the payload, not escaped yet."""
        place = encode_range(self.address, self.length).replace(b",", b";")
        return b"qSearch:memory:" + place + b";" + self.pattern


@dataclass(frozen=True, slots=True)
class Crc:
    """``qCRC``: the checksum of ``length`` bytes at ``address``; what gdb's ``compare-sections`` asks for."""

    address: int
    length: int

    def encode(self) -> bytes:
        """Return the payload."""
        return b"qCRC:" + encode_range(self.address, self.length)


def _parse_write(body: bytes) -> tuple[int, int, bytes]:
    place, colon, data = body.partition(b":")
    if not colon:
        raise RemoteProtocolError("a memory write needs a colon before its data")
    address, length = parse_range(place)
    return address, length, data


def _parse_write_memory(body: bytes) -> WriteMemory:
    address, length, digits = _parse_write(body)
    return WriteMemory(address, parse_hex(digits, length))


def _parse_write_binary(body: bytes) -> WriteBinary:
    address, length, data = _parse_write(body)
    if len(data) != length:
        raise RemoteProtocolError(f"a memory write declares {length} bytes and carries {len(data)}")
    return WriteBinary(address, data)


def _parse_search(body: bytes) -> SearchMemory:
    fields = body.split(b";", 2)
    if len(fields) != 3:
        raise RemoteProtocolError("a memory search needs address;length;pattern")
    address, length = parse_range(b",".join(fields[:2]))
    return SearchMemory(address, length, fields[2])


MemoryRequest = ReadMemory | ReadBinary | WriteMemory | WriteBinary | SearchMemory | Crc

PARSERS: dict[bytes, Callable[[bytes], MemoryRequest]] = {
    b"m": lambda body: ReadMemory(*parse_range(body)),
    b"x": lambda body: ReadBinary(*parse_range(body)),
    b"M": _parse_write_memory,
    b"X": _parse_write_binary,
    b"qSearch:memory:": _parse_search,
    b"qCRC:": lambda body: Crc(*parse_range(body)),
}
