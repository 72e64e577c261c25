# SPDX-License-Identifier: Apache-2.0
"""A session's beginning: the target is stopped, met, and set running with the session's own breakpoints in it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from nullmodem.api.live import LiveSession
from nullmodem.errors import NullmodemError, StubError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.taking import BreakIn
    from nullmodem.session.session import Session

EBUSY: Final = 16
ATTEMPTS: Final = 16


def begin(
    session: Session,
    break_in: BreakIn,
    seconds: float,
    prepare: Callable[[LiveSession], None] = lambda _live: None,
    *,
    recorded: bool = False,
) -> LiveSession:
    """Stop a target, meet it, and let it run, watched. ``prepare`` is given the live session before it is started.
    ``recorded``: somebody may look at this stop later, in a recording.

    A break-in may meet the kernel while it patches its own code and holds text_mutex; then no breakpoint can be set at
    that stop (kgdb_arch_set_breakpoint in arch/x86/kernel/kgdb.c). It is let go, and stopped once more.

    Raises what `LiveSession.start` does; StubError when the kernel is always busy. Whatever is raised once the target
    stands still, it is let go first.
    """
    for attempt in range(1, ATTEMPTS + 1):
        live = LiveSession(session, break_in)
        prepare(live)
        live.start(seconds, in_passing=not recorded)
        try:
            live.go()
        except BaseException as error:
            with contextlib.suppress(NullmodemError):  # what went wrong first is what is told
                live.close(release=True)
            if not isinstance(error, StubError) or error.errno != EBUSY or attempt == ATTEMPTS:
                raise
        else:
            break
    return live
