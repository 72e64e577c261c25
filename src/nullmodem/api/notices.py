# SPDX-License-Identifier: Apache-2.0
"""What a session has to say although nobody may be attached: into its log, and onto the target's console."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from nullmodem.session.model import Lost, Said
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.session.events import Subscription

_log = logging.getLogger(__name__)


class Notices:
    """Hands everything that is said on ``events`` to ``tell``, one line at a time, in a thread of its own."""

    def __init__(self, events: Subscription, tell: Callable[[str], None]) -> None:
        self._events = events
        self._tell = tell
        self._reader, self._writer = os.pipe()
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="nullmodem-notices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Pass on what was said before, and end. Safe to call twice."""
        with self._closing:
            if self._writer < 0:
                return
            os.close(self._writer)  # the other end becomes readable
            self._writer = -1
        self._thread.join()
        os.close(self._reader)
        self._events.close()

    def _run(self) -> None:
        ready: set[object] = set()
        while self._reader not in ready:
            ready = set(wait_readable([self._reader, self._events.fileno()]))
            while (event := self._events.get()) is not None:
                match event:
                    case Said(text):
                        self._pass_on(text)
                    case Lost(reason):
                        self._pass_on(f"the target is lost: {reason}")
                    case _:
                        pass

    def _pass_on(self, text: str) -> None:
        _log.warning("%s", text)
        self._tell(text)
