# SPDX-License-Identifier: Apache-2.0
"""Tracebacks as the author of a program wants them: his own code, and not how nullmodem came to its error."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final

import nullmodem

_OURS: Final = str(Path(nullmodem.__file__).parent) + "/"


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """A traceback that ends where the program called nullmodem, and begins in the program.

    The same one if it is nothing but nullmodem's.
    """
    entries = []
    at = trace
    while at is not None:
        entries.append(at)
        at = at.tb_next
    while entries and _is_ours(entries[-1]):
        entries.pop()
    while entries and _is_ours(entries[0]):
        entries.pop(0)
    shown: TracebackType | None = None
    for entry in reversed(entries):
        shown = TracebackType(shown, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return shown if shown is not None else trace


def _is_ours(entry: TracebackType) -> bool:
    return entry.tb_frame.f_code.co_filename.startswith(_OURS)
