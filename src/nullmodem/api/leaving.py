# SPDX-License-Identifier: Apache-2.0
"""How a target is brought to where a session can let go of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.api.halting import halt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from nullmodem.api.live import LiveSession

STOP_SECONDS: Final = 10.0
ROUNDS: Final = 5
"""Times a target runs on, each for as long as a break-in takes, so that steps under way can end."""


def stop_to_leave(live: LiveSession, late_steps: Callable[[], Collection[int]]) -> None:
    """Have the target stand still, and no step be under way that would be reported when nobody is there.

    A thread whose step was overtaken by another's stop still carries its trap flag. When it gets to run, the kernel
    stops, and waits for a debugger: it gets to run before, if that does not take too long. ``late_steps`` are those
    threads. Raises WireTimeout when the target does not stop.
    """
    if live.is_running:
        halt(live, STOP_SECONDS)
    for _ in range(ROUNDS):
        if not late_steps():
            return
        live.go()
        halt(live, STOP_SECONDS)
    if late := late_steps():
        threads = ", ".join(map(str, sorted(late)))
        live.say(f"thread {threads} has yet to report a step; when it runs, the kernel stops and waits for a debugger")
