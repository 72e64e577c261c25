# SPDX-License-Identifier: Apache-2.0
"""A faulty line between our client and the fake stub. No time passes: a deadline is when nobody has more to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nullmodem.rsp.client import ClientConnection, Reply

if TYPE_CHECKING:
    from nullmodem.testing.fakestub import FakeKgdb

Fault = Callable[[bytes], bytes]  # what becomes of one byte


_PATIENCE = 50  # deadlines in a session; the client asks for far fewer


class NeverEndsError(Exception):
    """The client waits for something that will never come."""


@dataclass
class FaultyLine:
    """Carries one exchange at a time. ``out_fault`` and ``in_fault`` strike the byte at their place, counted from 0."""

    fake: FakeKgdb
    out_fault: tuple[int, Fault] | None = None
    in_fault: tuple[int, Fault] | None = None
    client: ClientConnection = field(default_factory=ClientConnection)
    out_count: int = 0
    in_count: int = 0
    deadlines: int = 0

    def exchange(self, payload: bytes) -> bytes:
        """Return the reply to ``payload``.

        Raises:
            WireTimeout: the client gave up.
            NeverEndsError: it did neither.
        """
        self.client.request(payload)
        while True:
            data = self.client.data_to_send()
            if data:
                events = self.client.receive(self._inward(self.fake.receive(self._outward(data))))
            else:
                self.deadlines += 1
                if self.deadlines > _PATIENCE:
                    raise NeverEndsError(f"the client neither gets on with {payload!r} nor gives up")
                events = self.client.timeout()
            for event in events:
                if isinstance(event, Reply):
                    return event.payload

    def _outward(self, data: bytes) -> bytes:
        struck = _strike(data, self.out_count, self.out_fault)
        self.out_count += len(data)
        return struck

    def _inward(self, data: bytes) -> bytes:
        struck = _strike(data, self.in_count, self.in_fault)
        self.in_count += len(data)
        return struck


def _strike(data: bytes, count: int, fault: tuple[int, Fault] | None) -> bytes:
    if fault is None or not count <= fault[0] < count + len(data):
        return data
    place = fault[0] - count
    return data[:place] + fault[1](data[place : place + 1]) + data[place + 1 :]
