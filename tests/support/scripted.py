# SPDX-License-Identifier: Apache-2.0
"""A line whose other end answers as the test says, well or badly framed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nullmodem.errors import WireClosed
from nullmodem.rsp.server import ServerConnection

if TYPE_CHECKING:
    from collections.abc import Callable


class ScriptedLine:
    """`ByteStream` whose other end answers each request's payload by ``answer``; None is silence."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self._answer = answer
        self._server = ServerConnection()
        self._ready = os.eventfd(0, os.EFD_NONBLOCK)
        self._waiting = b""
        self.requests: list[bytes] = []
        self.closed = False

    def fileno(self) -> int:
        return self._ready

    def read(self, limit: int = 65536) -> bytes:
        os.eventfd_read(self._ready)
        data, self._waiting = self._waiting, b""
        return data

    def write(self, data: bytes) -> None:
        if self.closed:
            raise WireClosed("closed")
        for payload in self._server.receive(data):
            assert isinstance(payload, bytes)
            self.requests.append(payload)
            answer = self._answer(payload)
            if answer is not None:
                self._server.send(answer)
        self.deliver(self._server.data_to_send())

    def deliver(self, data: bytes) -> None:
        self._waiting += data
        if data:
            os.eventfd_write(self._ready, 1)

    def end(self) -> None:
        """The other end hangs up."""
        self.closed = True
        os.eventfd_write(self._ready, 1)

    def send_break(self) -> None:
        raise AssertionError

    def close(self) -> None:
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1

    def __del__(self) -> None:
        self.close()
