# SPDX-License-Identifier: Apache-2.0
"""Requests that an editor has no more use for: those that wait are not begun; gdb is told of the one it works on."""

from __future__ import annotations

import threading


class Cancelling:
    """Thread-safe. Numbers are the editor's, but for those that gdb has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()
        self._at_gdb: dict[int, int] = {}

    def cancel(self, number: int) -> int | None:
        """Cancel a request; gdb's number of it, if gdb has it."""
        with self._lock:
            at_gdb = self._at_gdb.get(number)
            if at_gdb is None:
                self._cancelled.add(number)
            return at_gdb

    def is_cancelled(self, number: int) -> bool:
        """Whether one that begins now was cancelled before."""
        with self._lock:
            found = number in self._cancelled
            self._cancelled.discard(number)
            return found

    def given_to_gdb(self, number: int, gdbs: int) -> None:
        with self._lock:
            self._at_gdb[number] = gdbs

    def answered(self, number: int) -> None:
        with self._lock:
            self._at_gdb.pop(number, None)
