# SPDX-License-Identifier: Apache-2.0
"""A shell that waits on the target's console, used as a person would: by typing."""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.errors import CommandTimeout, TargetError, WireTimeout
from nullmodem.targets.target import ExecResult, shorten
from nullmodem.targets.typed_file import NEEDS, PATIENCE, TypedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nullmodem.targets.console import Console

FIND_SECONDS: Final = 10.0
"""For a shell to answer: at once as a rule, but three were not enough for an emulated target on a busy machine."""
BUSY_SECONDS: Final = 3.0
_FOREVER: Final = 365 * 86400.0
_LINE_LIMIT: Final = 1000  # a terminal's line holds 4096 bytes, busybox's editor 1024
_KILL_LINE: Final = "\x15"  # Ctrl-U: what was typed before and not sent is not part of this
_KEYS: Final = (b"\x03", b"\x03", b"\x1a")  # a shell that is about to run a program may miss the first
_INTERRUPTED: Final = 130  # what a shell says of a command that SIGINT has ended
LEAVE_SECONDS: Final = 2.0
"""For a command to end by Ctrl-C."""
REMEMBERED: Final = 64
"""Commands that nobody wants any more, of which it is known if they come to their turn."""


@dataclass(frozen=True, slots=True)
class _Typed:
    """A command that was typed: what marks its output, and where on the console that begins."""

    line: str
    tag: str
    since: int


class ConsoleShell:
    """Types on ``console``. One command at a time; what the kernel prints meanwhile is part of its output.

    ``baud`` is the line's rate where it is known.
    """

    def __init__(self, console: Console, baud: int | None = None) -> None:
        self._console = console
        self._baud = baud
        self._lock = threading.Lock()
        self._changing = threading.Lock()
        self._typed: _Typed | None = None  # what runs for `exec`
        self._ended = threading.Event()
        self._left: deque[str] = deque(maxlen=REMEMBERED)

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
        with self.alone(timeout):
            with self._changing:
                self._require_wanted(command)
                typed = self._typed = self._begin(command)
                self._ended.clear()
            try:
                output, code, line = self._finish(typed, timeout)
            finally:
                with self._changing:
                    self._typed = None
                    self._ended.set()
            output = re.split(rb"\^C[^\n]*%b=" % _unlike(typed.tag).encode(), output, maxsplit=1)[0]  # see `leave`
        if on_output is not None:
            on_output(output)
            output = b""
        return ExecResult(line, code, output)

    def in_group(self, line: str, file: str) -> str:
        """See `Target.in_group`. A shell with job control makes a group of each command, and gives it the terminal."""
        return f'command={shlex.quote(line)}; {_noted_in(file)} sh -c "$command"; code=$?; rm -f {file}; exit $code'

    def leave(self, file: str) -> None:
        """See Shell.leave. Ctrl-C ends what runs, or Ctrl-Z stops it, if the console is the shell's terminal. Whether
        the rest of the shell's line is carried out then, which tells of the end, differs from shell to shell.
        """
        mark = _noted_in(file)
        with self._changing:
            self._left.append(mark)
        for key in _KEYS:
            with self._changing:
                typed = self._typed
                if typed is None or mark not in typed.line:
                    return
                self._console.write(key)
                self.type(f"echo {_unlike(typed.tag)}={_INTERRUPTED}")
            self._ended.wait(LEAVE_SECONDS)

    def _is_left(self, line: str) -> bool:
        return any(mark in line for mark in self._left)

    def _require_wanted(self, command: str | Sequence[str]) -> None:
        line = command if isinstance(command, str) else shlex.join(command)
        if self._is_left(line):
            raise TargetError(f"`{shorten(line)}` was ended before its turn came")

    def put(self, data: bytes, path: str, tell: Callable[[str], None]) -> ExecResult:
        """Write a file by typing it; see Shell.put."""
        typing = TypedFile(data, path, self._baud)
        self.exec(NEEDS).check()
        with self.alone(None):
            typed = self._begin(typing.receiver)
            whole = typing.type_on(self._console, typed.since, tell)
            output, code, line = self._finish(typed, None if whole else PATIENCE)
        return ExecResult(line, code, output)

    @contextlib.contextmanager
    def alone(self, timeout: float | None = BUSY_SECONDS) -> Iterator[None]:
        """While nobody else types here. Raises TargetError when somebody does for longer than that, or as `find`."""
        if not self._lock.acquire(timeout=-1 if timeout is None else timeout):
            raise TargetError("the shell on the console is busy with another command")
        try:
            self.find()
            yield
        finally:
            self._lock.release()

    def _begin(self, command: str | Sequence[str]) -> _Typed:
        line = command if isinstance(command, str) else shlex.join(command)
        tag = secrets.token_hex(8)
        typed = f"echo {_unlike(tag)}:; sh -c {shlex.quote(line)}; echo {_unlike(tag)}=$?"
        if len(typed) > _LINE_LIMIT or not typed.isprintable():
            raise TargetError(f"a command of {len(line)} characters, or several lines, cannot be typed on a console")
        since = self._console.position
        self.type(typed)
        return _Typed(line, tag, since)

    def _finish(self, typed: _Typed, timeout: float | None) -> tuple[bytes, int, str]:
        try:
            found = self._console.wait(
                rf"{typed.tag}:\n(?s:(.*?)){typed.tag}=(\d+)",
                _FOREVER if timeout is None else timeout,
                since=typed.since,
            )
        except WireTimeout as error:
            raise CommandTimeout(error.message, code=124, output="") from None
        return found[1].encode(), int(found[2]), typed.line


def _noted_in(file: str) -> str:
    """The part of an `in_group` with this ``file`` that no other line has."""
    return f"echo $$ >{file};"


def _unlike(tag: str) -> str:
    """The tag as the shell prints it but not as the terminal echoes it."""
    return f"{tag[:4]}''{tag[4:]}"
