# SPDX-License-Identifier: Apache-2.0
"""The target's console in the editor's debug console, a line at a time."""

from __future__ import annotations

import codecs
import contextlib
import re
import socket
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nullmodem.api.sessions import RunningSession
    from nullmodem.frontends.dap.editor import Editor

_CHUNK: Final = 1 << 14
_LONGEST: Final = 4096
"""Characters after which a line without an end is shown."""

# Escape sequences (ECMA-48), and control characters that would command a terminal.
_ESCAPES: Final = re.compile(
    r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-Z\\^_]|\][^\x07\x1b]*(\x07|\x1b\\))|[\x00-\x08\x0b-\x1f\x7f]"
)


def plain(text: str) -> str:
    """Text of the target without what would command a terminal."""
    return _ESCAPES.sub("", text)


class Console:
    """Follows the session's console until closed. A session without one is followed to no effect."""

    def __init__(self, session: RunningSession, editor: Editor) -> None:
        self._editor = editor
        self._connection = socket.socket(socket.AF_UNIX)
        self._thread = threading.Thread(target=self._follow, name="nullmodem-dap-console", daemon=True)
        try:
            self._connection.connect(str(session.console_socket))
        except OSError:
            self._connection.close()
            return
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        if self._thread.is_alive():
            self._thread.join()
        self._connection.close()

    def _follow(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        while data := self._read():
            *lines, rest = (rest + decoder.decode(data)).split("\n")
            for line in lines:
                self._editor.output(plain(line) + "\n", "stdout")
            if len(rest) > _LONGEST:
                self._editor.output(plain(rest), "stdout")
                rest = ""

    def _read(self) -> bytes:
        try:
            return self._connection.recv(_CHUNK)
        except OSError:
            return b""
