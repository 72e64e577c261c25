# SPDX-License-Identifier: Apache-2.0
"""kdb, the kernel's own debugger shell, in front of the stub in kernels with CONFIG_KGDB_KDB.

A stop lands in it until somebody has asked it for the stub, and again after ``$3#33`` (kernel/debug/debug_core.c
``dbg_kdb_mode``). Its prompt is ``[0]kdb> ``, the number a processor's. Six characters typed there, ``$?#3f``, give the
line to the stub, whatever was typed before them (kdb_io.c ``kdb_read``); they are the packet ``?``, and like that one
they make the stub drop its breakpoints.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND_LIMIT: Final = 200
"""Characters in a command, which kdb cuts at 256 (CMD_BUFLEN). More than 254 would have gdb_cmd_query convert hex from
behind its buffer: it takes the number of digits for the number of bytes."""
OUTPUT_LIMIT: Final = 1 << 20
"""Bytes of a command's output that are kept."""

_PROMPT = re.compile(rb"\[\d{1,4}\]kdb> \Z")
_TAIL = len(b"[1234]kdb> ")

_RUNS = "it would run the target, which is the session's to do: use gdb, or `nullmodem continue`"
_BREAKPOINTS = "its breakpoints are not in place while the stub has the line: set them in gdb"
_WRITES = "it would change the target without the session's knowledge: write with gdb's `set var`"
_BY_HAND = "it takes the machine out of the session's hands"
REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("go", "ss", "ssb", "kgdb", "cpu"), _RUNS),
    **dict.fromkeys(("bp", "bl", "bph", "bc", "be", "bd", "bpha"), _BREAKPOINTS),
    **dict.fromkeys(("mm", "mmW", "rm"), _WRITES),
    **dict.fromkeys(("reboot", "kill", "sr", "disable_nmi", "defcmd", "endefcmd"), _BY_HAND),
}
"""Commands that are not sent, and why. Abbreviations of these are not sent either."""


def check_command(text: str) -> str:
    """Return a command as it may be sent. Raises UsageError for one that may not."""
    command = text.strip()
    word = command.partition(" ")[0]
    if not command.isprintable() or not command.isascii():
        raise UsageError("a kdb command is printable ASCII")
    if not command:
        raise UsageError("which kdb command?", hint="`monitor kdb help` lists those the kernel has.")
    if "|" in command:
        # parse_grep in kdb_main.c sets the filter, and only kdb's prompt, which does not come here, takes it away.
        raise UsageError(
            "kdb's `| grep` is not sent: it would stay in force for every later command",
            hint="Filter what is printed instead: `nullmodem kdb dmesg | grep ...` in a shell, gdb's `pipe` in gdb.",
        )
    if len(command) > COMMAND_LIMIT:
        raise UsageError(f"a kdb command has at most {COMMAND_LIMIT} characters, not {len(command)}")
    # kdb takes some commands by their first letters.
    for name, reason in REFUSED.items():
        if name.startswith(word):
            raise UsageError(f"kdb's `{name}` is not sent: {reason}")
    return command


class PromptWatch:
    """Looks for the prompt in text as it arrives, however it is cut."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, text: bytes) -> bool:
        """Whether what has come so far ends in the prompt."""
        self._tail = (self._tail + text)[-_TAIL:]
        return _PROMPT.search(self._tail) is not None

    def clear(self) -> None:
        """Forget what has come."""
        self._tail = b""
