# SPDX-License-Identifier: Apache-2.0
"""Breakpoints and watchpoints: ``Z`` ``z``.

gdb may attach conditions and commands in its agent bytecode (``ConditionalBreakpoints+``, ``BreakpointCommands+``).
It writes a list of them after one semicolon, each ``X<length>,<bytecode in hex>`` (gdb/remote.c
``remote_add_target_side_condition``); the manual's ``;`` before each is read too. kgdb knows neither.

::

    -> Z0,ffffffffc0201000,1                    <- OK, or E17 when it is there already
    -> Z0,ffffffffc0201000,1;X3,220127          <- OK
    -> z0,ffffffffc0201000,1                    <- OK, or E02 when it is not there
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import RemoteProtocolError
from nullmodem.rsp.hexadecimal import (
    encode_hex,
    encode_number,
    encode_range,
    parse_hex,
    parse_number,
    parse_range,
    show,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_EXPRESSION = re.compile(rb";?X([0-9a-fA-F]{1,8}),([0-9a-fA-F]*)")
_COMMANDS = re.compile(rb";cmds:([01]),")


class BreakpointKind(enum.IntEnum):
    """The digit after ``Z``. SOFTWARE replaces an instruction; the others use a debug register."""

    SOFTWARE = 0
    HARDWARE = 1
    WRITE = 2
    READ = 3
    ACCESS = 4


@dataclass(frozen=True, slots=True)
class InsertBreakpoint:
    """``Z``: ``length`` is the kind of instruction for a breakpoint (1 on x86), the bytes watched for a watchpoint.

    It stops when any of ``conditions`` is true, or always when there are none; ``commands`` run then, also while no
    client is connected when ``persist``.
    """

    kind: BreakpointKind
    address: int
    length: int
    conditions: tuple[bytes, ...] = ()
    commands: tuple[bytes, ...] = ()
    persist: bool = False

    def encode(self) -> bytes:
        """Return the payload."""
        payload = b"Z%d," % self.kind + encode_range(self.address, self.length)
        if self.conditions:
            payload += b";" + _encode_expressions(self.conditions)
        if self.commands:
            payload += b";cmds:%d," % self.persist + _encode_expressions(self.commands)
        return payload


@dataclass(frozen=True, slots=True)
class RemoveBreakpoint:
    """``z``: undo the ``Z`` with the same kind, address and length."""

    kind: BreakpointKind
    address: int
    length: int

    def encode(self) -> bytes:
        """Return the payload."""
        return b"z%d," % self.kind + encode_range(self.address, self.length)


def _encode_expressions(expressions: tuple[bytes, ...]) -> bytes:
    return b"".join(b"X" + encode_number(len(code)) + b"," + encode_hex(code) for code in expressions)


def _parse_expressions(text: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """Read leading expressions; return them and what follows."""
    expressions = []
    while found := _EXPRESSION.match(text):
        # The next expression's X is no hex digit, so this one's digits end where they should.
        expressions.append(parse_hex(found[2], parse_number(found[1], "an expression's length")))
        text = text[found.end() :]
    return tuple(expressions), text


def _parse_place(kind: BreakpointKind, place: bytes) -> tuple[BreakpointKind, int, int]:
    address, length = parse_range(place)
    return kind, address, length


def _parse_insert(kind: BreakpointKind, body: bytes) -> InsertBreakpoint:
    place, semicolon, rest = body.partition(b";")
    conditions, rest = _parse_expressions(semicolon + rest)
    commands: tuple[bytes, ...] = ()
    persist = False
    if found := _COMMANDS.match(rest):
        persist = found[1] == b"1"
        commands, rest = _parse_expressions(rest[found.end() :])
    if rest:
        raise RemoteProtocolError(f"a breakpoint ends in {show(rest)}, which is no condition and no command")
    return InsertBreakpoint(*_parse_place(kind, place), conditions, commands, persist)


BreakpointRequest = InsertBreakpoint | RemoveBreakpoint


def _insert_parser(kind: BreakpointKind) -> Callable[[bytes], BreakpointRequest]:
    return lambda body: _parse_insert(kind, body)


def _remove_parser(kind: BreakpointKind) -> Callable[[bytes], BreakpointRequest]:
    return lambda body: RemoveBreakpoint(*_parse_place(kind, body))


PARSERS: dict[bytes, Callable[[bytes], BreakpointRequest]] = {
    b"%b%d," % (letter, kind): parser(kind)
    for kind in BreakpointKind
    for letter, parser in ((b"Z", _insert_parser), (b"z", _remove_parser))
}
