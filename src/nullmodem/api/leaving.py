# SPDX-License-Identifier: Apache-2.0
"""How a target is brought to where a session can let go of it, and is let go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from nullmodem.api.halting import halt
from nullmodem.api.taking import BREAK_IN_PATIENCE
from nullmodem.errors import NullmodemError, WireClosed
from nullmodem.session.letting_go import release_all_the_same, release_if_quiet, run_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.live import LiveSession
    from nullmodem.session.session import Session

T = TypeVar("T")

STOP_SECONDS: Final = 10.0
ROUNDS: Final = 5
"""Times a target runs on, each for as long as a break-in takes, so that what is under way can end."""


class Call(Protocol):
    """Runs something in the thread that owns the wire."""

    def __call__(self, function: Callable[[], T], /) -> T: ...


def let_go(live: LiveSession, session: Session, call: Call) -> None:
    """Have the target stand still, with nothing under way that would be reported when nobody is there, and let it go.

    A thread whose step was overtaken by another's stop still carries its trap flag. When it gets to run, the kernel
    stops, and waits for a debugger: it gets to run before, if that does not take too long. So does a processor that has
    run into a breakpoint meanwhile. A target that cannot be stopped after that runs on with nothing armed.

    Raises WireTimeout when a target that runs does not stop, and what `LiveSession.interrupt` does.
    """
    for number in range(ROUNDS):
        if live.is_running:
            halt(live, STOP_SECONDS)
        if call(lambda: release_if_quiet(session)):
            return
        try:
            _stop_again(live, session, call, number)
        except WireClosed:
            raise
        except NullmodemError as error:
            if not call(lambda: session.still):
                live.say(f"the target runs on with nothing armed; it could not be stopped to say that we go: {error}")
                return
    call(lambda: release_all_the_same(session))


def _stop_again(live: LiveSession, session: Session, call: Call, number: int) -> None:
    """Have the target run on, and stop once more: by a break-in that is under way already, if one is."""
    arrives = call(lambda: run_on(session))
    if arrives and not live.stopped_within(BREAK_IN_PATIENCE) and number:  # it was waited for before
        call(session.break_ins.lost)
    halt(live, STOP_SECONDS)
