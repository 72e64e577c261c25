# SPDX-License-Identifier: Apache-2.0
"""The lines of a target that somebody else has started: kgdb's, and the console's on the same one or on its own."""

from __future__ import annotations

import contextlib
from enum import Enum
from typing import TYPE_CHECKING

from nullmodem.errors import WireError
from nullmodem.targets.console import Console
from nullmodem.wire.opening import open_wire
from nullmodem.wire.recorder import RecordedBreaks, RecordedStream, Recorder
from nullmodem.wire.reopening import Reopening
from nullmodem.wire.shared import SharedLine
from nullmodem.wire.spec import Wire, baud_of

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.errors import NullmodemError
    from nullmodem.wire.streams import ByteStream

_STANDS_STILL = "the target is stopped, and its debugger has the line: type again when it runs"
_AWAY = "the line to the target is gone, and is opened again as soon as it is there: type again then"


class ConsoleAt(Enum):
    """Where the target's console is, if it has no line of its own."""

    SAME = "same"
    NONE = "none"


class Lines:
    """Open lines. ``line`` is the console's, ``stub`` kgdb's; they are two sides of one or not."""

    def __init__(self, wire: Wire, recorder: Recorder | None) -> None:
        self._wire = wire
        self._recorder = recorder
        self._own: ByteStream | None = None  # kgdb's, where the console is not on it
        self._closing = contextlib.ExitStack()
        self.line: SharedLine | None = None
        self.console: Console | None = None
        self.stub: ByteStream

    def open(self, console: Wire | ConsoleAt, log: Path, *, lasting: bool) -> None:
        """Raises WireError, UsageError. ``close`` lets go of what was opened by then."""
        if console is ConsoleAt.SAME:
            stream = open_wire(self._wire)
            self.line = SharedLine(self._breaks(stream), baud=baud_of(self._wire), gone=_nobody if lasting else None)
            self.stub = self._recorded(self.line.protocol)
        else:
            self.stub = self._open_own()
            if isinstance(console, ConsoleAt):
                return
            self.line = self._console_line(console, lasting=lasting)
        line = self.line
        self._closing.callback(line.hang_up)
        self.console = Console(line.console, log, refuses=lambda: _refusal(line))
        self._closing.callback(self.console.close)

    def _console_line(self, wire: Wire, *, lasting: bool) -> SharedLine:
        """A line of the console's own, which is opened again by itself."""
        own = open_wire(wire)

        def come_back() -> None:
            _carry_on(line, open_wire(wire))

        reopening = Reopening(come_back, _give_up)
        line = SharedLine(own, baud=baud_of(wire), has_stub=False, gone=reopening.begin if lasting else None)
        self._closing.callback(reopening.close)
        return line

    def reopen(self, standing: bool) -> ByteStream:
        """Open kgdb's line again, once it has gone. ``standing``: the target stood still then.

        Raises WireError, UsageError: it is not there, or not as it was.
        """
        if self.line is None or self._own is not None:
            return self._open_own()
        self.line.part()
        protocol = _carry_on(self.line, self._breaks(open_wire(self._wire)), standing=standing)
        return self._recorded(protocol)

    def close(self) -> None:
        """Let all of them go. Safe to call twice."""
        self._closing.close()
        if self._own is not None:
            self._own.close()

    def _open_own(self) -> ByteStream:
        if self._own is not None:
            self._own.close()
        self._own = open_wire(self._wire)
        return self._recorded(self._own)

    def _breaks(self, stream: ByteStream) -> ByteStream:
        # Text may hold what looks like a stop. Where it has been told from the stub's, the stub's is recorded.
        return stream if self._recorder is None else RecordedBreaks(stream, self._recorder)

    def _recorded(self, stub: ByteStream) -> ByteStream:
        return stub if self._recorder is None else RecordedStream(stub, self._recorder)


def open_lines(
    wire: Wire, console: Wire | ConsoleAt, log: Path, recorder: Recorder | None = None, *, lasting: bool = False
) -> Lines:
    """``log`` is where the console's text goes. ``lasting``: a line that goes may be opened again.

    Raises WireError, UsageError.
    """
    lines = Lines(wire, recorder)
    try:
        lines.open(console, log, lasting=lasting)
    except BaseException:
        lines.close()
        raise
    return lines


def _carry_on(line: SharedLine, stream: ByteStream, *, standing: bool = False) -> ByteStream:
    try:
        return line.carry_on(stream, standing=standing)
    except WireError:
        stream.close()
        raise


def _refusal(line: SharedLine) -> str:
    if line.is_away:
        return _AWAY
    return _STANDS_STILL if line.stands_still() else ""


def _give_up(_error: NullmodemError) -> None:
    """A console that does not come back stays quiet: what is debugged is elsewhere."""


def _nobody() -> None:
    """The session sees for itself that the line has gone."""
