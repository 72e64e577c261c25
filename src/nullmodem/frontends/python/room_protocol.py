# SPDX-License-Identifier: Apache-2.0
"""What the socket for Python speaks: JSON lines, both ways.

::

    client                                  session
                                            {"more": false}                  there is a room
    {"banner": true}                        {"banner": TEXT}
    {"feed": LINES}                         {"output": TEXT}…  {"more": BOOL} or {"exit": CODE}
    {"script": PATH, "source": TEXT,
     "arguments": [WORDS]}                  {"output": TEXT}…  {"exit": CODE}
    {"complete": TEXT}                      {"completions": [TEXTS]}
    {"interrupt": true}                     raises KeyboardInterrupt in what runs; answered by its own end

A client that hangs up leaves the room: what runs is interrupted, its breakpoints are lifted, the target runs on.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

from nullmodem.errors import RemoteProtocolError

if TYPE_CHECKING:
    import socket

LONGEST_LINE: Final = 16 << 20


class Channel:
    """One end of a connection. `send` may be called from any thread, `receive` from one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._buffer = bytearray()

    def send(self, **message: Any) -> None:
        """Raises OSError when the peer has gone."""
        line = json.dumps(message).encode() + b"\n"
        with self._lock:
            self._connection.sendall(line)

    def receive(self) -> dict[str, Any] | None:
        """The next message, None at the end. Raises RemoteProtocolError, OSError."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LONGEST_LINE:
                raise RemoteProtocolError(f"a line of more than {LONGEST_LINE} bytes")
            data = self._connection.recv(1 << 16)
            if not data:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RemoteProtocolError(f"not JSON: {error}") from None
        if not isinstance(message, dict):
            raise RemoteProtocolError("a JSON object was expected")
        return message
