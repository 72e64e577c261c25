# SPDX-License-Identifier: Apache-2.0
"""Stands between a debugger and the kernel's stub and counts what travels, whoever the debugger is.

A plain gdb keeps no count of its own, and nullmodem's should not be taken on trust. Counted are the bytes on the
kernel's side, acknowledgements included, and the requests that were answered. It can be as slow as a serial line, too:
a virtual machine's own is as fast as its processor.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.frontends.gdb.server import listen_unix
from nullmodem.rsp.framing import Decoder, Packet
from nullmodem.testing.throttle import Speed, Throttle
from nullmodem.waiting import wait_readable
from nullmodem.wire.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.wire.meter import WireCost

_READ_SIZE = 1 << 16


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer, payloads only. What sets the target running is answered by its next stop."""

    request: bytes
    reply: bytes


class Relay:
    """Passes bytes between the kernel's stub and one client at a time, who connects to a Unix socket.

    Args:
        kernel: the connected line to the stub. It stays open when a client goes, and when the relay is closed.
        path: where clients connect; not longer than a socket's path may be.
        speed: that of the line to imitate; None: as fast as bytes can be passed on.
        clock: what a line of that speed goes by.
    """

    def __init__(
        self,
        kernel: socket.socket,
        path: Path,
        *,
        speed: Speed | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = str(path)
        self._kernel = kernel
        self._listener = listen_unix(path)
        self._client: socket.socket | None = None
        self._meter = Meter()
        self._exchanges: list[Exchange] = []
        self._request: bytes | None = None
        self._from_client, self._from_kernel = Decoder(), Decoder()
        self._to_kernel = Throttle(speed, clock) if speed is not None else None
        self._to_client = Throttle(speed, clock) if speed is not None else None
        self._wake, self._alarm = os.pipe()
        self._settling: list[threading.Event] = []
        self._lock = threading.Lock()
        self._ended = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="nullmodem-relay", daemon=True)
        self._thread.start()

    @property
    def cost(self) -> WireCost:
        """Everything counted so far, with every byte that either side had written when this was asked."""
        self._settle()
        return self._meter.cost

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Every request that was answered, in order."""
        self._settle()
        return tuple(self._exchanges)

    def connect(self) -> socket.socket:
        """A client in this process."""
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.address)
        return client

    def close(self) -> None:
        """Hang up on the client and stop. Safe to call twice."""
        with self._lock:
            self._closing = True
            if not self._ended:
                os.write(self._alarm, b"\0")
        self._thread.join()

    # -- the thread ----------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Wait until what was on its way has been passed on."""
        settled = threading.Event()
        with self._lock:
            if self._ended:
                return
            self._settling.append(settled)
            os.write(self._alarm, b"\0")
        settled.wait()

    def _run(self) -> None:
        try:
            while not self._closing:
                if self._turn(None):
                    os.read(self._wake, _READ_SIZE)
                    self._settled()
        except OSError:
            pass  # the kernel's line is gone
        finally:
            with self._lock:
                self._ended = True
            self._settled()
            self._hang_up()
            self._listener.close()
            os.close(self._wake)
            os.close(self._alarm)

    def _settled(self) -> None:
        with self._lock:
            waiting, self._settling = self._settling, []
        if waiting:
            while not self._closing and (self._turn(0) or self._next_arrival() is not None):
                pass
        for settled in waiting:
            settled.set()

    def _turn(self, timeout: float | None) -> bool:
        """Pass on what is there. With no timeout: whether somebody wants to know; else whether there was anything."""
        peer = self._client or self._listener
        sources: list[int | socket.socket] = [self._kernel, peer]
        if timeout is None:
            sources.append(self._wake)
        ready = self._wait(sources, timeout)
        self._deliver()
        if self._kernel in ready:
            self._pass_back(self._kernel.recv(_READ_SIZE))
        if peer in ready:
            if self._client is None:
                self._client, _address = self._listener.accept()
            else:
                self._pass_on(self._client)
        return self._wake in ready if timeout is None else bool(ready)

    # -- a slow line ---------------------------------------------------------------------------------------------

    def _next_arrival(self) -> float | None:
        waits = [line.wait for line in (self._to_kernel, self._to_client) if line is not None]
        return min((wait for wait in waits if wait is not None), default=None)

    def _wait(self, sources: list[int | socket.socket], timeout: float | None) -> list[int | socket.socket]:
        """As `wait_readable`, but no longer than until something arrives."""
        arrival = self._next_arrival()
        if arrival is None:
            return wait_readable(sources, timeout)
        # poll counts in whole milliseconds, in which a line of 4 Mbaud carries 400 bytes; select does not.
        whole = max(0.0, int(arrival * 1000) / 1000 - 1e-6)
        ready = wait_readable(sources, whole)
        if not ready:
            select.select((), (), (), max(0.0, self._next_arrival() or 0.0))
        return ready

    def _deliver(self) -> None:
        if self._to_kernel is not None and (data := self._to_kernel.arrived()):
            self._kernel.sendall(data)
        if self._to_client is not None and (data := self._to_client.arrived()):
            self._send_back(data)

    def _pass_on(self, client: socket.socket) -> None:
        try:
            data = client.recv(_READ_SIZE)
        except ConnectionError:
            data = b""
        if not data:
            self._hang_up()
            return
        self._meter.sent(len(data))
        for frame in self._from_client.feed(data):
            if isinstance(frame, Packet):
                self._request = frame.payload
        if self._to_kernel is not None:
            self._to_kernel.put(data)
        else:
            self._kernel.sendall(data)

    def _pass_back(self, data: bytes) -> None:
        if not data:
            raise ConnectionError
        self._meter.received(len(data))
        for frame in self._from_kernel.feed(data):
            # Console output (`O` and hex digits) comes before the answer; a second answer is a resend.
            if isinstance(frame, Packet) and self._request is not None and not _is_output(frame.payload):
                self._exchanges.append(Exchange(self._request, frame.payload))
                self._meter.round_trip()
                self._request = None
        if self._to_client is not None:
            self._to_client.put(data)
        else:
            self._send_back(data)

    def _send_back(self, data: bytes) -> None:
        if self._client is not None:
            with contextlib.suppress(ConnectionError):  # its end is noticed when it is read
                self._client.sendall(data)

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        self._request = None
        self._from_client = Decoder()


def _is_output(payload: bytes) -> bool:
    return payload.startswith(b"O") and payload != b"OK"
