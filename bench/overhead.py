# SPDX-License-Identifier: Apache-2.0
"""What the session adds to an exchange, in wall time: a read that it passes on, beside the same read without it."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nullmodem.bench.measure import installed_gdbs
from nullmodem.bench.sides import Session, World
from nullmodem.kbuild import ensure_kernel
from nullmodem.rsp.framing import Decoder, Packet, encode_packet

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

EXCHANGES = 400
STRIDE = 4096
"""Bytes from one read to the next: far enough that nothing was read ahead."""
LENGTH = 64


@dataclass(frozen=True, slots=True)
class Overhead:
    """Medians over ``exchanges`` of each kind, in milliseconds."""

    exchanges: int
    relay: float
    session: float

    @property
    def added(self) -> float:
        return self.session - self.relay

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "added": round(self.added, 4)}

    def sentence(self) -> str:
        return (
            f"A read of {LENGTH} bytes takes {self.relay:.2f} ms over a bare relay and {self.session:.2f} ms "
            f"through a session, {self.added:.2f} ms more (medians of {self.exchanges}, no limit on the line)."
        )


class Client:
    """A debugger of the least kind."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._decoder = Decoder(max_payload=1 << 20)

    def ask(self, payload: bytes) -> bytes:
        """A request and its answer."""
        self._socket.sendall(encode_packet(payload))
        while True:
            for frame in self._decoder.feed(self._socket.recv(1 << 16)):
                if isinstance(frame, Packet):
                    self._socket.sendall(b"+")
                    return frame.payload

    def time_reads(self, start: int) -> float:
        """The median of many reads, in milliseconds."""
        took = []
        for number in range(EXCHANGES):
            request = b"m%x,%x" % (start + number * STRIDE, LENGTH)
            began = time.perf_counter()
            answer = self.ask(request)
            took.append((time.perf_counter() - began) * 1000)
            assert len(answer) == 2 * LENGTH, answer
        return statistics.median(took)


@contextlib.contextmanager
def served(work: Path) -> Iterator[Session]:
    with Session(World(ensure_kernel("6.1"), installed_gdbs()[0]), work) as session:
        yield session


def exchange_overhead() -> Overhead:
    """Measure on one machine, with a session on it and then without."""
    with tempfile.TemporaryDirectory(prefix="nm-bench-") as work, served(Path(work) / "s") as session:
        with session.connect() as connection:
            client = Client(connection)
            client.ask(b"qSupported:swbreak+")
            client.ask(b"?")
            start = session.machine.live.text_address
            through_session = client.time_reads(start)
            client.ask(b"D")
        session.forget()
        with session.relay.connect() as connection:
            session.target.break_in()
            client = Client(connection)
            client.ask(b"?")
            bare = client.time_reads(start)
            client.ask(b"D")
    return Overhead(EXCHANGES, bare, through_session)
