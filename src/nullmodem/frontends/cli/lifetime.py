# SPDX-License-Identifier: Apache-2.0
"""How a session that this process holds comes to its end: asked from elsewhere, by a signal, or with its terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Becomes readable when somebody has asked for the end. ``ask`` may be called from any thread, again and again."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._lock = threading.Lock()
        self.asked = False

    def fileno(self) -> int:
        return self._reader

    def ask(self) -> None:
        with self._lock:
            if not self.asked:
                self.asked = True
                os.write(self._writer, b"x")

    def close(self) -> None:
        """Only after the last `ask`."""
        os.close(self._reader)
        os.close(self._writer)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM, and the SIGHUP of a terminal that closes, raise SystemExit with the status a shell expects."""
    before = {number: signal.signal(number, _end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


KEEP = b"keep\n"
"""What whoever started us writes to let us live on without him."""


def hold_leash(descriptor: int) -> None:
    """End this process as SIGTERM does when the pipe that whoever started us holds is closed, however he ended.

    After `KEEP` nothing ties us to him any more, his end of our output neither.
    """
    threading.Thread(target=_follow, args=(descriptor,), name="nullmodem-leash", daemon=True).start()


def _follow(descriptor: int) -> None:
    said = b""
    while len(said) < len(KEEP) and (data := os.read(descriptor, len(KEEP) - len(said))):
        said += data
    if said != KEEP:
        os.kill(os.getpid(), signal.SIGTERM)
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """For cleaning up: a second Ctrl-C must not leave half of it undone."""
    before = {number: signal.signal(number, lambda _n, _f: None) for number in (signal.SIGINT, *_SIGNALS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
