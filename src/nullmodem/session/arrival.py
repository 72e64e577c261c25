# SPDX-License-Identifier: Apache-2.0
"""What a stop that comes off the wire may turn out to be."""

from __future__ import annotations

from enum import Enum, auto


class Arrival(Enum):
    """What a stop turned out to be."""

    MOVE_ENDED = auto()
    LATE_STEP = auto()
    UNWANTED = auto()
    HELD = auto()
    FOREIGN = auto()
    HOOK = auto()
    BREAKPOINT = auto()
    UNEXPLAINED = auto()
