# SPDX-License-Identifier: Apache-2.0
"""A target that was reset without a word.

The new boot's stub reports no stop, for nobody has spoken to it (kgdb_connected in kernel/debug/gdbstub.c): it stands
still for a break-in, and waits. That is how it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import TargetError, WireClosed
from nullmodem.session.model import State

if TYPE_CHECKING:
    from nullmodem.errors import NullmodemError
    from nullmodem.session.session import Session

ANSWER_SECONDS = 3.0
"""For a target that no break-in seems to stop to say that it stands after all."""


def break_in_failed(session: Session, client: str, error: NullmodemError) -> None:
    """A break-in that ``client`` wanted was tried, and stopped nothing. Raises WireClosed as `require_same_boot`."""
    session.break_ins.failed(client)
    if isinstance(error, TargetError):  # all ways were tried; others say that none could be
        require_same_boot(session)


def require_same_boot(session: Session) -> None:
    """Raise WireClosed, which ends the session, when its target stands still and has forgotten it; it is let go."""
    if session.state is State.RUNNING and session.stub.has_forgotten_us(ANSWER_SECONDS):
        session.stub.let_stranger_go()
        raise WireClosed(
            "the target has rebooted: it stopped, and its stub knew nothing of this session",
            hint="It runs on, without breakpoints. Attach to it again.",
        )
