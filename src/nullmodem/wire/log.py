# SPDX-License-Identifier: Apache-2.0
"""A file with every packet on the wire: when, which way, what, and whose doing it was."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO, TypeVar

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

OWN_WORK = "the session's own work"


class WireLog:
    """Lines of seconds, direction, payload and cause, with tabs between them. Without a ``path`` nothing is written.

    The cause is what the thread that owns the wire is doing for somebody (`caused`); what the wire brings later is
    written as what came after it. ``clock`` gives monotonic seconds. Raises UsageError for a file that cannot be made.
    """

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._cause = OWN_WORK
        self._file: TextIO | None = None
        if path is not None:
            try:
                self._file = path.open("w", encoding="utf-8", buffering=1)
            except OSError as error:
                msg = f"cannot write the wire's log to {path}: {error.strerror}"
                raise UsageError(msg, hint="Name a file in a directory that you may write to.") from error
            self._file.write("seconds\tway\tpayload\tcause\n")

    def caused(self, cause: str, function: Callable[[], T]) -> T:
        """Call ``function``; what travels meanwhile is for ``cause``, and until the next call what came after it."""
        self._cause = cause or OWN_WORK
        try:
            return function()
        finally:
            self._cause = f"after {self._cause}"

    def sent(self, payload: bytes) -> None:
        """A packet goes to the stub."""
        self._write("->", payload)

    def received(self, payload: bytes) -> None:
        """A packet has come from the stub."""
        self._write("<-", payload)

    def _write(self, way: str, payload: bytes) -> None:
        if self._file is None:
            return
        text = payload.decode("ascii", "backslashreplace").replace("\t", "\\t").replace("\n", "\\n")
        try:
            self._file.write(f"{self._clock() - self._began:.6f}\t{way}\t{text}\t{self._cause}\n")
        except OSError:  # a full disk: debugging goes on
            self.close()

    def close(self) -> None:
        """Write no more. Safe to call twice."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                return
