# SPDX-License-Identifier: Apache-2.0
"""A machine that was there before us and stays when we go: a board, a server, a virtual machine of somebody else's."""

from __future__ import annotations

import shlex
import threading
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError
from nullmodem.targets.carrying import Carrier
from nullmodem.targets.console_pty import ConsolePty
from nullmodem.targets.console_server import ConsoleServer
from nullmodem.targets.target import END_GROUP, Target, TargetExit

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nullmodem.targets.break_in import BreakInWays
    from nullmodem.targets.carrying import Shell
    from nullmodem.targets.console import Console
    from nullmodem.targets.target import ExecResult

END_SECONDS: Final = 10.0
"""For a command to be ended. What does not listen has one of them; a slow line takes some."""


def _silent(_line: str) -> None:
    """For callers that do not want to be told."""


class BoardTarget(Target):
    """What can be done with a machine through its lines. ``console`` and ``shell`` are None where there is none.

    ``resources`` is closed with it. Methods may be called from any thread.
    """

    ends_with_session = False

    def __init__(
        self,
        ways: BreakInWays,
        console: Console | None,
        shell: Shell | None,
        resources: contextlib.ExitStack,
    ) -> None:
        self.console = console
        self.ways = ways
        self._shell = shell
        self._carrier = Carrier(shell) if shell is not None else None
        self._resources = resources
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._running: list[str] = []
        self._exit: TargetExit | None = None
        self._exit_callbacks: list[Callable[[TargetExit], None]] = []

    @property
    def alive(self) -> bool:
        return self._exit is None

    def lost(self, reason: str) -> None:
        """The line is gone."""
        with self._lock:
            if self._exit is not None:
                return
            words = self.console.tail() if self.console is not None else ""
            ended = self._exit = TargetExit(0, words, reason)
            callbacks, self._exit_callbacks = self._exit_callbacks, []
        for callback in callbacks:
            callback(ended)

    def on_exit(self, callback: Callable[[TargetExit], None]) -> None:
        """Call ``callback`` once when the line is gone; at once if it is already."""
        with self._lock:
            if self._exit is None:
                self._exit_callbacks.append(callback)
                return
            ended = self._exit
        callback(ended)

    def break_in(self) -> None:
        """Stop it. Raises TargetError that says what was tried."""
        self.ways()

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> ExecResult:
        """Run a command in the shell there is; see `Shell`. Raises UsageError when there is none."""
        if self._shell is None:
            raise UsageError(
                "nullmodem has no console of this target to run commands on",
                hint="Attach with --console WIRE or --break-in ssh:USER@HOST, or run them there yourself.",
            )
        line = command if isinstance(command, str) else shlex.join(command)
        with self._changed:
            self._running.append(line)
        try:
            return self._shell.exec(command, timeout=timeout, on_output=on_output)
        finally:
            with self._changed:
                self._running.remove(line)
                self._changed.notify_all()

    def still_running(self, timeout: float) -> tuple[str, ...]:
        """Wait until every command has ended, at most ``timeout`` seconds; those that have not."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running, timeout)
            return tuple(self._running)

    def in_group(self, line: str, file: str) -> str:
        """See `Target.in_group`."""
        return line if self._shell is None else self._shell.in_group(line, file)

    def end_group(self, file: str) -> None:
        """See `Target.end_group`. Raises TargetError when the command keeps the only shell there is."""
        if self._shell is not None:
            self._shell.leave(file)
        self.exec(END_GROUP.format(file=shlex.quote(file)), timeout=END_SECONDS)

    def push(self, file: Path, dest: str | None = None, *, tell: Callable[[str], None] | None = None) -> str:
        """Copy a file through the shell there is; see `Carrier.carry`. Raises UsageError when there is none."""
        if self._carrier is None:
            raise UsageError(
                f"nullmodem has no way to copy {file} to this target{f' as {dest}' if dest else ''}",
                hint="Attach with --console WIRE or --break-in ssh:USER@HOST, or copy it there yourself.",
            )
        return self._carrier.carry(file, dest, tell or _silent)

    def announce(self, text: str) -> None:
        """Show a line on the console, if there is one, that is not the target's own; see Console.announce."""
        if self.console is not None:
            self.console.announce(text)

    def serve_console(self, path: Path) -> None:
        """Offer the console to other processes at ``path``, and as a terminal beside it; nothing without a console."""
        if self.console is not None:
            self._resources.callback(ConsoleServer(self.console, path).close)
            self._resources.callback(ConsolePty(self.console, path.with_suffix(".tty")).close)

    def close(self) -> None:
        """Let its lines go. Safe to call twice."""
        self._resources.close()
