# SPDX-License-Identifier: Apache-2.0
"""Commands and files over ssh for a machine under debugging, which may stand still in the middle of either."""

from __future__ import annotations

import shlex
import subprocess
import threading
from typing import TYPE_CHECKING, Final

from nullmodem.errors import CommandTimeout, TargetError
from nullmodem.targets.ssh import CONNECT_SECONDS, ssh_command
from nullmodem.targets.target import ExecResult, in_own_group, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_REFUSED: Final = 255  # ssh's own exit status when it is ssh that failed (ssh(1), EXIT STATUS)

# Nothing is asked, and no silence ends a connection: a machine that is stopped does not answer for as long as it is.
_OPTIONS: Final = (
    *("-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"),
    *("-o", "ServerAliveInterval=0", "-o", "TCPKeepAlive=no"),
)


class SshShell:
    """``host`` is as ssh takes it. Methods may be called from any thread, several at a time."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> ExecResult:
        """Run a command there and wait for its end.

        Raises UsageError without an ssh, TargetError with ssh's reason when it does not get there, CommandTimeout.
        """
        line = command if isinstance(command, str) else shlex.join(command)
        result = self._run(line, b"", timeout)
        if on_output is None:
            return result
        on_output(result.output)
        return ExecResult(line, result.code, b"")

    def in_group(self, line: str, file: str) -> str:
        """See `Target.in_group`."""
        return in_own_group(line, file)

    def leave(self, file: str) -> None:
        """Nothing is in anybody's way: each command has a connection of its own."""

    def put(self, data: bytes, path: str, tell: Callable[[str], None]) -> ExecResult:  # noqa: ARG002  # it is quick
        """Write a file there; see Shell.put."""
        return self._run(f"cat >{shlex.quote(path)}", data, None)

    def close(self) -> None:
        """End what runs."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()

    def _run(self, line: str, stdin: bytes, timeout: float | None) -> ExecResult:
        # Both outputs in one, in their order; what is left on ssh's own is ssh's.
        words = [*ssh_command(), *_OPTIONS, "--", self._host, f"exec 2>&1; {line}"]
        pipe = subprocess.PIPE
        with self._lock:
            if self._closed:
                raise TargetError(f"the session with {self._host} has ended")
            process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe)
            self._running.add(process)
        try:
            output, said = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            msg = f"`{shorten(line)}` on {self._host} has not ended after {timeout:g} s"
            raise CommandTimeout(msg, code=124, output="") from None
        finally:
            with self._lock:
                self._running.discard(process)
        reason = said.decode(errors="replace").strip()
        if process.returncode < 0 or (process.returncode == _REFUSED and reason):
            last = reason.splitlines()[-1] if reason else "it was ended"
            raise TargetError(f"ssh does not reach {self._host}: {last}", hint=f"Does `ssh {self._host} true` work?")
        return ExecResult(line, process.returncode, output)
