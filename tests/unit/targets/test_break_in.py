# SPDX-License-Identifier: Apache-2.0
"""Ways to break in: in their order, the one that worked first, and an error that says all that was tried."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import TargetError, TargetStands, UsageError
from nullmodem.targets.break_in import SSH_PATIENCE, BreakInWays, OverSsh, ShellOnConsole, SysrqKey
from nullmodem.targets.console import Console
from nullmodem.targets.console_shell import ConsoleShell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nullmodem.targets.break_in import Stopped


class Attempt:
    """A way that has an effect or not, and may print something."""

    def __init__(self, name: str, reason: str, tried: list[str], printing: tuple[Desk, bytes] | None = None) -> None:
        self.name = name
        self._reason = reason
        self._tried = tried
        self._printing = printing

    def attempt(self, _stopped: Stopped) -> str:
        self._tried.append(self.name)
        if self._printing is not None:
            desk, text = self._printing
            desk.prints(text)
        return self._reason


class Desk:
    """A console, and the other end of its line."""

    def __init__(self, directory: Path) -> None:
        here, self.there = socket.socketpair()
        self.console = Console(here, directory / "console.log")

    def prints(self, text: bytes) -> None:
        since = self.console.position
        self.there.sendall(text)
        self.console.wait(r"\n", 10, since=since)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.console.close()
    made.there.close()


def test_ways_are_tried_in_order_and_the_one_that_worked_comes_first_next_time() -> None:
    tried: list[str] = []
    ways = BreakInWays(
        [Attempt("one", "no effect", tried), Attempt("two", "", tried), Attempt("three", "", tried)], None
    )
    ways()
    assert tried == ["one", "two"]
    ways()
    assert tried == ["one", "two", "two"]


def test_when_none_works_the_error_says_what_was_tried_and_how_to_enable_one() -> None:
    def no_break() -> None:
        raise UsageError("this line is a plain socket and cannot carry a BREAK")

    tried: list[str] = []
    ways = BreakInWays([SysrqKey(no_break), Attempt("a shell", "nobody is logged in", tried)], None)
    with pytest.raises(TargetError) as failed:
        ways()
    assert "BREAK and g on the line: this line is a plain socket" in failed.value.message
    assert "a shell: nobody is logged in" in failed.value.message
    for word in ("kernel.sysrq", "MAGIC_SYSRQ_SERIAL", "kgdboc", "nullmodem doctor WIRE"):
        assert word in failed.value.hint


@pytest.mark.parametrize(
    ("printed", "meaning"),
    [
        (b"sysrq: This sysrq operation is disabled.\n", "kernel.sysrq does not allow it"),
        (b"ERROR: No KGDB I/O module available\n", "kgdboc is not set"),
        (b"Lockdown: swapper/0: use of kgdb/kdb to read kernel RAM is restricted\n", "locked down"),
    ],
)
def test_the_kernels_own_reason_is_given(desk: Desk, printed: bytes, meaning: str) -> None:
    ways = BreakInWays([Attempt("the key", "no effect", [], (desk, printed))], desk.console)
    with pytest.raises(TargetError, match=meaning):
        ways()


def test_a_target_that_stands_when_something_is_to_be_typed_may_have_stopped_already(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    console = Console(here, tmp_path / "console.log", refuses=lambda: "its debugger has the line")
    way = ShellOnConsole(ConsoleShell(console), lambda: None)
    try:
        assert way.attempt(lambda seconds: seconds > 0) == ""
        with pytest.raises(TargetStands, match="its debugger has the line"):
            way.attempt(lambda _seconds: False)
    finally:
        console.close()
        there.close()


def test_a_host_that_ssh_cannot_reach_is_said_with_ssh_words() -> None:
    way = OverSsh("nobody@no-such-host.invalid", lambda: None)
    reason = way.attempt(threading.Event().wait)
    assert reason.startswith("ssh: ")
    assert "no-such-host.invalid" in reason


def make_ssh(directory: Path, script: str, mode: int = 0o755) -> None:
    tool = directory / "ssh"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(mode)


def test_an_ssh_that_may_not_be_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_ssh(tmp_path, "", 0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = OverSsh("board", lambda: None).attempt(lambda _seconds: False)
    assert reason == "ssh cannot be run: Permission denied"


def test_what_ssh_says_is_not_waited_for_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is kept for others has ssh's end of it open."""
    note = tmp_path / "pid"
    lines = "head -c 30000 /dev/zero | tr '\\0' x >&2; echo >&2"
    make_ssh(tmp_path, f"sleep 60 & echo $! > {note}; {lines}; echo 'board: refused' >&2; exit 255")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    since = time.monotonic()
    try:
        reason = OverSsh("board", lambda: None).attempt(lambda seconds: threading.Event().wait(min(seconds, 0.02)))
    finally:
        os.kill(int(note.read_text()), signal.SIGKILL)
    assert reason == "ssh: board: refused"
    assert time.monotonic() - since < SSH_PATIENCE
