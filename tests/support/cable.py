# SPDX-License-Identifier: Apache-2.0
"""A line between a rig's session and its machine that is pulled out and plugged in again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nullmodem.errors import WireError
from nullmodem.session.model import State
from support.client import PATIENCE_SECONDS
from support.runner import DirectLine

if TYPE_CHECKING:
    from nullmodem.wire.streams import ByteStream
    from support.rig import Rig


class Cable:
    """The line between a rig's session and its machine, which can be pulled out and plugged in again."""

    def __init__(self, rig: Rig, seconds: float = PATIENCE_SECONDS) -> None:
        self.rig = rig
        self.lines = [rig.line]
        self._in = threading.Event()
        self._in.set()
        rig.live.survives(self._open, seconds)

    def pull(self) -> None:
        """Returns when the session knows."""
        self._in.clear()
        self.rig.line.unplug()
        self.rig.until(State.DISCONNECTED)

    def plug(self) -> None:
        self._in.set()

    def _open(self, _standing: bool) -> ByteStream:
        if not self._in.is_set():
            raise WireError("there is no device")
        self.rig.line = DirectLine(self.rig.fake)
        self.lines.append(self.rig.line)
        return self.rig.line

    def close(self) -> None:
        for line in self.lines:
            if line is not self.rig.line:
                line.close()
