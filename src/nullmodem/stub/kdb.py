# SPDX-License-Identifier: Apache-2.0
"""kdb, the kernel's own debugger shell, in front of the stub in kernels with CONFIG_KGDB_KDB.

A stop lands in it until somebody has asked it for the stub, and again after ``$3#33`` (kernel/debug/debug_core.c
``dbg_kdb_mode``). Six characters typed there, ``$?#3f``, give the
line to the stub, whatever was typed before them (kdb_io.c ``kdb_read``); they are the packet ``?``, and like that one
they make the stub drop its breakpoints.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError
from nullmodem.wire.kdb_prompt import ENDS_IN_PROMPT, LONGEST

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND_LIMIT: Final = 200
"""Characters in a command, which kdb cuts at 256 (CMD_BUFLEN). More than 254 would have gdb_cmd_query convert hex from
behind its buffer: it takes the number of digits for the number of bytes."""
OUTPUT_LIMIT: Final = 1 << 20
"""Bytes of a command's output that are kept."""

MOST_COUNT: Final = 1024
"""Lines, words or bytes, whichever it counts, that a memory dump may be asked for: seconds on a serial line."""

READING: Final = frozenset(
    {"?", "bt", "btc", "btp", "dmesg", "env", "ftdump", "help", "lsmod", "per_cpu", "pid", "ps", "rd", "summary"}
)
"""Commands that only read, besides `md` and its kin. No other command's name is the beginning of one of these: a kernel
that lacks one runs nothing else in its place."""
_LISTED: Final = ", ".join(sorted(READING))
_DUMP = re.compile(r"md(?:[prs]|[1248](?:c(?P<count>[0-9]{1,9}))?)?")
_NUMBER = re.compile(r"0x[0-9a-f]{1,16}|[0-9a-f]{1,16}", re.IGNORECASE)
_SPECIAL = frozenset("\\'\"=#")

_RUNS = "it would run the target, which is the session's to do: use gdb, or `nullmodem continue`"
_BREAKPOINTS = "its breakpoints are not in place while the stub has the line: set them in gdb"
_WRITES = "it would change the target without the session's knowledge: write with gdb's `set var`"
_BY_HAND = "it takes the machine out of the session's hands"
_UNCHECKED = "it believes any address, and a wrong one is a fault in the debugger: look at memory with `md`, or in gdb"
REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("go", "ss", "ssb", "kgdb", "cpu"), _RUNS),
    **dict.fromkeys(("bp", "bl", "bph", "bc", "be", "bd", "bpha"), _BREAKPOINTS),
    **dict.fromkeys(("mm", "mmW", "rm", "set"), _WRITES),
    **dict.fromkeys(("reboot", "kill", "sr", "disable_nmi", "defcmd", "endefcmd"), _BY_HAND),
    **dict.fromkeys(("btt", "ef"), _UNCHECKED),
    # kdb_bt1 waits for it in kdb_getchar, and the stub is not heard meanwhile.
    "bta": "it waits for a key after each task: use `btc`, or `btp` with a process's number",
}
"""Why the best known of the others are not sent."""


def check_command(text: str) -> str:
    """Return a command as it may be sent. Raises UsageError for one that may not.

    What may be sent is what only reads: kdb_parse drops a leading ``-`` and every backslash, ends a word at ``=``, and
    takes a word that it does not know for the command whose name it begins with, so that `mm4` writes as `mm` does.
    """
    command = text.strip()
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
    if special := _SPECIAL.intersection(command):
        raise UsageError(f"a kdb command with {' and '.join(sorted(special))} is not sent: kdb reads it as another one")
    word, *arguments = command.split()
    if dump := _DUMP.fullmatch(word):
        _check_counts(word, [dump["count"] or "0", *arguments[1:]])
    elif word not in READING:
        raise UsageError(
            f"kdb's `{word}` is not sent: {REFUSED.get(word, 'it is not known only to read')}",
            hint=f"These may be asked, by their whole names: md, md8c4 and the like, mdp, mdr, mds, {_LISTED}.",
        )
    return command


def _check_counts(word: str, counts: list[str]) -> None:
    """A dump goes on until it is done, whatever the line says meanwhile."""
    for count in counts:
        if not _NUMBER.fullmatch(count):
            hint = "Write `ADDRESS COUNT RADIX`, the address in one word: `md schedule+0x10 4`."
            raise UsageError(f"behind kdb's `{word}` and an address come numbers, not {count}", hint=hint)
        # kdbgetularg takes digits for decimal or octal, and what begins with a letter for hexadecimal.
        if int(count, 10 if count.isdecimal() else 16) > MOST_COUNT:
            hint = "Ask for less at a time, or have gdb read it: `dump memory FILE START END`."
            raise UsageError(f"kdb's `{word}` is sent for at most {MOST_COUNT} at a time, not {count}", hint=hint)


class PromptWatch:
    """Looks for the prompt in text as it arrives, however it is cut."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, text: bytes) -> bool:
        """Whether what has come so far ends in the prompt."""
        self._tail = (self._tail + text)[-LONGEST:]
        return ENDS_IN_PROMPT.search(self._tail) is not None

    def clear(self) -> None:
        """Forget what has come."""
        self._tail = b""
