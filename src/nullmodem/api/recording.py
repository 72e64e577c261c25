# SPDX-License-Identifier: Apache-2.0
"""Having a session's wire recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.wire.recorder import RecordedStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.machine import Machine
    from nullmodem.wire.recorder import Recorder
    from nullmodem.wire.streams import ByteStream


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
