# SPDX-License-Identifier: Apache-2.0
"""How much of memory to read at once: the wire's speed decides.

A byte costs two characters, and an exchange some forty and the time the other end takes to answer. Where somebody looks
around, as many bytes are read as cost what the exchange costs without any: what is read for nothing at most doubles it,
and what is wanted later is there.
"""

from __future__ import annotations

import math
from typing import Final

_EXCHANGE: Final = 40
"""Characters of a read without its data: the request, the frames of both, two acknowledgements."""
_ANSWER_SECONDS: Final = 0.001
"""What a stub takes to answer, with an adapter that does not hold back what it has (latency_timer=1)."""
_UNKNOWN_BAUD: Final = 115200
"""A socket has no rate, but a terminal server with the slowest usual one may be at its end."""
_BITS: Final = 10
_SMALLEST, _LARGEST = 16, 256
STACK_LINES: Final = 4
"""A stack that is followed is read by so many lines: almost all of it will be wanted."""


def line_size(baud: int | None) -> int:
    """Bytes to read at least where somebody looks around, a power of two; ``baud`` is None for a line without one."""
    characters = _EXCHANGE + _ANSWER_SECONDS * (baud or _UNKNOWN_BAUD) / _BITS
    return min(max(1 << round(math.log2(characters / 2)), _SMALLEST), _LARGEST)
