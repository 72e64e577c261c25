# SPDX-License-Identifier: Apache-2.0
"""Having a running target stop, however many break-ins that takes."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from nullmodem.api.taking import BREAK_IN_PATIENCE
from nullmodem.errors import WireTimeout

if TYPE_CHECKING:
    from nullmodem.api.live import LiveSession
    from nullmodem.session.model import Stop


def halt(live: LiveSession, timeout: float, *, client: str = "", again: float = BREAK_IN_PATIENCE) -> Stop:
    """Have the target stop, for a ``client`` if one wants it, and wait for that; at once the present stop of one that
    stands still.

    A break-in that meets the kernel in the moment in which it leaves the debugger is lost: it is tried again every
    ``again`` seconds. Raises WireTimeout after ``timeout`` seconds, and what `LiveSession.interrupt` and
    `LiveSession.wait_for_stop` do.
    """
    deadline = time.monotonic() + timeout
    while (remaining := deadline - time.monotonic()) > 0:
        live.interrupt(client)
        with contextlib.suppress(WireTimeout):
            return live.wait_for_stop(min(again, remaining))
    raise WireTimeout(f"the target did not stop within {timeout:.0f} s")
