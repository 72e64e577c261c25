# SPDX-License-Identifier: Apache-2.0
"""A session's large files: copies of modules, what it shares with the target, the console's log.

They are under the cache, not beside the sockets: $XDG_RUNTIME_DIR is memory, and small. Like the directory of
sessions, each is locked by its process, so what a killed one left is known and removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from nullmodem.api.sessions import is_locked
from nullmodem.errors import SessionError
from nullmodem.kbuild import cache_root

if TYPE_CHECKING:
    from types import TracebackType


class WorkDirectory:
    """``path`` has mode 0700 and is removed with everything in it at the end."""

    def __init__(self, name: str) -> None:
        """``name`` begins the directory's own. Raises SessionError when none can be made."""
        base = cache_root() / "sessions"
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            guard = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # Held until the new directory is locked, or another process would take it for a dead one's.
                fcntl.flock(guard, fcntl.LOCK_EX)
                for other in base.iterdir():
                    if not is_locked(other):
                        shutil.rmtree(other, ignore_errors=True)
                self.path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base))
                self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            finally:
                os.close(guard)
        except OSError as error:
            msg = f"cannot make a work directory in {base}: {error.strerror}"
            raise SessionError(
                msg, hint="Make room, or set NULLMODEM_CACHE to a directory on a disk that has it."
            ) from error

    def close(self) -> None:
        """Remove it. Safe to call twice."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
