# SPDX-License-Identifier: Apache-2.0
"""What becomes of a target that nobody attends: never does it stand still, or go on, without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.session.model import Policy, State, StopReason

if TYPE_CHECKING:
    from nullmodem.session.session import Session

HELP: Final = "`nullmodem gdb` looks at it, `nullmodem continue` lets it run"
_ASKED_FOR: Final = (StopReason.ATTACHED, StopReason.MODULE_LOAD)


class Unattended:
    """Applies the policy, and says what it does. Used in the engine's thread only."""

    def __init__(self, session: Session, policy: Policy) -> None:
        self._session = session
        self._policy = policy
        self._known = False

    def stopped(self, reason: StopReason, *, wanted: bool) -> None:
        """The target stands for all to see. Who ``wanted`` that need not be attached to know of it."""
        self._known = wanted or reason in _ASKED_FOR

    def somebody_knows(self) -> None:
        """Who is not attached has been told of the stop."""
        self._known = True

    def leave(self) -> None:
        """Treat a stop that nobody knows of as the policy says."""
        session, stop = self._session, self._session.stop
        seen = self._known or session.clients.attached or session.bus.is_told_of_stops
        if session.state is not State.STOPPED or stop is None or seen:
            return
        self._known = True
        met = f"the target has stopped at {session.world.describe(stop.pc)} ({stop.reason.value}), with nobody attached"
        # What went wrong would go wrong again.
        if self._policy is Policy.HOLD or stop.reason is StopReason.TROUBLE:
            session.say(f"{met}; it stays stopped: {HELP}")
        else:
            session.say(f"{met}; it runs on")
            session.continue_target()

    def goes_on_without(self, client: str) -> bool:
        """A client has gone from a target that stands still, and no other looks at it. Whether it goes on.

        It has vanished, unless ``client`` is empty.
        """
        if not client:
            return True
        if self._policy is Policy.HOLD and not self._session.clients.attached:
            self._known = True
            self._session.say(f"{client} is gone; the target stays stopped, as the policy says: {HELP}")
            return False
        self._session.say(f"{client} is gone; its breakpoints are lifted and the target runs on")
        return True

    def runs_without(self, client: str) -> None:
        """A client has gone from a target that runs. It has vanished, unless ``client`` is empty."""
        if client:
            self._session.say(f"{client} is gone; the target runs on, and its breakpoints are lifted at the next stop")
