# SPDX-License-Identifier: Apache-2.0
"""Threads: ``H`` ``T``, ``qC``, ``qfThreadInfo``, ``qsThreadInfo``, ``qThreadExtraInfo``, and how an id is written.

An id is a plain int here. kgdb writes one as up to 32 bits of big-endian hex with the leading zero *bytes* dropped
(kernel/debug/gdbstub.c ``pack_threadid``), so pid 1 is ``01``; the idle task of CPU n, whose pid is 0, has the
*shadow* id ``-n - 2``: ``fffffffe`` is CPU 0. gdb may write ``pPID.TID``; there is one process, so its part is read
and dropped.

::

    -> qfThreadInfo                  <- mfffffffe,fffffffd,01,02
    -> qsThreadInfo                  <- (empty from kgdb, l from others)
    -> qThreadExtraInfo,fffffffe     <- 736861646f7743505530  (shadowCPU0)
    -> Hg2                           <- OK
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nullmodem.errors import LocalProtocolError, RemoteProtocolError
from nullmodem.rsp.hexadecimal import show

if TYPE_CHECKING:
    from collections.abc import Callable

ALL_THREADS = -1
ANY_THREAD = 0

_ID = re.compile(
    rb"p(?:-1|[0-9a-fA-F]{1,16})(?:\.(?P<of_process>-1|[0-9a-fA-F]{1,16}))?|(?P<plain>-1|[0-9a-fA-F]{1,16})"
)


def encode_thread_id(thread: int) -> bytes:
    """Return a thread id as hex; a shadow id (below -1) as the 32-bit number kgdb gives for it.

    Raises:
        LocalProtocolError: the id does not fit 32 bits.
    """
    if not -(1 << 31) <= thread < 1 << 31:
        raise LocalProtocolError(f"thread id {thread} does not fit 32 bits")
    return b"-1" if thread == ALL_THREADS else b"%x" % (thread & 0xFFFFFFFF)


def parse_thread_id(text: bytes) -> int:
    """Read a thread id; ``pPID`` alone is ``ALL_THREADS``, and an id from 80000000 up is a negative shadow id.

    Raises:
        RemoteProtocolError: it is none, or does not fit 32 bits.
    """
    found = _ID.fullmatch(text)
    if found is None:
        raise RemoteProtocolError(f"{show(text)} is not a thread id")
    digits = found["plain"] or found["of_process"] or b"-1"
    value = int(digits, 16)
    if value >= 1 << 32:
        raise RemoteProtocolError(f"thread id {show(digits)} does not fit 32 bits")
    return value - (1 << 32) if value >= 1 << 31 else value


@dataclass(frozen=True, slots=True)
class SelectThread:
    """``H``: which thread later requests mean; ``op`` is ``g`` for registers and memory, ``c`` for resuming."""

    op: Literal["g", "c"]
    thread: int

    def encode(self) -> bytes:
        """Return the payload."""
        return b"H" + self.op.encode("ascii") + encode_thread_id(self.thread)


@dataclass(frozen=True, slots=True)
class ThreadAlive:
    """``T``: is this thread still there?"""

    thread: int

    def encode(self) -> bytes:
        """Return the payload."""
        return b"T" + encode_thread_id(self.thread)


@dataclass(frozen=True, slots=True)
class CurrentThread:
    """``qC``: which thread is current?"""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"qC"


@dataclass(frozen=True, slots=True)
class ThreadInfoFirst:
    """``qfThreadInfo``: the first part of the thread list."""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"qfThreadInfo"


@dataclass(frozen=True, slots=True)
class ThreadInfoNext:
    """``qsThreadInfo``: the next part of the thread list."""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"qsThreadInfo"


@dataclass(frozen=True, slots=True)
class ThreadExtraInfo:
    """``qThreadExtraInfo``: a thread's name, answered as hex of text."""

    thread: int

    def encode(self) -> bytes:
        """Return the payload."""
        return b"qThreadExtraInfo," + encode_thread_id(self.thread)


ThreadRequest = SelectThread | ThreadAlive | CurrentThread | ThreadInfoFirst | ThreadInfoNext | ThreadExtraInfo

WHOLE: dict[bytes, ThreadRequest] = {
    b"qC": CurrentThread(),
    b"qfThreadInfo": ThreadInfoFirst(),
    b"qsThreadInfo": ThreadInfoNext(),
}

PARSERS: dict[bytes, Callable[[bytes], ThreadRequest]] = {
    b"Hg": lambda body: SelectThread("g", parse_thread_id(body)),
    b"Hc": lambda body: SelectThread("c", parse_thread_id(body)),
    b"T": lambda body: ThreadAlive(parse_thread_id(body)),
    b"qThreadExtraInfo,": lambda body: ThreadExtraInfo(parse_thread_id(body)),
}
