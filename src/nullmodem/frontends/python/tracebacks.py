# SPDX-License-Identifier: Apache-2.0
"""Tracebacks as the author of a program wants them: his own code, and not how nullmodem came to its error."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from types import TracebackType
from typing import Final

import nullmodem

_OURS: Final = str(Path(nullmodem.__file__).parent) + "/"
_PYTHONS: Final = sysconfig.get_path("stdlib") + "/"


def without_ours(trace: TracebackType | None) -> TracebackType | None:
    """A traceback that ends where the program called nullmodem, and begins in the program.

    The same one if it is nothing but nullmodem's.
    """
    entries: list[tuple[TracebackType, bool]] = []
    at, ours = trace, False
    while at is not None:
        file = at.tb_frame.f_code.co_filename
        # What Python's own library does for us, as a future that raises what was raised in the session, is ours.
        ours = file.startswith(_OURS) or (ours and file.startswith(_PYTHONS))
        entries.append((at, ours))
        at = at.tb_next
    while entries and entries[-1][1]:
        entries.pop()
    while entries and entries[0][1]:
        entries.pop(0)
    shown: TracebackType | None = None
    for entry, _ours in reversed(entries):
        shown = TracebackType(shown, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return shown if shown is not None else trace
