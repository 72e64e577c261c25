# SPDX-License-Identifier: Apache-2.0
"""A line that has gone, and another one to the same stub: what became of the target meanwhile.

A stub waits for ever for the byte after its packet, on whatever line. A stop that nobody heard is still there to be
repeated, and a target that stands still answers a question. What was under way when the line went is not sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import StubError, WireTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.stub.exchange import Exchange
    from nullmodem.wire.streams import ByteStream


class Renewal:
    """A stub's client between two lines. ``current_thread`` asks for the thread that stopped, within so many seconds;
    ``forget`` drops what is known of the stop, of which thread the stub reads registers, too: it goes by the last that
    was selected until the target runs (kgdb_usethread in kernel/debug/gdbstub.c)."""

    def __init__(self, exchange: Exchange, current_thread: Callable[[float], int], forget: Callable[[], None]) -> None:
        self._exchange = exchange
        self._current_thread = current_thread
        self._forget = forget

    @property
    def is_due(self) -> bool:
        """Whether the line has ended; nothing can be asked before there is another."""
        return self._exchange.gone

    @property
    def is_in_doubt(self) -> bool:
        """Whether the target was told to run, and did not say that it does."""
        return self._exchange.is_in_doubt

    def renew(self, stream: ByteStream) -> None:
        """Go on over another line. Nothing that was sent before is sent again."""
        self._exchange.renew(stream)
        self._forget()

    def repeats_its_stop(self, seconds: float) -> bool:
        """Whether a target that ran has stopped, and says so once more within ``seconds``; `KgdbStub.take_stop` has the
        stop then. Raises WireClosed."""
        self._exchange.running = True
        return self._exchange.repeats_its_stop(seconds)

    def standing_thread(self, seconds: float) -> int | None:
        """The thread that stopped, if the target stands still and answers within ``seconds``. None: it runs, or is
        gone. Raises WireClosed; RemoteProtocolError."""
        self._exchange.running = False
        try:
            return self._current_thread(seconds)
        except (WireTimeout, StubError):
            self._exchange.running = True
            return None
