# SPDX-License-Identifier: Apache-2.0
"""A serial line to a fake stub, modelled byte by byte: rate, latency, a receive FIFO, noise. No real time passes.

::

    client  ──► rate, latency, noise ──► 16-byte FIFO ──►  stub     deaf while it transmits: the FIFO overruns
            ◄── noise, latency, rate ◄────────────────────

A kernel's stub polls its UART: while it writes a reply, one character at a time, it reads nothing
(drivers/tty/serial/8250/8250_port.c serial8250_put_poll_char), and a 16550 keeps 16 characters.
"""

from __future__ import annotations

import os
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from nullmodem.errors import WireClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.testing.fakestub import FakeKgdb
    from nullmodem.wire.streams import ByteStream

FIFO = 16
_BITS_PER_BYTE = 10
_BREAK = b""
"""Among what is on its way: the line held in BREAK."""


class VirtualClock:
    """Seconds that pass when they are told to. Call it for the time, as ``time.monotonic``."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


Fault: TypeAlias = "Callable[[int, bytes], bytes]"
"""What becomes of bytes in one direction of a line, and the place of the first of them, counted from 0."""


def clean(_place: int, data: bytes) -> bytes:
    """No fault."""
    return data


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault: ``change`` says what becomes of the byte at ``place``; the others arrive as they were sent."""

    place: int
    change: Callable[[bytes], bytes]

    def __call__(self, place: int, data: bytes) -> bytes:
        at = self.place - place
        return data[:at] + self.change(data[at : at + 1]) + data[at + 1 :] if 0 <= at < len(data) else data


@dataclass
class Noise:
    """On the average one byte in ``one_in`` is lost, has a bit flipped, comes twice, or has another byte before it.

    The same faults for the same ``seed``. ``struck`` counts them.
    """

    seed: int
    one_in: int = 10_000
    struck: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - noise is to be the same again, not to be secret

    def __call__(self, _place: int, data: bytes) -> bytes:
        return b"".join(self._strike(data[at : at + 1]) for at in range(len(data)))

    def _strike(self, byte: bytes) -> bytes:
        if self._random.randrange(self.one_in):
            return byte
        self.struck += 1
        match self._random.randrange(4):
            case 0:
                return b""
            case 1:
                return bytes((byte[0] ^ 1 << self._random.randrange(8),))
            case 2:
                return byte * 2
            case _:
                return bytes((self._random.randrange(256),)) + byte


