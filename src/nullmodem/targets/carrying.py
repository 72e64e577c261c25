# SPDX-License-Identifier: Apache-2.0
"""Files for a machine that nullmodem has only a shell on."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import threading
from typing import TYPE_CHECKING, Final, Protocol

from nullmodem.errors import CommandError, TargetError, UsageError
from nullmodem.targets.share import check_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nullmodem.targets.target import ExecResult

ATTEMPTS: Final = 2
"""A line that changes a byte now and then changes none the second time; one that does it always is of no use."""

# $1: where to, a file or a directory; empty: a directory of ours, $2 once it has been made. $3: the file's name.
_PLACE: Final = (
    'p=$1; if [ -z "$p" ]; then p=$2; [ -d "$p" ] || p=$(mktemp -d) || exit 1; fi; '
    'case $p in /*) ;; *) p=$HOME/$p;; esac; [ ! -d "$p" ] || p=${p%/}/$3; echo "@$p@"'
)
_PLACED: Final = re.compile(r"@(/[^\n]*)@")
_NO_PROGRAM: Final = 127  # POSIX, 2.8.2: exit status of a shell that finds no such command
_quoted = shlex.quote


class Shell(Protocol):
    """Somebody who runs commands on the machine, and can write a file there."""

    def exec(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        on_output: Callable[[bytes], None] | None = None,
    ) -> ExecResult: ...

    def in_group(self, line: str, file: str) -> str:
        """See `Target.in_group`."""
        ...

    def leave(self, file: str) -> None:
        """Wait no longer for the `in_group` with this ``file``, where that keeps others from being run; and do not
        begin it, if it has not begun. Its processes may live on. Raises TargetError, TargetLost."""
        ...

    def put(self, data: bytes, path: str, tell: Callable[[str], None]) -> ExecResult:
        """Write ``data`` to the file ``path``, which can be written; what its writer said. ``tell`` is told how far it
        is, when it takes long. What arrives may be wrong.

        Raises UsageError when it would take too long, CommandError when a program is missing, TargetError, TargetLost.
        """
        ...


class Carrier:
    """Brings files to a machine through ``shell``, each proved there by its SHA-256."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._directory = ""
        self._lock = threading.Lock()

    def carry(self, file: Path, dest: str | None, tell: Callable[[str], None]) -> str:
        """Copy a file and return its path there: ``dest``, a file or a directory, or in a directory made for that.

        A file that is there already, the same, is not copied again.
        Raises UsageError, TargetError: it arrived wrong; CommandError: it cannot be written; TargetLost.
        """
        check_file(file)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {file}: {error.strerror}") from error
        proof = hashlib.sha256(data).hexdigest()
        mode = "755" if os.access(file, os.X_OK) else "644"
        with self._lock:
            path = self._place(file.name, dest or "")
            if not self._proves(proof, path):
                self._bring(data, proof, path, mode, lambda said: tell(f"copying {file.name}: {said}"))
        return path

    def _bring(self, data: bytes, proof: str, path: str, mode: str, tell: Callable[[str], None]) -> None:
        """First beside its place: what is there stays whole until all of the new has come."""
        part = f"{path}.part"
        self._shell.exec(f": >{_quoted(part)}").check()
        said = ""
        for _ in range(ATTEMPTS):
            said = self._shell.put(data, part, tell).text.strip()
            if self._proves(proof, part):
                self._shell.exec(f"chmod {mode} {_quoted(part)} && mv -f {_quoted(part)} {_quoted(path)}").check()
                return
        self._shell.exec(f"rm -f {_quoted(part)}")
        because = f"; it says: {said[-200:]}" if said else ""
        raise TargetError(f"{path} has arrived wrong {ATTEMPTS} times{because}", hint="Is the line noisy?")

    def _place(self, name: str, dest: str) -> str:
        result = self._shell.exec(("sh", "-c", _PLACE, "sh", dest, self._directory, name)).check()
        found = _PLACED.search(result.text)
        if found is None:
            raise TargetError(f"the target does not say where {name} may go: {result.text.strip()[:200]}")
        if not dest:
            self._directory = found[1].rpartition("/")[0]
        return found[1]

    def _proves(self, proof: str, path: str) -> bool:
        result = self._shell.exec(f"echo {_quoted(f'{proof}  {path}')} | sha256sum -c - >/dev/null 2>&1")
        if result.code == _NO_PROGRAM:
            raise CommandError("the target has no sha256sum to prove a file with", code=_NO_PROGRAM, output="")
        return result.code == 0
