# SPDX-License-Identifier: Apache-2.0
"""The conversation with an editor, written down: one message a line, with the seconds since it began.

::

    {"recorded": "nullmodem 0.1.0"}
    {"editor": {"seq": 1, "type": "request", "command": "initialize"}, "time": 0.004, "conversation": 1}
    {"adapter": {"seq": 1, "type": "response", "request_seq": 1, ...}, "time": 0.005, "conversation": 1}
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from nullmodem import __version__
from nullmodem.errors import RemoteProtocolError, UsageError
from nullmodem.frontends.dap.codec import Decoder, parse_message

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Log:
    """A file of all conversations, for its owner alone: what an editor sends is what its user types. Thread-safe.

    Raises UsageError when it cannot be written.
    """

    def __init__(self, file: Path) -> None:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}") from error
        self._file = os.fdopen(descriptor, "w", encoding="ascii", buffering=1)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._began = time.monotonic()
        self._write({"recorded": f"nullmodem {__version__}"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._file.close()

    def between(
        self, read: Callable[[], bytes], write: Callable[[bytes], None]
    ) -> tuple[Callable[[], bytes], Callable[[bytes], None]]:
        """The two ways of a conversation, with this beside them."""
        number = next(self._numbers)
        said = self._messages("editor", number)
        answered = self._messages("adapter", number)

        def reading() -> bytes:
            data = read()
            said(data)
            return data

        def writing(data: bytes) -> None:
            answered(data)
            write(data)

        return reading, writing

    def _messages(self, who: str, number: int) -> Callable[[bytes], None]:
        """Takes a stream, however it is cut. What cannot be told apart any more is not written."""
        decoder = Decoder()
        broken = False

        def take(data: bytes) -> None:
            nonlocal broken
            if broken:
                return
            try:
                decoder.feed(data)
                while (body := decoder.next()) is not None:
                    self._note(who, number, body)
            except RemoteProtocolError as error:
                broken = True
                self._write({who: None, "broken": error.message, **self._when(number)})

        return take

    def _note(self, who: str, number: int, body: bytes) -> None:
        try:
            message: Any = parse_message(body)
        except RemoteProtocolError:
            message = body.decode("utf-8", "replace")
        self._write({who: message, **self._when(number)})

    def _when(self, number: int) -> dict[str, Any]:
        return {"time": round(time.monotonic() - self._began, 3), "conversation": number}

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock, contextlib.suppress(OSError):  # a full disk is no reason to end the conversation
            if not self._file.closed:
                self._file.write(json.dumps(line) + "\n")
