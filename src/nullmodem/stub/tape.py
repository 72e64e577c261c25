# SPDX-License-Identifier: Apache-2.0
"""Recording a line that is used already: from some moment on to another, over whatever streams it goes meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nullmodem.wire.recorder import Recorder


class Tape:
    """Hands what is on the line to ``recorder`` while there is one."""

    def __init__(self) -> None:
        self.recorder: Recorder | None = None

    def to_target(self, data: bytes) -> None:
        """Bytes go to the target."""
        if self.recorder is not None:
            self.recorder.to_target(data)

    def from_target(self, data: bytes) -> None:
        """Bytes have come from it."""
        if self.recorder is not None:
            self.recorder.from_target(data)
