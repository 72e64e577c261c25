# SPDX-License-Identifier: Apache-2.0
"""A file written on the target by typing it into a shell on the console, in base64.

A serial console has no flow control that one may rely on, and the kernel's terminal holds 4095 characters for a program
that is slow to read them (N_TTY_BUF_SIZE in drivers/tty/n_tty.c). So the target asks for one block after the other.
"""

from __future__ import annotations

import base64
import gzip
import secrets
import shlex
import time
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError, WireTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.targets.console import Console

LINE: Final = 252
"""Characters of a line without its end: base64 of whole groups."""
BLOCK_LINES: Final = 8
LIMIT_SECONDS: Final = 300.0
USUAL_BAUD: Final = 115200
"""What a line is taken to have whose rate is not ours to know."""
PATIENCE: Final = 6.0
"""Seconds in which a target that runs asks for the next block."""
NEEDS: Final = (
    "for p in stty head tr base64 gzip; do "
    "command -v $p >/dev/null || { echo no $p is there to take a file; exit 127; }; done"
)
"""A command for the shell, whose exit status says whether a file can be typed there."""
_TELL_SECONDS: Final = 3.0


class TypedFile:
    """``data`` for the file ``path``, over a line of ``baud``. Raises UsageError when that takes too long."""

    def __init__(self, data: bytes, path: str, baud: int | None) -> None:
        text = base64.b64encode(gzip.compress(data, mtime=0), b"./").decode()
        lines = [f"{text[start : start + LINE]}\n" for start in range(0, len(text), LINE)]
        lines += ["\n"] * (-len(lines) % BLOCK_LINES)  # empty ones mean nothing in base64
        self.blocks = tuple("".join(lines[n : n + BLOCK_LINES]) for n in range(0, len(lines), BLOCK_LINES))
        self._rate = (baud or USUAL_BAUD) / 10
        seconds = sum(map(len, self.blocks)) / self._rate
        if seconds > LIMIT_SECONDS:
            raise UsageError(
                f"{len(data):,} bytes would take about {seconds / 60:.0f} minutes through the console at "
                f"{baud or USUAL_BAUD} baud; more than {LIMIT_SECONDS / 60:.0f} are not spent on that",
                hint="Give the target's ssh as --break-in ssh:USER@HOST, or copy the file there yourself.",
            )
        self._tag = secrets.token_hex(4)
        quoted = shlex.quote(path)
        # A + that reaches a stub instead, because a breakpoint has just stopped the kernel, would be an answer to it.
        # The terminal's echo would double the line's load. The echo of this line itself has $n where a request has a
        # number. `head` takes no more than its lines: a terminal gives one line for each read.
        self.receiver = (
            f"s=$(stty -g); stty -echo; n=0; while echo {self._tag}.$n. >&2; [ $n -lt {len(self.blocks)} ]; do "
            f"head -n {BLOCK_LINES}; n=$((n+1)); done | tr . + | base64 -d | gzip -dc >{quoted}; c=$?; "
            'stty "$s"; exit $c'
        )

    def type_on(self, console: Console, since: int, tell: Callable[[str], None]) -> bool:
        """Type it for a shell that runs ``receiver``: whether all was asked for. Raises TargetError, TargetLost.

        A target that is stopped meanwhile is waited for.
        """
        began = told = time.monotonic()
        if not self._asked(console, 0, since):
            return False
        for number, block in enumerate(self.blocks, 1):
            with console.undisturbed(None):
                since = console.position
                console.write_later(block.encode())
                if not self._asked(console, number, since):
                    # The receiver waits for lines that got lost: with enough empty ones it comes to its end.
                    console.write_later(b"\n" * (BLOCK_LINES * (len(self.blocks) - number + 1)))
                    return False
            now = time.monotonic()
            if now - told >= _TELL_SECONDS:
                told = now
                left = (now - began) * (len(self.blocks) - number) / number
                tell(f"{100 * number // len(self.blocks)} %, {left:.0f} s left")
        return True

    def _asked(self, console: Console, number: int, since: int) -> bool:
        """Whether it asks for that block; after the last one it asks for one more."""
        patience = PATIENCE + BLOCK_LINES * (LINE + 1) / self._rate
        while True:
            try:
                console.wait(rf"{self._tag}\.{number}\.", patience, since=since)
            except WireTimeout:
                if not console.refusal():
                    return False
            else:
                return True
