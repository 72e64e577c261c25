# SPDX-License-Identifier: Apache-2.0
"""What an editor sends, read in a thread of its own: kept in order, but for what must not wait behind anything."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from nullmodem.errors import RemoteProtocolError
from nullmodem.frontends.dap.codec import Decoder, Malformed, Request, parse_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nullmodem.frontends.dap.editor import Editor


class Incoming:
    """``urgent`` are functions to call for requests of that name as they come, in the thread that reads; these requests
    are kept like all others, too. ``on_end`` is called there when nothing more will come.
    """

    def __init__(
        self,
        editor: Editor,
        read: Callable[[], bytes],
        urgent: Mapping[str, Callable[[Request], None]],
        on_end: Callable[[], None],
    ) -> None:
        self._editor = editor
        self._read = read
        self._urgent = urgent
        self._on_end = on_end
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self.broken = False
        """Whether it ended because where a message begins could not be told any more."""

    def start(self) -> None:
        threading.Thread(target=self._listen, name="nullmodem-dap-editor", daemon=True).start()

    @property
    def is_empty(self) -> bool:
        return self._requests.empty()

    def get(self) -> Request | None:
        """Wait for the next request; None when nothing more will come."""
        return self._requests.get()

    def _listen(self) -> None:
        decoder = Decoder()
        try:
            while data := self._read():
                decoder.feed(data)
                while (body := decoder.next()) is not None:
                    self._take(parse_request(body))
        except OSError:
            pass
        except RemoteProtocolError as error:
            self.broken = True
            self._editor.output(f"nullmodem: {error.message}; the connection is closed\n", "stderr")
            self._editor.over()
        self._on_end()
        self._requests.put(None)

    def _take(self, request: Request | Malformed) -> None:
        match request:
            case Malformed(reason, None):
                self._editor.output(f"nullmodem: the editor sent a message that is none: {reason}\n", "stderr")
            case Malformed(reason, int(seq)):
                self._editor.refuse(Request(seq, "", {}), reason)
            case Request():
                urgent = self._urgent.get(request.command)
                if urgent is not None:
                    urgent(request)
                self._requests.put(request)