class ModelledLine:
    """`ByteStream` to ``fake``. Give ``clock`` and ``wait`` to whoever reads it, and time passes while it waits.

    Args:
        baud: of the line, 8N1; None: bytes take no time.
        latency: seconds a byte is under way besides, each way: an adapter's timer.
        fifo: characters the stub's UART keeps while the stub transmits; None: any number.
        outward, inward: what becomes of bytes toward the stub, and from it.

    ``overruns`` counts characters that found the FIFO full. ``sent`` and ``arrived`` count bytes in each direction.
    """

    def __init__(
        self,
        fake: FakeKgdb,
        *,
        clock: VirtualClock | None = None,
        baud: int | None = None,
        latency: float = 0.0,
        fifo: int | None = FIFO,
        outward: Fault = clean,
        inward: Fault = clean,
    ) -> None:
        self.fake = fake
        self.clock = clock or VirtualClock()
        self.overruns = self.sent = self.arrived = 0
        self.outward, self.inward = outward, inward
        self._byte_time = _BITS_PER_BYTE / baud if baud else 0.0
        self._latency = latency
        self._fifo_size = fifo
        self._under_way: deque[tuple[float, bytes]] = deque()  # toward the stub: when it arrives there
        self._coming: deque[tuple[float, bytes]] = deque()  # from the stub: when it arrives here
        self._fifo: deque[bytes] = deque()
        self._sender_free = 0.0  # when our transmitter is done with what it was given
        self._stub_free = 0.0  # when the stub has transmitted what it has to say
        self._sysrq = False
        self._closed = False
        self._ready = os.eventfd(0, os.EFD_NONBLOCK)
        self._told = False

    # -- ByteStream ----------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """Readable when bytes have arrived by the clock's time."""
        return self._ready

    def read(self, limit: int = 65536) -> bytes:
        """What has arrived; empty once unplugged."""
        self._catch_up()
        data = b""
        while self._coming and self._coming[0][0] <= self.clock.now and len(data) < limit:
            at, piece = self._coming.popleft()
            room = limit - len(data)
            if len(piece) > room:
                self._coming.appendleft((at, piece[room:]))
            data += piece[:room]
        self._tell()
        return data

    def write(self, data: bytes) -> None:
        """Hand ``data`` to the transmitter. Raises WireClosed once unplugged."""
        if self._closed:
            raise WireClosed("the line was unplugged")
        struck = self.outward(self.sent, data)
        self.sent += len(data)
        for piece in self._pieces(struck):
            self._transmit(piece)
        self._catch_up()

    def send_break(self) -> None:
        """BREAK: the next byte that reaches a running kernel is a sysrq key, and g stops it."""
        if self._closed:
            raise WireClosed("the line was unplugged")
        self._transmit(_BREAK)
        self._catch_up()

    def close(self) -> None:
        """Let it go. Calling it again does nothing."""
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1

    def __del__(self, _close: Callable[[int], None] = os.close) -> None:
        if self._ready >= 0:  # at the interpreter's end the modules are gone
            _close(self._ready)

    # -- time ----------------------------------------------------------------------------------------------------

    def wait(self, _stream: ByteStream, seconds: float) -> bool:
        """Let time pass until something can be read, at most ``seconds``. Whether something can."""
        end = self.clock.now + seconds
        while not self._readable():
            coming = self._next_event()
            if coming is None or coming > end:
                self.clock.now = max(self.clock.now, end)
                break
            self.clock.now = max(self.clock.now, coming)
            self._catch_up()
        return self._readable()

    # -- the far end ---------------------------------------------------------------------------------------------

    def poke(self, produce: Callable[[], bytes]) -> None:
        """Call ``produce`` while the stub is at rest; what it returns is transmitted from there, now."""
        self._catch_up()
        self._say(max(self.clock.now, self._stub_free), produce())
        self._tell()

    def deliver(self, data: bytes) -> None:
        """Let the far end transmit ``data`` now: console text, or what a test makes up."""
        self.poke(lambda: data)

    def unplug(self) -> None:
        """The other end is gone: the reader sees the end, the writer an error."""
        self._closed = True
        self._coming.clear()
        self._tell()

    # -- inside --------------------------------------------------------------------------------------------------

    def _pieces(self, data: bytes) -> list[bytes]:
        """What travels together: one byte at a time, where bytes take time."""
        if not self._byte_time:
            return [data] if data else []
        return [data[at : at + 1] for at in range(len(data))]

    def _transmit(self, piece: bytes) -> None:
        self._sender_free = max(self._sender_free, self.clock.now) + self._byte_time
        self._under_way.append((self._sender_free + self._latency, piece))

    def _next_event(self) -> float | None:
        times = [queue[0][0] for queue in (self._under_way, self._coming) if queue]
        if self._fifo:
            times.append(self._stub_free)
        return min(times, default=None)

    def _catch_up(self) -> None:
        """Let the far end do what it does until now."""
        now = self.clock.now
        while True:
            arrives = self._under_way[0][0] if self._under_way else None
            if self._fifo and self._stub_free <= now and (arrives is None or self._stub_free <= arrives):
                self._take(self._stub_free, self._fifo.popleft())
            elif arrives is not None and arrives <= now:
                self._receive(arrives, self._under_way.popleft()[1])
            else:
                break
        self._tell()

    def _receive(self, at: float, piece: bytes) -> None:
        if self._fifo or self._stub_free > at:
            if self._fifo_size is not None and len(self._fifo) >= self._fifo_size:
                self.overruns += 1
            else:
                self._fifo.append(piece)
        else:
            self._take(at, piece)

    def _take(self, at: float, piece: bytes) -> None:
        if piece == _BREAK:
            self._sysrq = self.fake.running
            return
        if self._sysrq and self.fake.running:
            self._sysrq = False
            if piece[:1] == b"g":
                self._say(at, self.fake.stop())
            piece = piece[1:]
        self._say(at, self.fake.receive(piece))

    def _say(self, at: float, data: bytes) -> None:
        struck = self.inward(self.arrived, data)
        self.arrived += len(data)
        for piece in self._pieces(struck):
            at += self._byte_time
            self._coming.append((at + self._latency, piece))
        self._stub_free = max(self._stub_free, at)

    def _readable(self) -> bool:
        return self._closed or bool(self._coming and self._coming[0][0] <= self.clock.now)

    def _tell(self) -> None:
        readable = self._readable()
        if readable and not self._told:
            os.eventfd_write(self._ready, 1)
        elif self._told and not readable:
            os.eventfd_read(self._ready)
        self._told = readable
