# SPDX-License-Identifier: Apache-2.0
"""gdb's end of a connection, one packet at a time, for what no gdb would send."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nullmodem.rsp.framing import Ack, Decoder, Frame, Nack, Packet, encode_packet
from nullmodem.rsp.replies import ConsoleOutput, StopEvent, StopReply, parse_stop_reply
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    import socket

PATIENCE_SECONDS = 5.0


class Client:
    """Speaks to the session behind ``sock``, which belongs to it from here on."""

    def __init__(self, sock: socket.socket, patience: float = PATIENCE_SECONDS) -> None:
        self.socket = sock
        self.socket.settimeout(patience)
        self.console = b""
        self._decoder = Decoder(max_payload=1 << 20)
        self._frames: list[Frame] = []

    def send(self, payload: bytes) -> None:
        """A packet, well framed."""
        self.socket.sendall(encode_packet(payload))

    def raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def frame(self) -> Frame:
        """The next thing that comes."""
        while not self._frames:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            self._frames = self._decoder.feed(data)
        return self._frames.pop(0)

    def packet(self) -> bytes:
        """The next packet, acknowledged; console output is kept apart."""
        while True:
            frame = self.frame()
            if not isinstance(frame, Packet):
                assert isinstance(frame, Ack | Nack), frame
                continue
            if not self._is_console(frame.payload):
                self._acknowledge()
                return frame.payload

    def ask(self, payload: bytes) -> bytes:
        """A request and its answer."""
        self.send(payload)
        return self.packet()

    def stop(self) -> StopReply:
        """The next stop."""
        event: StopEvent = parse_stop_reply(self.packet())
        assert isinstance(event, StopReply)
        return event

    def attach(self) -> StopReply:
        """What gdb does first, as far as it matters."""
        self.ask(b"qSupported:multiprocess+;error-message+;swbreak+;hwbreak+")
        self.send(b"?")
        return self.stop()

    def nothing_comes(self) -> bool:
        """Whether there is neither a stop nor an answer, once the session has done all it was asked."""
        while wait_readable([self.socket], 0.05):
            self._frames += self._decoder.feed(self.socket.recv(1 << 16))
        frames, self._frames = self._frames, []
        for frame in frames:
            if isinstance(frame, Packet) and not self._is_console(frame.payload):
                self._frames.append(frame)
        return not self._frames

    def _is_console(self, payload: bytes) -> bool:
        """Whether that was console output; it is kept, and acknowledged as everything is."""
        if not payload.startswith(b"O") or payload == b"OK":
            return False
        output = parse_stop_reply(payload)
        assert isinstance(output, ConsoleOutput)
        self.console += output.data
        self._acknowledge()
        return True

    def _acknowledge(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # who hung up has said what is still to be read
            self.socket.sendall(b"+")
