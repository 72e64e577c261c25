# SPDX-License-Identifier: Apache-2.0
"""The program itself, started as its users start it: in processes and on terminals of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pexpect

from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = Path(__file__).resolve().parents[2] / "src"
PROGRAM = (sys.executable, "-m", "nullmodem")
PROMPT = r"\(gdb\) "
SECONDS = 60.0
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def plain(text: str) -> str:
    """What a terminal would show, without its colours."""
    return _COLOUR.sub("", text)


def ended(pid: int, timeout: float = 20.0) -> bool:
    """Wait for a process to end that need not be a child of ours; whether it did."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(wait_readable([fd], timeout))
    finally:
        os.close(fd)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    return [
        int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]


@dataclass
class Cli:
    """`nullmodem`, with sessions that nobody else sees. Everything it has started ends with `close`."""

    runtime: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="nm-")))
    extra: Mapping[str, str] = field(default_factory=dict)
    _started: list[subprocess.Popen[str]] = field(default_factory=list)
    _terminals: list[pexpect.spawn[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        # HOME: a user's .gdbinit would speak in between. The cache stays where the kernels are.
        own = {"XDG_RUNTIME_DIR": str(self.runtime), "PYTHONPATH": str(SOURCE), "TERM": "xterm", "COLUMNS": "200"}
        cache = os.environ.get("NULLMODEM_CACHE", str(Path("~/.cache/nullmodem").expanduser()))
        return {**os.environ, **own, "NULLMODEM_CACHE": cache, "HOME": str(self.runtime), **self.extra}

    def __call__(self, *arguments: str, text: str = "", timeout: float = SECONDS) -> subprocess.CompletedProcess[str]:
        """Run to the end; ``text`` is its input."""
        return subprocess.run(
            [*PROGRAM, *arguments],
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def good(self, *arguments: str) -> str:
        """Run what has to work, and return what it prints."""
        result = self(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def facts(self, *arguments: str) -> Any:
        """Run something with --json, and return what that holds."""
        return json.loads(self.good(*arguments, "--json"))

    def bad(self, *arguments: str, code: int) -> str:
        """Run what has to fail with an exit code, and return its complaint, which is never a traceback."""
        result = self(*arguments)
        assert result.returncode == code, (result.stdout, result.stderr)
        assert "Traceback" not in result.stderr
        return result.stderr

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start something that does not end by itself, in a process group of its own."""
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )
        self._started.append(process)
        return process

    def serve(self, *arguments: str) -> Served:
        """`run --no-gdb`, once it serves."""
        process = self.start("run", "--no-gdb", *arguments)
        assert process.stdout is not None
        lines = process.stdout.readline(), process.stdout.readline()
        if not all(lines):
            _out, complaint = process.communicate(timeout=SECONDS)
            raise AssertionError(complaint)
        return Served(process, lines[0].strip(), lines[1].strip())

    def terminal(self, *arguments: str) -> pexpect.spawn[str]:
        """Run on a terminal of its own."""
        child = pexpect.spawn(
            PROGRAM[0],
            [*PROGRAM[1:], *arguments],
            env=self.environment,
            encoding="utf-8",
            codec_errors="replace",
            timeout=SECONDS,
            dimensions=(50, 200),
            use_poll=True,
        )
        child.delaybeforesend = None
        child.ptyproc.delayafterclose = 0
        self._terminals.append(child)
        return child

    def close(self) -> None:
        """End what still runs, in order if it can be, and remove the sessions' directory."""
        for process in self._started:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=SECONDS)
        for child in self._terminals:
            child.close(force=True)
        shutil.rmtree(self.runtime, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


@dataclass
class Served:
    """A session without a gdb, and the two lines it printed."""

    process: subprocess.Popen[str]
    file_line: str
    target_line: str

    @property
    def machine(self) -> int:
        """The process of its QEMU."""
        found = [pid for pid in children(self.process.pid) if "qemu" in Path(f"/proc/{pid}/comm").read_text()]
        assert len(found) == 1
        return found[0]

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; the exit code, and what it said on standard error."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        """Wait for the end; the exit code, and what it said on standard error."""
        _out, complaint = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, complaint


def ask(child: pexpect.spawn[str], command: str) -> str:
    """Type a command at gdb's prompt; what it answers."""
    child.sendline(command)
    child.expect_exact(command)
    child.expect(PROMPT)
    return plain(child.before or "")


def finish(child: pexpect.spawn[str]) -> int:
    """Wait until a program on a terminal has ended; its exit code, 128 + n for signal n."""
    child.expect(pexpect.EOF)
    child.wait()
    return child.exitstatus if child.exitstatus is not None else 128 + (child.signalstatus or 0)
