# SPDX-License-Identifier: Apache-2.0
"""Telling a stub's answers from text while the target stands still. Pure."""

from __future__ import annotations

from nullmodem.wire.stop_forms import ANY, match_stop, sums_up

_OK = b"$OK#9a"
_LONGEST = 1 << 14
"""Bytes of a packet, far more than a stub's buffer holds (BUFMAX). Text with a dollar sign in it may have no end."""


class StandingStub:
    """What a stub says between a stop and the next request to go on, and what the kernel prints in between.

    It says one acknowledgement and one packet for each request, behind any number of ``O`` packets, and its last packet
    again when it is asked to. A packet with a wrong byte is still a packet where one is awaited: whoever asked has to
    know that it was damaged.
    """

    def __init__(self) -> None:
        self.awaited = False
        self._packet = bytearray()
        self._in_line = False
        self._last = b""

    @property
    def in_packet(self) -> bool:
        """Whether a packet has begun and not ended."""
        return bool(self._packet)

    def begin(self, packet: bytes) -> None:
        """It has stopped, and ``packet`` said so."""
        self.awaited, self._in_line, self._last = False, False, packet
        self._packet.clear()

    def asked(self) -> None:
        """A request is on its way to it."""
        self.awaited, self._in_line = True, False

    def take(self, byte: bytes, text: bytearray, protocol: bytearray) -> None:
        """One byte from the target goes to where it belongs."""
        if self._packet:
            self._more(byte, text, protocol)
        elif byte == b"$" and (self.awaited or self._last):
            self._packet += byte
        elif byte in (b"+", b"-") and not self._in_line:
            protocol += byte
        else:
            self._in_line = byte != b"\n"
            text += byte

    def take_resuming(self, byte: bytes, text: bytearray, protocol: bytearray) -> bytes:
        """As `take`, after a request to go on: a new stop is returned instead. Its target has run, or prints one."""
        last, before = self._last, len(protocol)
        self.take(byte, text, protocol)
        packet = bytes(protocol[before:])
        if packet == last or match_stop(packet) is None:
            self.awaited = True  # an echo answers nothing
            return b""
        del protocol[before:]
        return packet

    def _more(self, byte: bytes, text: bytearray, protocol: bytearray) -> None:
        packet = self._packet
        if byte == b"$":  # the one before has lost its end
            self._damaged(text, protocol)
            packet += byte
            return
        packet += byte
        ended = len(packet) >= 4 and packet[-3:-2] == b"#"
        if not ended and 0x20 <= byte[0] <= 0x7E and len(packet) < _LONGEST:
            return
        found = ANY.fullmatch(bytes(packet))
        if found and sums_up(found) and (self.awaited or packet == self._last):
            protocol += packet
            # What kdb prints comes in `O` packets, and the answer after them.
            self._last, self.awaited = bytes(packet), packet.startswith(b"$O") and packet != _OK
            packet.clear()
        else:
            self._damaged(text, protocol)

    def _damaged(self, text: bytearray, protocol: bytearray) -> None:
        """What began like a packet is none: the answer with a wrong byte in it, or text with a dollar sign."""
        packet = bytes(self._packet)
        self._packet.clear()
        if self.awaited and not self._in_line:
            protocol += packet
        else:
            text += packet
            self._in_line = not packet.endswith(b"\n")
