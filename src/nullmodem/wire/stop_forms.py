# SPDX-License-Identifier: Apache-2.0
"""How the packets look that a running kernel sends unasked, whole, begun, and with a wrong byte in them. Pure.

``$T05thread:1f;#3d`` is a stop (gdb_serial_stub), ``$E22#a9`` what the stub says when it does not go on, ``$W00#b7``
that the machine reboots (gdbstub_exit). Form proves nothing: see `nullmodem.wire.splitter`.
"""

from __future__ import annotations

import re
from typing import Final

from nullmodem.rsp.replies import BROKEN_STOP
from nullmodem.wire.kdb_prompt import HAS_THE_LINE

STOP: Final = re.compile(rb"\$((?:T[0-9a-f]{2}thread:[0-9a-f]{1,16};|S[0-9a-f]{2}))#([0-9a-f]{2})")
STOP_BEGUN: Final = re.compile(
    rb"\$(?:(?:T(?:[0-9a-f](?:[0-9a-f](?:t(?:h(?:r(?:e(?:a(?:d(?::(?:[0-9a-f]{1,16};?)?)?)?)?)?)?)?)?)?)?"
    rb"|T[0-9a-f]{2}thread:[0-9a-f]{1,16};#[0-9a-f]?|S(?:[0-9a-f](?:[0-9a-f](?:#[0-9a-f]?)?)?)?)?)"
)
EXIT: Final = re.compile(rb"\$(W[0-9a-f]{2})#([0-9a-f]{2})")
_REFUSAL: Final = re.compile(rb"\$(E[0-9a-f]{2})#([0-9a-f]{2})")
_REFUSAL_BEGUN: Final = re.compile(rb"\$(?:E(?:[0-9a-f](?:[0-9a-f](?:#[0-9a-f]?)?)?)?)?")
# The answer to ``$qC``: only one that stands still gives it.
CURRENT: Final = re.compile(rb"\$(QC-?[0-9a-f]{1,16})#([0-9a-f]{2})")
_CURRENT_BEGUN: Final = re.compile(rb"\$(?:Q(?:C-?[0-9a-f]{0,16}(?:#[0-9a-f]?)?)?)?")
ANY: Final = re.compile(rb"\$([^#$\x00-\x1f\x7f-\xff]*)#([0-9a-f]{2})")
# What a kernel that has just been broken into prints when no debugger was connected before: kernel/debug/debug_core.c
# sysrq_handle_dbg, and kdb's prompt.
ENTERED: Final = re.compile(
    rb"(?:Entering KGDB|KGDB or \$3#33 for KDB|Waiting for connection from remote gdb)[^\n]*\n|" + HAS_THE_LINE.pattern
)
_BROKEN_LENGTH: Final = 48
_STRAY: Final = 8  # bytes of noise that may follow a stop


def sums_up(found: re.Match[bytes]) -> bool:
    """Whether a packet's checksum is right."""
    return sum(found[1]) & 0xFF == int(found[2], 16)


def match_stop(data: bytes, *, fresh: bool = False) -> re.Match[bytes] | None:
    """A stop at the beginning of ``data``; if ``fresh``, straight after a request to go on, also the refusal of it."""
    found = STOP.match(data) or (_REFUSAL.match(data) if fresh else None)
    return found if found and sums_up(found) else None


def match_current(answer: bytes) -> re.Match[bytes] | None:
    """The thread that a stub names that is asked for it, at the beginning of ``answer``."""
    found = CURRENT.match(answer)
    return found if found and sums_up(found) else None


def stop_within(data: bytes) -> int:
    """Where a whole stop begins in ``data`` behind something that began like one; 0 where none does."""
    return next((found.start() for found in STOP.finditer(data, 1) if sums_up(found)), 0)


def match_standing(answer: bytes) -> re.Match[bytes] | None:
    """What a stub says that was asked whether it is there, at the beginning of ``answer``: its stop, or its thread."""
    return match_current(answer) or match_stop(answer)


def may_become_standing(answer: bytes) -> bool:
    """Whether more bytes may make that of ``answer``."""
    return STOP_BEGUN.fullmatch(answer) is not None or _CURRENT_BEGUN.fullmatch(answer) is not None


def match_exit(data: bytes) -> re.Match[bytes] | None:
    """A reboot's announcement at the beginning of ``data``."""
    found = EXIT.match(data)
    return found if found and sums_up(found) else None


def may_become(data: bytes, *, fresh: bool = False) -> bool:
    """Whether more bytes may make one of these of ``data``."""
    if STOP_BEGUN.fullmatch(data) or b"$W00#".startswith(data):
        return True
    return fresh and _REFUSAL_BEGUN.fullmatch(data) is not None


def may_be_broken(data: bytes) -> bool:
    """Whether ``data`` may have been a stop before a byte of it was lost or changed: no whole line, and not long."""
    return BROKEN_STOP.search(data) is not None and b"\n" not in data and len(data) <= _BROKEN_LENGTH


def end_of_copies(found: re.Match[bytes], data: bytes) -> int:
    """Where what follows begins, if ``data`` begins with a packet over and over."""
    end = found.end()
    while data.startswith(found[0], end):
        end += found.end()
    return end


def is_text_behind(packet: bytes, rest: bytes) -> bool:
    """Whether what follows a packet is too much for noise, and not that packet again: then it was no stub's."""
    return b"\n" in rest or (len(rest) > _STRAY and not packet.startswith(rest))
