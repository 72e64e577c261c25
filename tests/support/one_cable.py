# SPDX-License-Identifier: Apache-2.0
"""A splitter between a kernel and a debugger, without a line and with a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from nullmodem.rsp.framing import encode_packet
from nullmodem.wire.splitter import SplitState, Splitter

STOP = encode_packet(b"T05thread:1f;")
ANSWERS = {b"?": b"S05", b"qC": b"QC0000000000000001"}
FORGED = encode_packet(b"T05thread:01;")


@dataclass
class Kernel:
    """A kernel on one line, as far as a splitter can tell: what it prints, and its stub (put_packet, get_packet).

    ``printed`` is every byte of text it has put on the line, ``packets`` what its stub has, each once.
    """

    stopped: bool = False
    acks: bool = False  # in the ack slot: deaf to all but an acknowledgement
    last: bytes = b""
    read: bytearray = field(default_factory=bytearray)
    typed: bytearray = field(default_factory=bytearray)
    printed: bytearray = field(default_factory=bytearray)
    requests: list[bytes] = field(default_factory=list)

    def prints(self, text: bytes) -> bytes:
        self.printed += text
        return text

    def stops(self, packet: bytes = STOP) -> bytes:
        self.stopped, self.acks, self.last = True, True, packet
        return packet

    def takes(self, data: bytes) -> bytes:
        """What comes over the line; what it says to that."""
        said = b""
        for value in data:
            byte = bytes((value,))
            if not self.stopped:
                self.typed += byte
            elif self.acks:
                if byte == b"+":
                    self.acks = False
                else:
                    said += self.last
            elif self.read or byte == b"$":
                self.read += byte
                if self.read[-3:-2] == b"#":
                    said += self._serve(bytes(self.read[1:-3]))
                    self.read.clear()
        return said

    def _serve(self, request: bytes) -> bytes:
        self.requests.append(request)
        if request in (b"c", b"s"):
            self.stopped = False
            return b"+"
        self.last, self.acks = encode_packet(ANSWERS.get(request, b"0011")), True
        return b"+" + self.last


@dataclass
class Bench:
    """A splitter between a kernel and a debugger, and the time."""

    kernel: Kernel = field(default_factory=Kernel)
    splitter: Splitter = field(default_factory=Splitter)
    now: float = 0.0
    text: bytearray = field(default_factory=bytearray)
    protocol: bytearray = field(default_factory=bytearray)
    cut: list[int] = field(default_factory=list)

    def comes(self, data: bytes) -> None:
        """Bytes come from the kernel, cut into pieces; what it is sent for them, it answers at once."""
        while data:
            length = max(1, self.cut.pop(0) if self.cut else len(data))
            self.splitter.received(data[:length], self.now)
            data = data[length:] + self.settle()

    def settle(self) -> bytes:
        text, protocol, line = self.splitter.take()
        self.text += text
        self.protocol += protocol
        return self.kernel.takes(line)

    def asks(self, data: bytes) -> None:
        """The debugger sends something."""
        self.splitter.sent(data, self.now)
        self.comes(self.settle())

    def waits(self, seconds: float = 10.0) -> None:
        """Nothing comes for a while, but for what the splitter's own bytes bring."""
        end = self.now + seconds
        while (deadline := self.splitter.deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.splitter.tick(self.now)
            self.comes(self.settle())
        self.now = end

    def stop(self) -> None:
        """Bring it to its first stop."""
        self.comes(self.kernel.stops())
        self.waits(1.0)
        assert self.splitter.state is SplitState.STOPPED


def packets(data: bytes) -> list[bytes]:
    """Different packets in a row, without what was sent again."""
    found: list[bytes] = []
    for packet in data.replace(b"+", b"").split(b"$")[1:]:
        if not found or found[-1] != packet:
            found.append(packet)
    return found
