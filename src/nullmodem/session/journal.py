# SPDX-License-Identifier: Apache-2.0
"""What a session has armed, on disk before it is armed: who comes after a session that was killed knows of it.

::

    {"version": 1, "wire": "unix:/run/board.sock", "vmlinux": "/k/vmlinux", …}     who, and where the target is
    0 ffffffffc0002000 1                                                           kind, address, length
    0 ffffffff81123456 1

A line is one ``write``, so a session that is killed leaves whole lines. What is lifted is not taken out at once: too
much costs whoever recovers the target a look at a place where nothing is, too little would leave a trap in its code.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.errors import RemoteProtocolError
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nullmodem.session.breakpoints import Inserter

VERSION: Final = 1
_MOST_LINES: Final = 4096
_LIMIT: Final = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JournalHead:
    """Where the target of a session is, and what it was told of it. Paths are absolute; the lines and the ``ways`` to
    break in are as a user writes them.
    """

    wire: str
    vmlinux: str
    search: tuple[str, ...] = ()
    console: str = "none"
    ways: tuple[str, ...] = ()
    pid: int = 0


class Journal:
    """The file at ``path``, made anew. A disk that is full is no reason to stop debugging: that is only logged.

    ``armed`` is what a session before this one has armed: at no moment does the file not have it.
    """

    def __init__(self, path: Path, head: JournalHead, armed: Iterable[Breakpoint] = ()) -> None:
        self._path = path
        self._head = head
        self._noted: set[Breakpoint] = set()
        self._rewrite(set(armed))

    def note(self, breakpoint_: Breakpoint, armed: set[Breakpoint]) -> None:
        """``breakpoint_`` is about to be armed besides ``armed``."""
        if breakpoint_ in self._noted:
            return
        if len(self._noted) >= _MOST_LINES:
            self._rewrite(armed)
        self._noted.add(breakpoint_)
        try:
            with self._path.open("ab", buffering=0) as file:
                file.write(_line(breakpoint_))
        except OSError as error:
            _log.warning("the journal cannot be written: %s", error)

    def clear(self) -> None:
        """Nothing is armed any more."""
        if self._noted:
            self._rewrite(())

    def _rewrite(self, armed: set[Breakpoint] | tuple[()]) -> None:
        self._noted = set(armed)
        head = json.dumps({"version": VERSION, **asdict(self._head)})
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(head.encode() + b"\n" + b"".join(map(_line, sorted(armed))))
            os.replace(fresh, self._path)  # noqa: PTH105 - by its usual name: the file is whole at every moment
        except OSError as error:
            _log.warning("the journal cannot be written: %s", error)


class JournaledStub:
    """`Inserter` that notes in a journal what is to be armed, before it is. For `BreakpointTable.send_through`."""

    def __init__(self, stub: Inserter, journal: Journal) -> None:
        self._stub = stub
        self._journal = journal
        self._armed: set[Breakpoint] = set()

    def insert(self, kind: BreakpointKind, address: int, length: int) -> None:
        """See `KgdbStub.insert`."""
        breakpoint_ = Breakpoint(kind, address, length)
        self._journal.note(breakpoint_, self._armed)
        self._stub.insert(kind, address, length)
        self._armed.add(breakpoint_)

    def remove(self, kind: BreakpointKind, address: int, length: int) -> None:
        """See `KgdbStub.remove`."""
        self._stub.remove(kind, address, length)
        self._armed.discard(Breakpoint(kind, address, length))

    def forget_breakpoints(self) -> None:
        """See `KgdbStub.forget_breakpoints`."""
        self._stub.forget_breakpoints()
        self._armed.clear()
        self._journal.clear()


def read_journal(path: Path) -> tuple[JournalHead, tuple[Breakpoint, ...]]:
    """What a journal says. A last line that is not whole is left out.

    Raises:
        RemoteProtocolError: it is no journal, or one of another version.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        first, *lines = file.read(_LIMIT).split(b"\n")
    return _parse_head(path, first), tuple(sorted({_parse(path, line) for line in lines[:-1]}))


def _parse_head(path: Path, text: bytes) -> JournalHead:
    try:
        value = json.loads(text)
        version = value.pop("version")
        head = JournalHead(**value | {name: tuple(value[name]) for name in ("search", "ways")})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        msg = f"{path} is not a session's journal: {error}"
        raise RemoteProtocolError(msg) from None
    kinds = {"wire": str, "vmlinux": str, "console": str, "pid": int}
    strange = any(type(getattr(head, name)) is not kind for name, kind in kinds.items())
    if version != VERSION or strange or not all(isinstance(text, str) for text in (*head.search, *head.ways)):
        msg = f"{path} is not a journal of version {VERSION}"
        raise RemoteProtocolError(msg, hint="Was the session one of another version of nullmodem?")
    return head


def _line(breakpoint_: Breakpoint) -> bytes:
    return b"%d %x %d\n" % (breakpoint_.kind.value, breakpoint_.address, breakpoint_.length)


def _parse(path: Path, line: bytes) -> Breakpoint:
    try:
        kind, address, length = line.split(b" ")
        found = Breakpoint(BreakpointKind(int(kind)), int(address, 16), int(length))
    except ValueError:
        found = None
    if found is None or not 0 <= found.address < 1 << 64:
        msg = f"{path} holds {line[:40]!r}, which is no breakpoint"
        raise RemoteProtocolError(msg)
    return found
