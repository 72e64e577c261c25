# SPDX-License-Identifier: Apache-2.0
"""Taking a target over: it is broken into, and asked why it stands, until it answers."""

from __future__ import annotations

import concurrent.futures
import time
from typing import TYPE_CHECKING, Protocol

from nullmodem.errors import NullmodemError, WireTimeout

if TYPE_CHECKING:
    from nullmodem.session.engine import Engine
    from nullmodem.session.session import Session

BREAK_IN_PATIENCE = 5.0
"""Seconds after which a break-in that had no effect is tried again: the BREAK or the key behind it was lost."""


class BreakIn(Protocol):
    """How a running target is stopped from outside."""

    def __call__(self) -> None: ...


class TakeOver:
    """One attempt to have a target, used by the thread that begins a session."""

    def __init__(self, engine: Engine, session: Session, break_in: BreakIn) -> None:
        self._engine = engine
        self._session = session
        self._break_in = break_in
        self._asked: concurrent.futures.Future[None] | None = None

    def run(self, timeout: float, *, in_passing: bool) -> None:
        """``in_passing``: it is let go at once. Raises what `LiveSession.start` does."""
        deadline = time.monotonic() + timeout
        failure: NullmodemError | None = None
        while True:
            self._asked = self._engine.submit(
                lambda: self._session.take_over(min(timeout, BREAK_IN_PATIENCE), in_passing=in_passing)
            )
            if not self._session.target.is_known:  # a break-in sent to a target that has stopped stops it once more
                try:
                    self._break_in()
                except NullmodemError as error:  # it may stand still already, and answer all the same
                    failure = error
            try:
                self._asked.result()
            except WireTimeout as error:
                if failure is not None or time.monotonic() >= deadline:
                    raise failure or error from None
            else:
                return

    @property
    def under_way(self) -> bool:
        """Whether it was asked and has not answered."""
        return self._asked is not None and not self._asked.done()

    def met_within(self, seconds: float) -> bool:
        """Whether the target has answered within that time."""
        if self._asked is not None:
            concurrent.futures.wait([self._asked], seconds)
        return self._session.target.is_known or self._session.stop is not None
