# SPDX-License-Identifier: Apache-2.0
"""What a running target has printed last, as far as it may mean that it stands. Pure."""

from __future__ import annotations

from typing import Final

from nullmodem.rsp.replies import BROKEN_STOP
from nullmodem.wire.stop_forms import ENTERED

_KEPT: Final = 64


class Printed:
    """The end of the text, and of its last line."""

    def __init__(self) -> None:
        self._line = self._all = b""
        self._cleared = False  # this line was found out to be text

    def add(self, text: bytes) -> None:
        """More of it."""
        self._all = (self._all + text)[-_KEPT:]
        self._cleared = self._cleared and b"\n" not in text
        self._line = b"" if self._cleared else (self._line + text).rpartition(b"\n")[2][-_KEPT:]

    def clear_line(self) -> None:
        """Its last line is nothing but text."""
        self._line, self._cleared = b"", True

    def stop(self) -> None:
        """It stands: what it says next is another line."""
        self._line = b""

    @property
    def may_be_a_stop(self) -> bool:
        """Whether its last line may have been one, before a byte of it was lost or changed."""
        return BROKEN_STOP.search(self._line) is not None

    def says_it_has_entered(self) -> bool:
        """Whether it has said that it has entered the debugger; once for each time."""
        entered = ENTERED.search(self._all) is not None
        if entered:
            self._all = b""
        return entered
