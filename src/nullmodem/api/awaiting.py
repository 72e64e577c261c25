# SPDX-License-Identifier: Apache-2.0
"""Waiting for what a target does, whoever has it do that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nullmodem.errors import StateError, WireTimeout
from nullmodem.session.model import Lost, State, Stop, Stopped
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from nullmodem.api.live import LiveSession
    from nullmodem.session.events import Subscription


def next_stop(live: LiveSession, events: Subscription, timeout: float) -> Stop:
    """The next stop that ``events`` brings. Raises WireTimeout, StateError as `LiveSession.wait_for_stop` does."""
    require_target(live)
    deadline = time.monotonic() + timeout
    while True:
        match events.get():
            case Stopped(stop):
                return stop
            case Lost(reason):
                msg = f"the target is lost: {reason}"
                raise StateError(msg, state=State.LOST.value)
            case None:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not wait_readable([events], remaining):
                    msg = f"the target did not stop within {timeout:.0f} s"
                    raise WireTimeout(msg)
            case _:
                pass


def until_running(live: LiveSession, events: Subscription, timeout: float) -> None:
    """Return once the target runs. Raises WireTimeout, StateError."""
    deadline = time.monotonic() + timeout
    while not live.is_running:
        remaining = deadline - time.monotonic()
        require_target(live)
        if remaining <= 0 or not wait_readable([events], remaining):
            msg = f"the target was not resumed within {timeout:.0f} s"
            raise WireTimeout(msg)
        events.get()


def require_target(live: LiveSession) -> None:
    """Raises StateError when the target is lost."""
    if live.state is State.LOST:
        raise StateError("the target is lost", state=State.LOST.value)
