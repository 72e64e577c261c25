# SPDX-License-Identifier: Apache-2.0
"""What a debugger writes, told apart: acknowledgements and packets, however they are cut. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN: Final = re.compile(rb"[+-]|\$[^#]*#..", re.DOTALL)
_LIMIT: Final = 4096
_QUESTIONS: Final = (b"$?", b"$qC")
_RESUMING: Final = (b"$c", b"$s", b"$C", b"$D", b"$k")


class Tokens:
    """What has been written and is no whole token yet."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Each token that has become whole; what can never be one is dropped."""
        self._rest += data
        while found := _TOKEN.match(self._rest):
            token = bytes(found[0])
            del self._rest[: len(token)]
            yield token
        if self._rest[:1] != b"$" or len(self._rest) > _LIMIT:
            self._rest.clear()


def asks_whether_it_stands(token: bytes) -> bool:
    """Asked of a target that may: by a debugger that has come, until it does; by one that doubts, once."""
    return token.startswith(_QUESTIONS)


def sets_running(token: bytes) -> bool:
    """Whether the target goes on when its stub has taken this, and acknowledged what it answers if it does."""
    return token.startswith(_RESUMING)
