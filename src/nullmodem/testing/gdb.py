# SPDX-License-Identifier: Apache-2.0
"""A real gdb on a terminal, one command at a time. Needs pexpect, which the ``test`` extra installs."""

from __future__ import annotations

import os
import re
import secrets
import signal
import sys
from typing import TYPE_CHECKING, Self

import pexpect

from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 60.0
HANGUP_SECONDS = 0.5
"""For a gdb to detach when its terminal hangs up; one that waits for its target does not."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Gdb:
    """One gdb process. A prompt with a random tag tells the end of a command's output beyond doubt."""

    def __init__(self, path: str, *arguments: str, patience: float = PATIENCE) -> None:
        self._tag = f"<{secrets.token_hex(8)}>"
        self.transcript: list[str] = []
        settings = ["set confirm off", "set pagination off", "set width 0", "set style enabled off"]
        settings += ["set debuginfod enabled off", "set breakpoint pending on", f"set prompt {self._tag}"]
        settings += ["maint set internal-error corefile no"]  # a gdb that aborts says so; its core is of no use here
        options = [word for setting in settings for word in ("-iex", setting)]
        self._process = pexpect.spawn(
            path, ["-nx", "-q", *options, *arguments], encoding="utf-8", codec_errors="replace", echo=False,
            timeout=patience, dimensions=(50, 240), use_poll=True,
        )  # fmt: skip
        # By default pexpect waits 50 ms before each line, for programs that are about to turn the echo off.
        self._process.delaybeforesend = None
        self._process.ptyproc.delayafterclose = 0  # it is gone by then
        self._until_prompt()

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def __call__(self, command: str, *, patience: float | None = None) -> str:
        """Type a command and return what gdb printed until its next prompt."""
        self.send(command)
        return self.wait(patience)

    def send(self, command: str) -> None:
        """Type a command and do not wait."""
        self.transcript.append(f"(gdb) {command}")
        self._process.sendline(command)

    def wait(self, patience: float | None = None) -> str:
        """What gdb prints until its next prompt."""
        text = self._until_prompt(patience)
        self.transcript.append(text)
        return text

    def wait_for(self, text: str) -> None:
        """Until gdb, which waits, has printed this."""
        self._process.expect_exact(text)

    def all(self, commands: Sequence[str]) -> list[str]:
        return [self(command) for command in commands]

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.sendintr()

    def kill(self) -> None:
        """kill -9. It says no goodbye to its target: pexpect's own way begins with SIGHUP, at which gdb detaches."""
        self._process.kill(signal.SIGKILL)
        self._process.wait()
        self._process.close()

    def quit(self) -> None:
        if self._process.isalive():
            self._process.sendline("quit")
            self._process.expect(pexpect.EOF)
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        if kind is not None:
            sys.stderr.write("\n".join(["--- gdb ---", *self.transcript, str(self._process.before)]))
        self._end()

    def _end(self) -> None:
        """Hang up on it. pexpect's own way looks but ten times a second whether that had an effect."""
        if self._process.isalive():
            leaving = os.pidfd_open(self.pid)
            self._process.kill(signal.SIGHUP)
            if not wait_readable([leaving], HANGUP_SECONDS):
                self._process.kill(signal.SIGKILL)
            os.close(leaving)
            self._process.wait()
        self._process.close()

    def _until_prompt(self, patience: float | None = None) -> str:
        self._process.expect_exact(self._tag, timeout=-1 if patience is None else patience)
        return _ANSI.sub("", self._process.before or "").replace("\r\n", "\n").strip()
