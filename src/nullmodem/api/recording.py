# SPDX-License-Identifier: Apache-2.0
"""Having a session's wire recorded."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError, UsageError
from nullmodem.wire.recorder import RecordedStream, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nullmodem.api.live import LiveSession
    from nullmodem.api.machine import Machine
    from nullmodem.session.session import Session
    from nullmodem.wire.streams import ByteStream


def check_new(path: Path) -> None:
    """Raises UsageError unless a recording can be made at ``path``: better now than when the machine has booted."""
    if path.exists():
        raise UsageError(f"{path} exists already", hint="A recording is not written over another file.")
    directory = path.absolute().parent
    if not directory.is_dir():
        raise UsageError(f"cannot record to {path}: there is no directory {directory}")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"cannot record to {path}: {directory} may not be written to")


@contextlib.contextmanager
def recording_of(live: LiveSession, path: Path) -> Iterator[None]:
    """Record a session's line from now on to the end of the block. What was read before is not in the file.

    Raises UsageError: the file cannot be made, or the line is being recorded so already.
    """
    recorder = Recorder(path, live.arch.name, {"wire": "of a running session"}, on_trouble=live.say)
    try:
        live.look_into(lambda session: _begin(session, recorder))
    except BaseException:
        recorder.close()
        path.unlink()
        raise
    try:
        yield
    finally:
        with contextlib.suppress(NullmodemError):  # the session may have ended first
            live.look_into(_end)
        recorder.close()


def _begin(session: Session, recorder: Recorder) -> None:
    if session.stub.tape.recorder is not None:
        raise UsageError("this session is being recorded already", hint="End that `nullmodem record` first.")
    session.stub.tape.recorder = recorder


def _end(session: Session) -> None:
    session.stub.tape.recorder = None


def record(wire: ByteStream, recorder: Recorder, begin: Callable[[ByteStream], Machine]) -> Machine:
    """Have ``begin`` make a machine with a session on ``wire``, recorded from its first byte on.

    The recording ends with the machine. Should it end before, everybody who listens to the session is told.
    """
    try:
        machine = begin(RecordedStream(wire, recorder))
    except BaseException:
        recorder.close()
        raise
    recorder.on_trouble = machine.live.say
    machine.closes(recorder.close)
    return machine
