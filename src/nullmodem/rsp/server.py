# SPDX-License-Identifier: Apache-2.0
"""Our side of the line toward a client such as gdb, for which we play the stub.

Requests are acknowledged as they arrive and replies are kept until they are, so that a ``-`` can be answered with the
same packet again. After ``QStartNoAckMode`` neither happens any more (gdb manual, "Packet Acknowledgment").
"""

from __future__ import annotations

import enum

from nullmodem.errors import RemoteProtocolError
from nullmodem.rsp.framing import Ack, Corrupt, Decoder, Frame, Interrupt, Nack, Packet, encode_packet


class _Acks(enum.Enum):
    ON = enum.auto()
    ENDING = enum.auto()  # no-ack mode was granted, and the client has not acknowledged that yet
    OFF = enum.auto()


class ServerConnection:
    """The protocol's server, without I/O.

    The caller writes what ``data_to_send`` returns after every other call, and feeds what it reads to ``receive``.
    ``max_payload`` bounds a request, ``tries`` how often in a row anything may arrive damaged, in either direction.
    """

    def __init__(self, *, max_payload: int = 1 << 16, tries: int = 8) -> None:
        self._decoder = Decoder(max_payload=max_payload)
        self._tries = tries
        self._out = bytearray()
        self._acks = _Acks.ON
        self._unacknowledged = b""  # the last packet, encoded, while it may have to be sent again
        self._resends = 0
        self._damaged = 0

    @property
    def no_ack(self) -> bool:
        """Whether acknowledgements have ended."""
        return self._acks is _Acks.OFF

    def receive(self, data: bytes) -> list[bytes | Interrupt]:
        """Take what the client sent and return its requests' payloads, and ``Interrupt`` for each Ctrl-C.

        Raises:
            RemoteProtocolError: the client is beyond repair: ``tries`` damaged packets in a row, the same reply
                rejected so often, or a damaged packet after it was agreed that there are none. Nothing that came with
                it should be acted on; close the connection.
        """
        received: list[bytes | Interrupt] = []
        for frame in self._decoder.feed(data):
            self._take(frame, received)
        return received

    def send(self, payload: bytes) -> None:
        """Queue a reply."""
        packet = encode_packet(payload)
        self._out += packet
        if self._acks is not _Acks.OFF:
            self._unacknowledged = packet
            self._resends = 0

    def start_no_ack(self) -> None:
        """Grant no-ack mode: call it before the ``OK`` is sent, which is the last packet to be acknowledged."""
        if self._acks is _Acks.ON:
            self._acks = _Acks.ENDING
            self._unacknowledged = b""

    def data_to_send(self) -> bytes:
        """Return what is to be written now; each byte once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def _take(self, frame: Frame, received: list[bytes | Interrupt]) -> None:
        match frame:
            case Packet(payload):
                self._take_packet(payload, received)
            case Interrupt():
                received.append(frame)
            case Ack():
                self._end_acks()
                self._unacknowledged = b""
            case Nack() if self._unacknowledged:
                self._resend()
            case Corrupt(_, reason):
                self._reject(reason)

    def _take_packet(self, payload: bytes, received: list[bytes | Interrupt]) -> None:
        # A client that has read our OK may leave out its last ack; that it goes on proves as much.
        self._end_acks()
        self._damaged = 0
        if self._acks is not _Acks.OFF:
            self._out += b"+"
        received.append(payload)

    def _end_acks(self) -> None:
        if self._acks is _Acks.ENDING and self._unacknowledged:
            self._acks = _Acks.OFF
            self._unacknowledged = b""

    def _resend(self) -> None:
        self._resends += 1
        if self._resends > self._tries:
            raise RemoteProtocolError(f"the client rejected the same packet {self._resends} times")
        self._out += self._unacknowledged

    def _reject(self, reason: str) -> None:
        self._damaged += 1
        if self._acks is _Acks.OFF:
            raise RemoteProtocolError(f"a packet from the client cannot be used: {reason}; none may be lost any more")
        if self._damaged > self._tries:
            raise RemoteProtocolError(f"{self._damaged} packets from the client in a row cannot be used: {reason}")
        self._out += b"-"
