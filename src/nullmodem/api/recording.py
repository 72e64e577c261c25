# SPDX-License-Identifier: Apache-2.0
"""Having a session's wire recorded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nullmodem.errors import UsageError
from nullmodem.wire.recorder import RecordedStream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.api.machine import Machine
    from nullmodem.wire.recorder import Recorder
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
