# SPDX-License-Identifier: Apache-2.0
"""gdb's own debug adapter, as a child process: requests go in, answers and events come out."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nullmodem.errors import NullmodemError, RemoteProtocolError, SessionError
from nullmodem.frontends.dap.codec import Decoder, encode, parse_message
from nullmodem.frontends.gdb.launch import SETTINGS, find_gdb, index_cache
from nullmodem.targets.process import bound_to_us

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nullmodem.frontends.dap.codec import Arguments
    from nullmodem.frontends.gdb.launch import Gdb

    Answered = Callable[[dict[str, Any]], None]

OLDEST: Final = (14, 1)
"""The first gdb that has the interpreter ``dap``."""
INSIDE: Final = Path(__file__).parent
"""Where gdb's Python finds the package `inside`."""
_END_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 120.0
_CHUNK: Final = 1 << 16


def find_adapter(wanted: str | None) -> Gdb:
    """A gdb with a debug adapter. Raises UsageError, which names the versions that were found."""
    return find_gdb(wanted, OLDEST)


def command_line(gdb: Gdb, vmlinux: str, commands: Sequence[str]) -> list[str]:
    """None of the user's own start-up files is read: what they print, or set as a front end, is not for an editor."""
    command = [gdb.path, "-q", "-nx", "-i=dap", "-iex", "set debuginfod enabled off", *index_cache(gdb), *SETTINGS]
    # Another debugger may let the target run while this gdb takes it to stand: its breakpoints must be in it then.
    command += ["-iex", "set breakpoint always-inserted on", "-iex", "set sysroot", vmlinux]
    command += ["-ex", f"python import sys; sys.path.append({str(INSIDE)!r}); import inside"]
    for each in commands:
        command += ["-ex", each]
    return command


class GdbRefused(NullmodemError):
    """gdb said no; the message is its own."""


class GdbAdapter:
    """One gdb. ``on_event`` gets its events and ``on_end`` is called when it has ended, both in a thread of ours.

    That thread also calls what waits for an answer, so that answers and events are seen in gdb's order.
    """

    def __init__(
        self, command: Sequence[str], on_event: Callable[[dict[str, Any]], None], on_end: Callable[[], None]
    ) -> None:
        self._on_event = on_event
        self._on_end = on_end
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Answered] = {}
        self._ended = False
        try:
            self._process = subprocess.Popen(
                bound_to_us(command, "KILL"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            msg = f"cannot start {command[0]}: {error.strerror}"
            raise SessionError(msg) from error
        self._thread = threading.Thread(target=self._read, name="nullmodem-dap-gdb", daemon=True)
        self._thread.start()

    def send(self, command: str, arguments: Arguments | None, answered: Answered) -> int:
        """Ask something; ``answered`` is called with the whole answer. Returns the request's number."""
        assert self._process.stdin is not None
        with self._lock:
            number, ended = next(self._numbers), self._ended
            if not ended:
                self._waiting[number] = answered
                message = {"seq": number, "type": "request", "command": command, "arguments": arguments or {}}
                with contextlib.suppress(OSError):  # its end is noticed where it is read
                    self._process.stdin.write(encode(message))
                    self._process.stdin.flush()
        if ended:
            answered(_no_answer())
        return number

    def ask(self, command: str, arguments: Arguments | None = None, timeout: float = _ANSWER_SECONDS) -> Arguments:
        """Ask and wait; the answer's body. Not from `on_event`. Raises GdbRefused, SessionError when none comes."""
        answers: list[dict[str, Any]] = []
        done = threading.Event()

        def answered(message: dict[str, Any]) -> None:
            answers.append(message)
            done.set()

        self.send(command, arguments, answered)
        if not done.wait(timeout):
            msg = f"gdb did not answer {command!r} within {timeout:.0f} s"
            raise SessionError(msg)
        if not answers[0].get("success"):
            raise GdbRefused(str(answers[0].get("message", "")))
        body = answers[0].get("body")
        return body if isinstance(body, dict) else {}

    @property
    def ended(self) -> bool:
        return self._ended

    def kill(self) -> None:
        """Have it end, with what it has started, whatever it does: nothing waits for it any more. From any thread."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it, and wait until it has. Safe to call twice. What is asked after that has no answer."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError), self._lock:
            self._ended = True
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        decoder = Decoder()
        assert self._process.stdout is not None
        source = self._process.stdout
        with contextlib.suppress(RemoteProtocolError):
            while data := source.read1(_CHUNK):  # type: ignore[attr-defined]  # a BufferedReader, as it is opened
                decoder.feed(data)
                while (body := decoder.next()) is not None:
                    self._deliver(parse_message(body))
        with self._lock:
            self._ended = True
            waiting, self._waiting = self._waiting, {}
        for answered in waiting.values():
            answered(_no_answer())
        self._on_end()

    def _deliver(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "response", "request_seq": int(number)}:
                with self._lock:
                    answered = self._waiting.pop(number, None)
                if answered is not None:
                    answered(message)
            case {"type": "event", "event": str()}:
                self._on_event(message)
            case _:
                pass  # gdb has no reverse requests


def _no_answer() -> dict[str, Any]:
    return {"success": False, "message": "gdb has ended"}
