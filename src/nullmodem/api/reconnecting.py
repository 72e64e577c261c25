# SPDX-License-Identifier: Apache-2.0
"""A session outlives its line: the line is opened again, and the target met anew. `session.reconnection` knows how."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError, WireClosed
from nullmodem.session.model import State
from nullmodem.wire.reopening import SECONDS, Reopening

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from nullmodem.api.taking import BreakIn
    from nullmodem.session.engine import Engine
    from nullmodem.session.session import Session
    from nullmodem.wire.streams import ByteStream


class Reconnecting:
    """Brings a session's line back. ``reopen`` opens it; it is told whether the target stood still when the line went.
    ``alone`` is held while the target is broken into. ``seconds``: how long the line may be away.
    """

    def __init__(
        self,
        engine: Engine,
        session: Session,
        break_in: BreakIn,
        reopen: Callable[[bool], ByteStream],
        alone: AbstractContextManager[object],
        seconds: float = SECONDS,
    ) -> None:
        self._engine = engine
        self._session = session
        self._break_in = break_in
        self._reopen = reopen
        self._alone = alone
        self._reopening = Reopening(self._attempt, self._give_up, seconds)
        self.under_way = False
        session.reconnection.begin = self._reopening.begin

    def close(self) -> None:
        """Bring nothing back any more. Safe to call twice."""
        self._reopening.close()

    def stopped_within(self, seconds: float) -> bool:
        """Whether the target stops within that time, whether that is shown to anybody or not."""
        return self._session.reconnection.heard.wait(seconds)

    def _attempt(self) -> None:
        """Raises NullmodemError: the line is not there, or has gone again."""
        reconnection = self._session.reconnection
        stream = self._reopen(reconnection.stood)
        try:
            known = self._engine.call(lambda: reconnection.line_is_back(stream))
        except NullmodemError:
            if self._session.state is State.LOST:  # another boot was met
                return
            raise
        if not known:
            self._find_out()

    def _find_out(self) -> None:
        reconnection = self._session.reconnection
        with self._alone:
            self.under_way = True
            try:
                if self._engine.call(reconnection.must_break_in):
                    self._break_in()
            except NullmodemError as error:
                missed = error
                with contextlib.suppress(WireClosed):  # that ends the session, or the line has gone again
                    self._engine.call(lambda: reconnection.not_broken_into(missed))
            finally:
                self.under_way = False

    def _give_up(self, error: NullmodemError) -> None:
        with contextlib.suppress(NullmodemError):  # that ends the session, which may have ended by itself
            self._engine.call(lambda: self._session.reconnection.give_up(error))
