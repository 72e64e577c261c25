# SPDX-License-Identifier: Apache-2.0
"""A shell that waits on the target's console, used as a person would: by typing."""

from __future__ import annotations

import secrets
import shlex
import threading
from typing import TYPE_CHECKING, Final

from nullmodem.errors import CommandTimeout, TargetError, WireTimeout
from nullmodem.targets.target import ExecResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nullmodem.targets.console import Console

FIND_SECONDS: Final = 3.0
_FOREVER: Final = 365 * 86400.0
_LINE_LIMIT: Final = 1000  # a terminal's line holds 4096 bytes, busybox's editor 1024
_KILL_LINE: Final = "\x15"  # Ctrl-U: what was typed before and not sent is not part of this


class ConsoleShell:
    """Types on ``console``. One command at a time; what the kernel prints meanwhile is part of its output."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()

    def find(self, timeout: float = FIND_SECONDS) -> None:
        """Raises TargetError when no shell answers: nobody is logged in, or the target stands still."""
        tag = secrets.token_hex(8)
        since = self._console.position
        self.type(f"echo {_unlike(tag)}")
        try:
            self._console.wait(tag, timeout, since=since)
        except WireTimeout:
            last = (self._console.tail(1) or "nothing").strip()
            raise TargetError(
                f"no shell answers on the console; it ends with: {last[-80:]}",
                hint="Log in there: `nullmodem console`.",
            ) from None

    def type(self, line: str) -> None:
        """Type a line. Raises TargetError when the target does not take it."""
        self._console.write(f"{_KILL_LINE} {line}\r".encode())

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> ExecResult:
        """Run a command in the shell and wait for its end. Raises TargetError, CommandTimeout, TargetLost."""
        line = command if isinstance(command, str) else shlex.join(command)
        tag = secrets.token_hex(8)
        typed = f"echo {_unlike(tag)}:; sh -c {shlex.quote(line)}; echo {_unlike(tag)}=$?"
        if len(typed) > _LINE_LIMIT or not typed.isprintable():
            raise TargetError(f"a command of {len(line)} characters, or several lines, cannot be typed on a console")
        with self._lock:
            self.find()
            since = self._console.position
            self.type(typed)
            try:
                found = self._console.wait(
                    rf"{tag}:\n(?s:(.*?)){tag}=(\d+)", _FOREVER if timeout is None else timeout, since=since
                )
            except WireTimeout as error:
                raise CommandTimeout(error.message, code=124, output="") from None
        output = found[1].encode()
        if on_output is not None:
            on_output(output)
            output = b""
        return ExecResult(line, int(found[2]), output)


def _unlike(tag: str) -> str:
    """The tag as the shell prints it but not as the terminal echoes it."""
    return f"{tag[:4]}''{tag[4:]}"
