# SPDX-License-Identifier: Apache-2.0
"""Writing a recording while a line is used. See `recording` for the format.

Every entry is written to the file at once, so a process that is killed leaves a recording that lacks nothing but what
it had not read. A disk that is full ends the recording, not the debugging.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nullmodem.errors import UsageError
from nullmodem.version import __version__
from nullmodem.wire.recording import Direction, Entry, Header

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nullmodem.wire.streams import ByteStream


class Recorder:
    """One recording being written, from any thread.

    Args:
        path: the file, which must not exist: a recording is never overwritten. Its mode is 0600; it holds the
            target's memory.
        arch: the name of the target's processor.
        about: see `Header`; who recorded is added.
        on_trouble: told once, in words, when the file can be written no more.
        clock: monotonic seconds.

    Raises:
        UsageError: the file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        arch: str,
        about: Mapping[str, str] | None = None,
        *,
        on_trouble: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._clock = clock
        self.on_trouble = on_trouble
        self._lock = threading.Lock()
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            raise UsageError(f"{path} exists already", hint="A recording is not written over another file.") from None
        except OSError as error:
            raise UsageError(f"cannot record to {path}: {error.strerror}") from error
        self._began = clock()
        started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._write(Header(started, arch, {"by": f"nullmodem {__version__}", **(about or {})}).encode())

    def to_target(self, data: bytes) -> None:
        """Record bytes that go to the target."""
        self._record(Direction.TO_TARGET, data)

    def from_target(self, data: bytes) -> None:
        """Record bytes that came from it."""
        self._record(Direction.FROM_TARGET, data)

    def event(self, name: str) -> None:
        """Record something else that was done to the line."""
        self._record(Direction.EVENT, name.encode("latin-1", "replace"))

    def close(self) -> None:
        """Close the file. Calling it again does nothing; what is recorded later is lost."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _record(self, direction: Direction, data: bytes) -> None:
        self._write(Entry(self._clock() - self._began, direction, data).encode())

    def _write(self, line: str) -> None:
        rest = line.encode("ascii")
        with self._lock:
            try:
                while self._fd >= 0 and rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError as error:
                os.close(self._fd)
                self._fd = -1
                trouble = f"the recording {self.path} ends here: {error.strerror}"
            else:
                return
        self.on_trouble(trouble)


class RecordedStream:
    """A line that is recorded; otherwise the line it is made of. Takes over that line and the recorder."""

    def __init__(self, stream: ByteStream, recorder: Recorder) -> None:
        self._stream = stream
        self._recorder = recorder

    def fileno(self) -> int:
        """Return the line's descriptor."""
        return self._stream.fileno()

    def read(self, limit: int = 65536) -> bytes | None:
        """Return the next bytes."""
        data = self._stream.read(limit)
        if data:
            self._recorder.from_target(data)
        return data

    def write(self, data: bytes) -> None:
        """Hand all of ``data`` to the line. Recorded first: should the line be gone, this was to be its last word."""
        self._recorder.to_target(data)
        self._stream.write(data)

    def send_break(self) -> None:
        """Hold the line in BREAK for a moment."""
        self._recorder.event("break")
        self._stream.send_break()

    def close(self) -> None:
        """Let the line go, and end the recording."""
        self._stream.close()
        self._recorder.close()


class RecordedBreaks(RecordedStream):
    """A line of which each BREAK is recorded and no byte: the stub's are recorded where they were told from text."""

    def read(self, limit: int = 65536) -> bytes | None:
        """Return the next bytes."""
        return self._stream.read(limit)

    def write(self, data: bytes) -> None:
        """Hand all of ``data`` to the line."""
        self._stream.write(data)

    def close(self) -> None:
        """Let the line go. The recording is ended by whoever reads what came last."""
        self._stream.close()
