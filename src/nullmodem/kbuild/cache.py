# SPDX-License-Identifier: Apache-2.0
"""Where built kernels and unpacked sources are kept, and how they become visible: whole or not at all.

::

    $NULLMODEM_CACHE  or  $XDG_CACHE_HOME/nullmodem  or  ~/.cache/nullmodem
    ├── locks/NAME.lock       held (flock) while NAME is being made; never deleted, so nobody locks a ghost
    ├── sources/NAME/         one unpacked source tree; made as NAME.partial, then renamed
    └── kernels/NAME-KEY/     one build tree, what `make O=` works in
        └── kernel.json       written last: a directory without it is no kernel

A source tree holds no path to itself, so it is made beside its final place and renamed. A build tree does (the
generated Makefile, the ``source`` link, every .cmd file, and the directory each object's DWARF says it was compiled
in), so it is built where it will stay, and what is published by rename is its record. Whoever finds a directory without
a record while holding its lock finds the rest of a build that died, and removes it.

The lock is inherited by the processes of the build: as long as one of them could still write, nobody else starts.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RECORD: Final = "kernel.json"
WHEN_FULL: Final = "make room, or set NULLMODEM_CACHE to a directory on a larger disk"
_MEBIBYTE: Final = 1 << 20


def cache_root() -> Path:
    """The cache's directory, absolute; it need not exist. NULLMODEM_CACHE names it outright."""
    if named := os.environ.get("NULLMODEM_CACHE"):
        return Path(named).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "nullmodem"


def directory(kind: str) -> Path:
    """``sources`` or ``kernels`` or ``locks`` of the cache, made if need be. BuildError when that is impossible."""
    path = cache_root() / kind
    with explained(f"cannot make {path}"):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def lock(name: str, on_wait: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock of ``name``; its file descriptor, for the processes that must share it.

    ``on_wait`` is called once, with the process id of the holder as text, before blocking on somebody else's lock.
    """
    path = directory("locks") / f"{name}.lock"
    with explained(f"cannot lock {path}"):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with explained(f"cannot lock {path}"):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait(os.pread(fd, 20, 0).decode("ascii", errors="replace").strip())
                fcntl.flock(fd, fcntl.LOCK_EX)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield fd
    finally:
        os.close(fd)


def remove(path: Path) -> None:
    """Remove a tree that is no longer wanted. Renamed away first, so that what is half removed has no known name."""
    doomed = path.with_name(f".{path.name}.doomed")
    shutil.rmtree(doomed, ignore_errors=True)
    try:
        path.rename(doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed, ignore_errors=True)


def write_atomically(path: Path, record: Mapping[str, object]) -> None:
    """Write ``record`` as JSON so that a reader sees the old file or the new one, also after a power failure."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with explained(f"cannot write {path}"):
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(record, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def read_record(path: Path) -> dict[str, object] | None:
    """A JSON object written by :func:`write_atomically`; None when there is none or it is not one."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def require_space(path: Path, needed: int) -> None:
    """BuildError unless ``path``'s file system has ``needed`` bytes left: better now than five minutes into a build."""
    free = shutil.disk_usage(path).free
    if free < needed:
        raise BuildError(
            f"not enough space in {path}: {free // _MEBIBYTE} MiB are free, {needed // _MEBIBYTE} MiB are needed",
            hint=WHEN_FULL,
        )


@contextmanager
def explained(attempt: str) -> Iterator[None]:
    """Turn an OSError into a BuildError that says what was tried."""
    try:
        yield
    except OSError as error:
        raise os_error(attempt, error) from error


def os_error(attempt: str, error: OSError) -> BuildError:
    """The BuildError for an OSError, with what can be done about the common ones."""
    hints = {
        errno.ENOSPC: WHEN_FULL,
        errno.EDQUOT: WHEN_FULL,
        errno.EACCES: "set NULLMODEM_CACHE to a directory you may write",
        errno.EPERM: "set NULLMODEM_CACHE to a directory you may write",
        errno.EROFS: "set NULLMODEM_CACHE to a directory that can be written",
    }
    return BuildError(f"{attempt}: {error.strerror or error}", hint=hints.get(error.errno or 0, ""))
