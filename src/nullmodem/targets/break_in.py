# SPDX-License-Identifier: Apache-2.0
"""Ways to stop a running kernel from outside, tried one after another until one of them has."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from typing import TYPE_CHECKING, Final, Protocol

from nullmodem.errors import NullmodemError, TargetError, TargetStands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nullmodem.targets.console import Console
    from nullmodem.targets.console_shell import ConsoleShell

    Stopped = Callable[[float], bool]
    """Waits for the stop, at most so many seconds; whether it came."""

PATIENCE: Final = 3.0
"""Seconds for a way to show its effect: a kernel that takes the key stops within milliseconds."""
SSH_PATIENCE: Final = 15.0
_SSH_READ: Final = 1 << 16  # what a pipe holds
_SSH_KEPT: Final = 4096
TRIGGER: Final = "echo g > /proc/sysrq-trigger"
# As the owner of the file, or as whom sudo lets do it without a password.
_TRIGGER_OVER_SSH: Final = f"({TRIGGER}) 2>/dev/null || echo g | sudo -n tee /proc/sysrq-trigger"
HINT: Final = (
    "To enable one, on the target: `sysctl kernel.sysrq=1` allows the key; CONFIG_MAGIC_SYSRQ_SERIAL makes BREAK the "
    "key\non the console's line; and kgdb must have its line: `echo ttyS0 > /sys/module/kgdboc/parameters/kgdboc`.\n"
    "`nullmodem doctor WIRE` says who is at the other end of a line, and whether its speed is wrong."
)

# What the kernel prints when it does not want to (drivers/tty/sysrq.c, kernel/debug/debug_core.c, security/lockdown).
_REFUSALS: Final = (
    (re.compile(r"This sysrq operation is disabled"), "the kernel says that kernel.sysrq does not allow it"),
    (re.compile(r"No KGDB I/O module available"), "the kernel says that kgdb has no line: kgdboc is not set"),
    (re.compile(r"[Ll]ockdown: .*(kgdb|kdb|sysrq)"), "the kernel is locked down, and kgdb with it"),
)


class Way(Protocol):
    """One way. ``name`` says what it does."""

    @property
    def name(self) -> str: ...

    def attempt(self, stopped: Stopped) -> str:
        """Try it; an empty string when the target has stopped, else why not. Raises NullmodemError: it cannot be
        tried."""
        ...


class SysrqKey:
    """The key, which ``press`` presses: by BREAK and g on the console's line, or otherwise, as ``name`` says."""

    def __init__(self, press: Callable[[], None], name: str = "BREAK and g on the line") -> None:
        self.name = name
        self._press = press

    def attempt(self, stopped: Stopped) -> str:
        self._press()
        return "" if stopped(PATIENCE) else "no effect"


class ShellOnConsole:
    """A command typed into a shell that waits on the console. ``typed`` is called when it has been."""

    name = f"`{TRIGGER}` in a shell on the console"

    def __init__(self, shell: ConsoleShell, typed: Callable[[], None]) -> None:
        self._shell = shell
        self._typed = typed

    def attempt(self, stopped: Stopped) -> str:
        try:
            with self._shell.alone():
                self._shell.type(TRIGGER)
        except TargetError as error:
            # It has stopped for another reason, which the session finds out now: that serves as well.
            if stopped(PATIENCE if isinstance(error, TargetStands) else 0.0):
                return ""
            raise
        self._typed()
        return "" if stopped(PATIENCE) else "no effect"


class OverSsh:
    """The same through ssh. ``destination`` is what ssh(1) takes; keys only, nothing is asked."""

    def __init__(self, destination: str, typed: Callable[[], None]) -> None:
        self._destination = destination
        self._typed = typed

    @property
    def name(self) -> str:
        return f"`{TRIGGER}` over ssh to {self._destination}"

    def attempt(self, stopped: Stopped) -> str:
        options = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=5")
        command = ("ssh", *options, "--", self._destination, _TRIGGER_OVER_SSH)
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0
            )
        except FileNotFoundError:
            return "there is no ssh on this machine"
        except OSError as error:
            return f"ssh cannot be run: {error.strerror}"
        with process:
            try:
                self._typed()
                return self._outcome(process, stopped)
            finally:
                # A machine that stands still does not end the connection; its end of it is closed when it runs on.
                process.kill()

    @staticmethod
    def _outcome(process: subprocess.Popen[bytes], stopped: Stopped) -> str:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        deadline = time.monotonic() + SSH_PATIENCE
        said = b""
        while time.monotonic() < deadline:
            if stopped(0.5):
                return ""
            ended = process.poll() is not None
            # Not to the end of it: a connection that ssh keeps for others (ControlPersist) has it open for long.
            said = (said + (process.stderr.read(_SSH_READ) or b""))[-_SSH_KEPT:]
            if ended:
                if stopped(0.5):
                    return ""
                words = said.decode("utf-8", "replace").strip()
                reason = words.splitlines()[-1] if words else f"exit status {process.returncode}"
                return f"ssh: {reason}" if process.returncode else "no effect"
        return f"no effect within {SSH_PATIENCE:g} s"


class BreakInWays:
    """All ways there are, in order; the one that worked last time comes first.

    ``console`` is where the kernel may say why it does not stop. ``stopped`` must be set before the first call.
    """

    def __init__(self, ways: Sequence[Way], console: Console | None) -> None:
        self._ways = list(ways)
        self._console = console
        self.stopped: Stopped = lambda _seconds: False

    def __call__(self) -> None:
        """Stop the target. Raises TargetError that says what was tried, and how to enable one."""
        with self._console.undisturbed() if self._console is not None else contextlib.nullcontext():
            self._try_all()

    def _try_all(self) -> None:
        tried = []
        for way in tuple(self._ways):
            since = self._console.position if self._console is not None else 0
            try:
                reason = way.attempt(self.stopped)
            except NullmodemError as error:
                reason = error.message
            if not reason:
                self._ways.remove(way)
                self._ways.insert(0, way)
                return
            tried.append(f"  {way.name}: {self._refusal(since) or reason}")
        if not tried:
            raise TargetError("no way to stop the target is known", hint=HINT)
        raise TargetError("the target could not be stopped; tried:\n" + "\n".join(tried), hint=HINT)

    def _refusal(self, since: int) -> str:
        text = self._console.text(since) if self._console is not None else ""
        return next((meaning for pattern, meaning in _REFUSALS if pattern.search(text)), "")
