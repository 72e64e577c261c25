# SPDX-License-Identifier: Apache-2.0
"""Who is asked and told of what the runner cannot decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nullmodem.session.hooks import Hook
    from nullmodem.session.model import StopReason


class Owner(Protocol):
    """The session, to its runner."""

    def on_hook(self, hook: Hook) -> bool:
        """A hook was reached. True to go on, False when the session keeps the target stopped."""

    def on_breakpoint(self, pc: int) -> bool:
        """A breakpoint of clients was reached. True to show it, False to go on past it."""

    def on_visible(self, reason: StopReason, signal: int) -> None:
        """The plan ended, or a client's breakpoint was hit."""

    def on_unexplained(self, signal: int) -> None:
        """The target stopped for a reason of its own."""

    def on_stepped(self) -> bool:
        """One instruction was executed. True when that is a stop of its own, which was shown."""

    def on_leaving(self) -> None:
        """The target is about to run."""
