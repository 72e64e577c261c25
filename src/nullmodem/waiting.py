# SPDX-License-Identifier: Apache-2.0
"""Waiting for whichever of several descriptors has something to read, however many this process has open.

``select(2)`` knows descriptors up to 1023 (FD_SETSIZE); a program that debugs through nullmodem as a library, or runs
hundreds of tests with it, has more. ``poll(2)`` has no such bound, and needs no descriptor of its own as epoll does.
"""

from __future__ import annotations

import math
import select
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class HasFileno(Protocol):
    """What can be waited on."""

    def fileno(self) -> int:
        """Return the descriptor that is readable when there is news."""
        ...


SourceT = TypeVar("SourceT", bound="int | HasFileno")


def wait_readable(sources: Sequence[SourceT], timeout: float | None = None) -> list[SourceT]:
    """Return those of ``sources`` that can be read without waiting, an end of file or an error included.

    Waits for the first one, at most ``timeout`` seconds (None: for ever); empty when none came in time.

    Raises:
        OSError, ValueError: one of them is closed.
    """
    poll = select.poll()
    by_descriptor: dict[int, SourceT] = {}
    for source in sources:
        descriptor = source if isinstance(source, int) else source.fileno()
        if descriptor < 0:
            raise ValueError(f"{source!r} is closed")
        by_descriptor[descriptor] = source
        poll.register(descriptor, select.POLLIN)
    ready = []
    for descriptor, mask in poll.poll(None if timeout is None else math.ceil(max(0.0, timeout) * 1000)):
        if mask & select.POLLNVAL:
            raise OSError("a descriptor that was waited on is closed")
        ready.append(by_descriptor[descriptor])
    return ready
