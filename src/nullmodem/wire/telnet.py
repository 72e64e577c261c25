# SPDX-License-Identifier: Apache-2.0
"""Telnet and its serial-port option as bytes. Pure: no I/O, no clock.

::

    IAC IAC                     the byte 255
    IAC BRK                     BREAK on the line behind the server
    IAC WILL|WONT|DO|DONT opt   negotiation (RFC 854, RFC 1143)
    IAC SB opt ... IAC SE       subnegotiation: with opt 44 the far UART's settings (RFC 2217)

Both sides are asked for BINARY (RFC 856), or CR would need a NUL behind it. A server that does not answer gets, and is
taken to send, plain telnet, where CR NUL means CR.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

IAC: Final = 0xFF
SE, BRK, SB = 0xF0, 0xF3, 0xFA
WILL, WONT, DO, DONT = 0xFB, 0xFC, 0xFD, 0xFE
_NEGOTIATING: Final = frozenset({WILL, WONT, DO, DONT})
_SUBNEGOTIATION_LIMIT: Final = 4096
_CR: Final = 0x0D


class Option(IntEnum):
    """Those we agree to."""

    BINARY = 0
    ECHO = 1
    SUPPRESS_GO_AHEAD = 3
    COM_PORT = 44


_OURS: Final = frozenset({Option.BINARY, Option.SUPPRESS_GO_AHEAD})
_THEIRS: Final = frozenset({Option.BINARY, Option.ECHO, Option.SUPPRESS_GO_AHEAD})


@dataclass(frozen=True, slots=True)
class Agreed:
    """The server has answered what we asked for: whether we may use an option (``ours``), or it will."""

    option: int
    ours: bool
    yes: bool


@dataclass(frozen=True, slots=True)
class Subnegotiation:
    """What stood between IAC SB and IAC SE; the first byte is the option."""

    data: bytes


Event: TypeAlias = Agreed | Subnegotiation


class TelnetCodec:
    """One connection, as the client that asks. ``com_port`` asks for RFC 2217 too.

    Feed what comes to `receive`; write what `data_to_send` returns after every call.
    """

    def __init__(self, *, com_port: bool = False) -> None:
        self._out = bytearray()
        self._command = bytearray()  # the unfinished command, from its IAC
        self._after_cr = False
        self._ours_allowed = _OURS | ({Option.COM_PORT} if com_port else frozenset())
        self._ours: dict[int, bool] = {}
        self._theirs: dict[int, bool] = {}
        self._asked: set[tuple[int, int]] = set()
        for option in (Option.BINARY, Option.SUPPRESS_GO_AHEAD):
            self._ask(WILL, option)
            self._ask(DO, option)
        if com_port:
            self._ask(WILL, Option.COM_PORT)

    def data_to_send(self) -> bytes:
        """What is to be written now; each byte once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def send(self, data: bytes) -> None:
        """Queue bytes for the line behind the server."""
        data = data.replace(b"\xff", b"\xff\xff")
        if self._ours.get(Option.BINARY) is False:
            data = data.replace(b"\r", b"\r\0")
        self._out += data

    def send_break(self) -> None:
        """Queue a BREAK."""
        self._out += bytes((IAC, BRK))

    def subnegotiate(self, data: bytes) -> None:
        """Queue a subnegotiation; the first byte is the option."""
        self._out += bytes((IAC, SB)) + data.replace(b"\xff", b"\xff\xff") + bytes((IAC, SE))

    def receive(self, data: bytes) -> tuple[bytes, list[Event]]:
        """What came: bytes of the line behind the server, and what the server has to say of itself."""
        plain = bytearray()
        events: list[Event] = []
        position = 0
        while position < len(data):
            if self._command:
                self._take_command(data[position], plain, events)
                position += 1
                continue
            end = data.find(IAC, position)
            end = len(data) if end < 0 else end
            self._take_plain(data[position:end], plain)
            if end < len(data):
                self._command.append(IAC)
            position = end + 1
        return bytes(plain), events

    def _take_plain(self, data: bytes, plain: bytearray) -> None:
        if self._theirs.get(Option.BINARY) or not data:
            plain += data
            return
        if self._after_cr and data[0] == 0:
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        plain += data.replace(b"\r\0", b"\r")

    def _take_command(self, byte: int, plain: bytearray, events: list[Event]) -> None:
        command = self._command
        command.append(byte)
        if len(command) == 2:
            if byte == IAC:
                self._take_plain(b"\xff", plain)
            if byte not in _NEGOTIATING and byte != SB:
                command.clear()
        elif command[1] == SB:
            self._take_subnegotiation(events)
        else:
            verb, option = command[1], command[2]
            command.clear()
            self._negotiate(verb, option, events)

    def _take_subnegotiation(self, events: list[Event]) -> None:
        command = self._command
        if len(command) > _SUBNEGOTIATION_LIMIT:
            command.clear()
        elif command[-2] == IAC and command[-1] == SE and not _is_data(command):
            events.append(Subnegotiation(bytes(command[2:-2]).replace(b"\xff\xff", b"\xff")))
            command.clear()

    def _ask(self, verb: int, option: int) -> None:
        self._asked.add((verb, option))
        self._out += bytes((IAC, verb, option))

    def _negotiate(self, verb: int, option: int, events: list[Event]) -> None:
        ours, yes = verb in {DO, DONT}, verb in {DO, WILL}
        state, allowed = (self._ours, self._ours_allowed) if ours else (self._theirs, _THEIRS)
        question = (WILL if ours else DO, option)
        if question in self._asked:
            self._asked.discard(question)
            state[option] = yes
            events.append(Agreed(option, ours, yes))
            return
        agreed = yes and option in allowed
        if state.get(option, False) != agreed or yes != agreed:
            self._out += bytes((IAC, (WILL if agreed else WONT) if ours else (DO if agreed else DONT), option))
        state[option] = agreed


def _is_data(command: bytearray) -> bool:
    """Whether the IAC before the last byte is the second half of a doubled one: then it is data."""
    count = 0
    at = len(command) - 2
    while at >= 2 and command[at] == IAC:
        count += 1
        at -= 1
    return count % 2 == 0
