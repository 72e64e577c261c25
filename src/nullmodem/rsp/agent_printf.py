# SPDX-License-Identifier: Apache-2.0
"""The format of a dprintf, as it stands in C source, and its filling in.

Numbers, characters, pointers and strings; what C calls ``%f`` never comes, as a kernel has no such arguments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import RemoteProtocolError
from nullmodem.rsp.hexadecimal import show

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WIDTH = 200
MAX_STRING = 256
"""Bytes of a string that are printed at most."""
_PIECE = 16
_CONVERSION = re.compile(rb"%([-+ #0]*)([0-9]*)((?:\.[0-9]*)?)(hh|h|ll|l|z|j|t)?([diouxXcsp])")
_SIZES = {b"hh": 8, b"h": 16, b"": 32}
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_ESCAPES = {b"a": b"\a", b"b": b"\b", b"e": b"\x1b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


@dataclass(frozen=True, slots=True)
class Conversion:
    """One ``%`` of a format. ``bits`` are how many of the argument count; ``form`` is Python's, without the letter."""

    form: str
    bits: int
    letter: str

    def fill(self, value: int, memory: Callable[[int, int], bytes]) -> str:
        value &= (1 << self.bits) - 1
        match self.letter:
            case "s":
                return f"{self.form}s" % _string(value, memory)
            case "c":
                return f"{self.form}s" % bytes((value & 0xFF,)).decode("latin-1")
            case "p":
                return f"{self.form}s" % f"{value:#x}"
            case "d" | "i":
                signed = value - (1 << self.bits) if value >> (self.bits - 1) else value
                return f"{self.form}d" % signed
            case "u":
                return f"{self.form}d" % value
            case letter:
                return f"{self.form}{letter}" % value


@dataclass(frozen=True, slots=True)
class FormatText:
    """A parsed format: text and conversions in order."""

    parts: tuple[str | Conversion, ...]

    @property
    def arguments(self) -> int:
        """How many arguments it takes."""
        return sum(isinstance(part, Conversion) for part in self.parts)

    @classmethod
    def parse(cls, text: bytes) -> FormatText:
        """Read a format as it stands in C source, escapes and all. Raises RemoteProtocolError."""
        parts: list[str | Conversion] = []
        plain = b""
        at = 0
        while at < len(text):
            if text[at : at + 2] == b"%%":
                plain, at = plain + b"%", at + 2
            elif text[at : at + 1] == b"%":
                found = _CONVERSION.match(text, at)
                if found is None:
                    raise RemoteProtocolError(f"a dprintf cannot print {show(text[at : at + 8])}")
                parts += [_plain(plain), _conversion(found)]
                plain, at = b"", found.end()
            elif (escape := _ESCAPE.match(text, at)) is not None:
                plain, at = plain + _unescaped(escape), escape.end()
            else:
                plain, at = plain + text[at : at + 1], at + 1
        return cls((*parts, _plain(plain)))

    def fill(self, values: list[int], memory: Callable[[int, int], bytes]) -> str:
        """The text with ``values`` in it; ``memory`` reads strings, and may raise what it likes."""
        left = iter(values)
        return "".join(part if isinstance(part, str) else part.fill(next(left), memory) for part in self.parts)


def _plain(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _conversion(found: re.Match[bytes]) -> Conversion:
    flags, width, precision, size, letter = (group or b"" for group in found.groups())
    if int(width or b"0") > MAX_WIDTH or int(precision[1:] or b"0") > MAX_WIDTH:
        raise RemoteProtocolError(f"a dprintf's {show(found[0])} is too wide")
    if letter in (b"c", b"s", b"p"):
        flags = bytes(flag for flag in flags if flag == ord("-"))
    if letter in (b"c", b"p"):
        precision = b""
    bits = 64 if letter in (b"s", b"p") else _SIZES.get(size, 64)
    return Conversion((b"%" + flags + width + precision).decode("ascii"), bits, letter.decode("ascii"))


def _unescaped(found: re.Match[bytes]) -> bytes:
    octal, hexadecimal, letter = found.groups()
    if octal is not None:
        return bytes((int(octal, 8) & 0xFF,))
    if hexadecimal is not None:
        return bytes((int(hexadecimal, 16),))
    return _ESCAPES.get(letter, letter)


def _string(address: int, memory: Callable[[int, int], bytes]) -> str:
    """The string at an address, read in pieces that never reach over what they begin in."""
    found = b""
    while len(found) < MAX_STRING and b"\0" not in found:
        place = address + len(found)
        found += memory(place, _PIECE - place % _PIECE)
    return found.partition(b"\0")[0][:MAX_STRING].decode("utf-8", "replace")
