# SPDX-License-Identifier: Apache-2.0
"""A session that the adapter starts: `nullmodem run` or `attach` in a process of its own, which ends when we do.

A process of its own, so that terminals find it like any other session, and so that it puts its target in order by
itself however we end: it holds the other end of a pipe (see `cli.lifetime.hold_leash`).
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Final

from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import running_sessions
from nullmodem.errors import NullmodemError, SessionError
from nullmodem.frontends.dap.configuration import Configuration, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEEP: Final = b"keep\n"
_END_SECONDS: Final = 60.0
_LAST_WORDS: Final = 20
_SAID: Final = "nullmodem: "


def command_line(configuration: Configuration) -> list[str]:
    """What starts the session that a configuration asks for."""
    get = configuration.values
    words: list[str] = []

    def option(name: str, value: object) -> None:
        if value:
            words.extend((name, str(value)))

    option("--session", get["session"])
    if configuration.request is Request.LAUNCH:
        option("--kernel", get["kernel"])
        words += ["--smp", str(get["cpus"]), "--memory", str(get["memory"]), "--append", get["append"]]
        words += [] if get["kaslr"] else ["--no-kaslr"]
        return ["run", "--no-gdb", "--leash", *words, *([str(get["module"])] if get["module"] else [])]
    option("--vmlinux", get["vmlinux"])
    option("--build-tree", get["buildTree"])
    option("--console", get["targetConsole"])
    for name, attribute in (("--modules", "modules"), ("--break-in", "breakIn")):
        for value in get[attribute]:
            option(name, value)
    words += ["--debuginfod"] if get["debuginfod"] else []
    return ["attach", "--no-gdb", "--leash", *words, get["target"]]


class SessionProcess:
    """The process, from its start on. ``tell`` gets what it says for its user, line by line, in a thread of ours.
    A nullmodem.toml is looked for from ``cwd`` on.
    """

    def __init__(self, arguments: list[str], tell: Callable[[str], None], cwd: Path | None = None) -> None:
        self._tell = tell
        self._words: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nullmodem", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=cwd,
            start_new_session=True,  # a Ctrl-C in the terminal the adapter runs in is not for it
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stderr,), name="nullmodem-dap-said", daemon=True
        )
        self._reader.start()

    def _read(self, said: IO[str]) -> None:
        for line in said:
            self._words = [*self._words[-_LAST_WORDS:], line.rstrip()]
            self._tell(line)

    def wait_until_it_serves(self) -> RemoteMachine:
        """The session, once its target is up. Raises SessionError, with the process's complaint, when it ends first."""
        assert self._process.stdout is not None
        lines = [self._process.stdout.readline() for _ in range(2)]  # what any gdb needs, for people
        if not all(lines):
            self._process.wait(_END_SECONDS)
            self._reader.join()
            raise self._complaint()
        for session in running_sessions():
            if session.record.pid == self._process.pid:
                return RemoteMachine(session)
        raise self._complaint()

    def _complaint(self) -> SessionError:
        at = max((n for n, line in enumerate(self._words) if line.startswith(_SAID)), default=0)
        said = "\n".join(self._words[at:]).removeprefix(_SAID)
        return SessionError(said or "the session ended without a word")

    def abandon(self) -> None:
        """Have it end, in whatever it does; from any thread."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def keep(self) -> None:
        """Let it live on without us."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(KEEP.decode())
            self._process.stdin.close()

    def end(self, remote: RemoteMachine | None) -> None:
        """End it, with what belongs to it, and wait until that is so."""
        if remote is not None and self._process.poll() is None:
            with contextlib.suppress(NullmodemError):
                remote.stop(_END_SECONDS)
        self.abandon()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
