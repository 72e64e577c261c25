# SPDX-License-Identifier: Apache-2.0
"""Registers: ``g`` ``G`` ``p`` ``P``.

Values are bytes in the target's order and its own layout; which register is where is not known here. The stub copies
as many bytes as its layout has whatever it is sent (kernel/debug/gdbstub.c ``gdb_cmd_setregs``, ``gdb_cmd_reg_set``),
so whoever sends ``G`` or ``P`` to it must give the exact length.

::

    -> g              <- the whole register file in hex, 156 bytes from an x86-64 kernel
    -> p 10           <- 3c a0 00 81 ff ff ff ff
    -> P 10=3ca00081ffffffff   <- OK
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import RemoteProtocolError
from nullmodem.rsp.hexadecimal import encode_hex, encode_number, parse_hex, parse_number

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class ReadRegisters:
    """``g``: all registers of the selected thread."""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"g"


@dataclass(frozen=True, slots=True)
class WriteRegisters:
    """``G``: all registers of the selected thread become ``data``."""

    data: bytes

    def encode(self) -> bytes:
        """Return the payload."""
        return b"G" + encode_hex(self.data)


@dataclass(frozen=True, slots=True)
class ReadRegister:
    """``p``: one register, by gdb's number for it."""

    number: int

    def encode(self) -> bytes:
        """Return the payload."""
        return b"p" + encode_number(self.number)


@dataclass(frozen=True, slots=True)
class WriteRegister:
    """``P``: one register becomes ``data``."""

    number: int
    data: bytes

    def encode(self) -> bytes:
        """Return the payload."""
        return b"P" + encode_number(self.number) + b"=" + encode_hex(self.data)


def _parse_write_register(body: bytes) -> WriteRegister:
    number, equals, digits = body.partition(b"=")
    if not equals:
        raise RemoteProtocolError("a register write needs number=value")
    return WriteRegister(parse_number(number, "a register number"), parse_hex(digits))


RegisterRequest = ReadRegisters | WriteRegisters | ReadRegister | WriteRegister

WHOLE: dict[bytes, RegisterRequest] = {b"g": ReadRegisters()}

PARSERS: dict[bytes, Callable[[bytes], RegisterRequest]] = {
    b"G": lambda body: WriteRegisters(parse_hex(body)),
    b"p": lambda body: ReadRegister(parse_number(body, "a register number")),
    b"P": _parse_write_register,
}
