# SPDX-License-Identifier: Apache-2.0
"""What every machine that can be debugged offers, whatever it is made of."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from nullmodem.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ExecResult:
    """A command that ended on the target.

    ``code`` is its exit status, 0 to 255; 128 + n when signal n ended it. ``output`` is standard output and standard
    error as they came, byte for byte; empty when the caller took them with ``on_output``.
    """

    command: str
    code: int
    output: bytes

    @property
    def text(self) -> str:
        """The output as text; bytes that are not UTF-8 become U+FFFD."""
        return self.output.decode(errors="replace")

    def check(self) -> ExecResult:
        """Return self, or raise CommandError when the exit status is not 0."""
        if self.code:
            said = self.text.strip()
            message = f"`{shorten(self.command)}` on the target ended with exit status {self.code}"
            raise CommandError(f"{message}: {said}" if said else message, code=self.code, output=self.text)
        return self


@dataclass(frozen=True, slots=True)
class TargetExit:
    """A machine ended by itself: its emulator's exit status (negative: a signal) and its last words. ``reason`` is
    what is known of a machine without an emulator.
    """

    code: int
    log: str
    reason: str = ""

    @property
    def how(self) -> str:
        """In a few words."""
        return self.reason or f"QEMU's exit status is {self.code}"


# Asked first; what does not listen has a second. dash knows no -- in front of a group's number.
END_GROUP: Final = (
    "read group <{file} && kill -TERM -$group && sleep 1 && kill -KILL -$group 2>/dev/null; rm -f {file}; exit 0"
)


def in_own_group(line: str, file: str) -> str:
    """See `Target.in_group`, where each command has a shell of its own."""
    # The user's words come first: an error that quotes the beginning of this then quotes them.
    return (
        f"command={shlex.quote(line)}; "
        f"""setsid sh -c 'echo $$ >{file}; exec sh -c "$0"' "$command"; code=$?; rm -f {file}; exit $code"""
    )


class Target(Protocol):
    """A machine with a kernel that has kgdb.

    Not every machine can run commands for us, or take files: `exec` and `push` then raise UsageError that says how else
    to do it. `in_group` is a shell line that runs another one, and keeps the number of its process group in a file on
    the machine meanwhile; `end_group` ends the processes of that group, and does nothing when there is no such file.
    `still_running` waits so many seconds for all commands to end, and names those that have not. ``tell`` of `push` is
    told how far it is, when that takes long. ``ends_with_session``: we have started it, and nobody else uses it. Every
    method may be called from any thread. All of them raise TargetLost once the machine is gone.
    """

    ends_with_session: bool

    @property
    def alive(self) -> bool: ...

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> ExecResult: ...

    def in_group(self, line: str, file: str) -> str: ...

    def end_group(self, file: str) -> None: ...
    def still_running(self, timeout: float) -> tuple[str, ...]: ...

    def on_exit(self, callback: Callable[[TargetExit], None]) -> None: ...

    def push(self, file: Path, dest: str | None = None, *, tell: Callable[[str], None] | None = None) -> str: ...

    def break_in(self) -> None: ...

    def announce(self, text: str) -> None: ...

    def serve_console(self, path: Path) -> None: ...

    def close(self) -> None: ...


def shorten(command: str, limit: int = 80) -> str:
    """A command as it may stand in a message: one line, at most ``limit`` characters."""
    line = " ".join(command.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
