# SPDX-License-Identifier: Apache-2.0
"""What the kernel says while a test runs: its console from the test's beginning on, and the troubles in it."""

from __future__ import annotations

import contextlib
import secrets
import shlex
from typing import TYPE_CHECKING, Final

from nullmodem.api.oops import TroubleKind, find_troubles, kernel_lines
from nullmodem.errors import CommandError, CommandTimeout, NullmodemError, TargetLost, UsageError, WireTimeout
from nullmodem.session.model import Resume, StopReason
from nullmodem.targets.target import shorten

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from nullmodem.api.oops import Trouble
    from nullmodem.frontends.python.breakpoint import Breakpoint
    from nullmodem.pytest_plugin.lab import Bench
    from nullmodem.targets.console import Console

ANSWER_SECONDS: Final = 20.0
"""For a line that is written to the kernel's log to come out of the console: at once, on a machine that lives."""

END_SECONDS: Final = 10.0
"""For a command that a test has not waited for to end: it most often does at once, when the target runs again."""

_MARK: Final = "nullmodem-pytest"


class Watch:
    """The console of one test, from the moment it is made.

    Args:
        bench: the machine, which runs.
        name: the test's, written to the kernel's log.
        allowed: what matches a trouble's headline is no fault of the test.
    """

    def __init__(self, bench: Bench, name: str, allowed: Sequence[re.Pattern[str]]) -> None:
        self._bench = bench
        self._allowed = allowed
        self._console: Console | None = getattr(bench.machine.target, "console", None)
        self._judged = 0
        self.mark(f"{name} begins")
        self._start = self._console.position if self._console is not None else 0

    def mark(self, text: str) -> None:
        """Write a line to the kernel's log and wait until the console has shown it: what came before is there then.

        Does nothing where no command can be run, or no console is watched. Spoils a machine that does not answer.
        """
        live = self._bench.machine.live
        if self._console is None or not live.is_running or self._bench.spoiled:
            return
        token = secrets.token_hex(4)
        since = self._console.position
        line = f"{_MARK} {token}: {text}"
        try:
            self._bench.machine.target.exec(f"echo {shlex.quote(line)} >/dev/kmsg", timeout=ANSWER_SECONDS)
            self._console.wait(token, ANSWER_SECONDS, since=since)
        except (CommandTimeout, WireTimeout, TargetLost) as error:
            self._bench.spoiled = f"it does not answer any more: {error.message.splitlines()[0]}"
        except UsageError:
            self._console = None  # this target runs no commands for us

    def text(self) -> str:
        """What the console has shown since the test began, without what was written there for this class."""
        if self._console is None:
            return ""
        text = self._console.text(self._start)
        # A board's console has what was typed there to run commands, and files in base64.
        lines = kernel_lines(text) if self._bench.spec.board else text.replace("\r", "").splitlines()
        return "\n".join(line for line in lines if _MARK not in line).strip("\n")

    def new_troubles(self) -> tuple[Trouble, ...]:
        """Those since the last time, less what is allowed. A fatal one spoils the machine, allowed or not.

        What the kernel is about to print must have been printed: `mark` first, unless it stands still.
        """
        found = find_troubles(self.text())
        new = found[self._judged :]
        self._judged = len(found)
        for trouble in new:
            if trouble.fatal and not self._bench.spoiled:
                self._bench.spoiled = f"the kernel cannot be trusted after: {trouble.headline}"
        return tuple(trouble for trouble in new if not any(p.search(trouble.headline) for p in self._allowed))

    @property
    def has_panicked(self) -> bool:
        """Whether the console shows a panic: nothing runs there any more."""
        return any(trouble.kind is TroubleKind.PANIC for trouble in find_troubles(self.text()))

    def tidy(self, kept: Sequence[Breakpoint] = ()) -> list[str]:
        """Take back what a test has left behind, so that the next can begin; what that was, a phrase each.

        ``kept`` are breakpoints of its fixtures'. A machine on which that does not succeed is spoiled.
        """
        bench = self._bench
        left: list[str] = []
        if bench.spoiled or bench.is_gone:
            bench.spoiled = bench.spoiled or "it is gone"
            return left
        target = bench.target
        try:
            stop = target.stop
            if stop is not None:
                left.append(f"the target stopped at {stop.describe()}")
            for breakpoint_ in target.breakpoints:
                if breakpoint_ in kept:
                    continue
                left.append(f"a breakpoint at {breakpoint_.where}")
                breakpoint_.delete()
            if stop is not None:
                # Of a fault the kernel is told: it prints its oops, and ends who made it.
                target.debugger.controller.go(Resume(deliver=stop.reason is StopReason.FAULT))
        except NullmodemError as error:
            bench.spoiled = f"it could not be set running: {error.message}"
        return left

    def commands_left(self) -> list[str]:
        """Wait for what the test has started; what does not end, a phrase each. A machine that has that is spoiled."""
        bench = self._bench
        if bench.spoiled:
            return []
        left = [
            f"the command `{shorten(command)}` running" for command in bench.machine.target.still_running(END_SECONDS)
        ]
        if left:
            bench.spoiled = f"a command does not end on it: {left[0]}"
        return left

    def unload(self, before: Sequence[str]) -> list[str]:
        """Unload every module that was not there ``before``, the last one first; what could not be, a phrase each."""
        bench = self._bench
        problems: list[str] = []
        if bench.spoiled:
            return problems
        for module in reversed(bench.machine.live.modules()):
            if module.name in before:
                continue
            try:
                self._rmmod(module.name)
            except NullmodemError as error:
                problems.append(f"{module.name} could not be unloaded: {error.message}")
                bench.spoiled = bench.spoiled or problems[-1]
        return problems

    def _rmmod(self, name: str) -> None:
        """Raises NullmodemError: it is in use, though every command has had its time to end."""
        machine = self._bench.machine
        try:
            self._unload(name)
        except CommandError:
            # A program that the test has not waited for may have it open, or be loading it, for a moment still.
            machine.target.still_running(END_SECONDS)
            self._unload(name)

    def _unload(self, name: str) -> None:
        command = self._bench.machine.unload(name)
        with contextlib.closing(command):
            if command.wait(ANSWER_SECONDS, stops=False).result is None:
                raise WireTimeout(f"rmmod {name} does not end")
