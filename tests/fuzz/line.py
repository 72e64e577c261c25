# SPDX-License-Identifier: Apache-2.0
"""Our client on a modelled line to the fake stub, one exchange at a time. A deadline is when nothing is under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nullmodem.rsp.client import ClientConnection, Reply

if TYPE_CHECKING:
    from nullmodem.testing.line import ModelledLine

_PATIENCE = 50  # deadlines in a session; the client asks for far fewer
_DEADLINE = 1.0  # seconds; more than anything here is under way


class NeverEndsError(Exception):
    """The client waits for something that will never come."""


@dataclass
class Exchanger:
    """Carries one exchange at a time; ``deadlines`` counts those that passed."""

    line: ModelledLine
    client: ClientConnection = field(default_factory=ClientConnection)
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
                self.line.write(data)
            if self.line.wait(self.line, _DEADLINE):
                events = self.client.receive(self.line.read())
            else:
                self.deadlines += 1
                if self.deadlines > _PATIENCE:
                    raise NeverEndsError(f"the client neither gets on with {payload!r} nor gives up")
                events = self.client.timeout()
            for event in events:
                if isinstance(event, Reply):
                    return event.payload
