# SPDX-License-Identifier: Apache-2.0
"""Where running sessions are found: one small directory each, locked by its process for as long as that lives.

::

    $XDG_RUNTIME_DIR/nullmodem  or  /tmp/nullmodem-UID      mode 0700, ours
    ├── .lock               held (flock) while a directory is made or a dead one removed
    └── NAME/               locked (flock) by the session's process: the kernel lets go of it however that ends
        ├── session.json    who it is; written before the lock on it can be seen
        ├── journal          what is armed in a target that outlives its session: kept when it could not be freed
        ├── gdb.sock        for `target remote`
        ├── console.sock    the target's console
        ├── python.sock     for `nullmodem shell` and `script`
        └── control.sock    the last to appear: from then on the session takes commands
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.api.records import from_json, parse_object, to_json
from nullmodem.errors import NoSessionError, RemoteProtocolError, SessionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,39}", re.ASCII)
RECORD: Final = "session.json"
JOURNAL: Final = "journal"
_LOCK: Final = ".lock"
_SOCKET_PATH_LIMIT: Final = 107  # sun_path is 108 with its terminating NUL (unix(7))
_LONGEST_SOCKET: Final = "control.sock"
_RECORD_LIMIT: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What ``session.json`` says. ``started`` in seconds since 1970; ``module`` is empty for a session without one;
    ``protocol`` is the version of the control protocol it speaks.
    """

    pid: int
    started: float
    version: str
    protocol: int
    kernel: str
    release: str
    vmlinux: str
    module: str
    workdir: str


@dataclass(frozen=True, slots=True)
class RunningSession:
    """A session that was alive when it was looked at."""

    name: str
    directory: Path
    record: SessionRecord

    @property
    def gdb_socket(self) -> Path:
        return self.directory / "gdb.sock"

    @property
    def console_socket(self) -> Path:
        return self.directory / "console.sock"

    @property
    def python_socket(self) -> Path:
        return self.directory / "python.sock"

    @property
    def control_socket(self) -> Path:
        return self.directory / _LONGEST_SOCKET

    @property
    def journal(self) -> Path:
        return self.directory / JOURNAL


class SessionEntry:
    """This process's own session in the directory of sessions, until closed."""

    def __init__(self, session: RunningSession, lock: int) -> None:
        self.session = session
        self._lock = lock

    def close(self) -> bool:
        """Remove it, but for the journal of a target that could not be freed: see `claim_killed`. Safe to call twice.

        Returns whether there is such a journal.
        """
        left = self.session.journal.exists()
        if self._lock >= 0:
            if not left:
                shutil.rmtree(self.session.directory, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1
        return left


def sessions_directory() -> Path:
    """The directory of all sessions of this user, made if need be.

    Raises UsageError when it is somebody else's or open to others: whoever can write there would be talked to as if
    he were a session.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and Path(runtime).is_dir():
        base = Path(runtime) / "nullmodem"
    else:
        # Not tempfile's choice: TMPDIR may differ between the terminals that must find each other here.
        base = Path(f"/tmp/nullmodem-{os.getuid()}")  # noqa: S108  # checked below
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        status = base.lstat()
    except OSError as error:
        msg = f"cannot use {base} for running sessions: {error.strerror}"
        raise UsageError(msg, hint="Set XDG_RUNTIME_DIR to a directory of yours.") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        mode = stat.filemode(status.st_mode)
        msg = f"{base} is not a directory that only you can use: it is {mode}, owned by uid {status.st_uid}"
        raise UsageError(msg, hint="Remove it, or set XDG_RUNTIME_DIR to a directory of yours.")
    return base


def check_name(name: str) -> None:
    """Raise UsageError for what cannot be a session's name."""
    if not NAME.fullmatch(name):
        msg = f"{name!r} cannot be a session's name"
        raise UsageError(msg, hint="Use up to 40 letters, digits, '_', '-' and '.'.")


def check_free(name: str) -> None:
    """Raise UsageError for a name that `claim` would refuse, as long as nobody else takes it meanwhile."""
    check_name(name)
    if any(session.name == name for session in running_sessions()):
        raise _taken(name)


def claim(wanted: str, record: SessionRecord, *, exact: bool) -> SessionEntry:
    """Enter a new session. Unless ``exact``, a name that is taken gets a number: simple, simple-2, simple-3.

    What sessions that died left behind is removed. Raises UsageError for a name that is taken or cannot be one.
    """
    check_name(wanted)
    base = sessions_directory()
    if len(os.fsencode(base / wanted / _LONGEST_SOCKET)) > _SOCKET_PATH_LIMIT - len("-999"):
        msg = f"{base / wanted} is too long for the sockets in it"
        raise UsageError(msg, hint="Set XDG_RUNTIME_DIR to a shorter directory, or choose a shorter name.")
    try:
        with _locked(base / _LOCK):
            _remove_dead(base)
            name = _free_name(base, wanted, exact=exact)
            return _enter(base / name, record)
    except OSError as error:
        msg = f"cannot make a session in {base}: {error.strerror}"
        raise SessionError(msg) from error


def running_sessions() -> tuple[RunningSession, ...]:
    """Those whose process lives, by name."""
    base = sessions_directory()
    entries = sorted(path for path in base.iterdir() if NAME.fullmatch(path.name) and path.is_dir())
    return tuple(session for path in entries if (session := _read(path)) is not None)


def find_session(name: str | None = None) -> RunningSession:
    """The session of that name, or the only one there is.

    Raises NoSessionError when there is none, or several and none was named; the message has their names.
    """
    running = running_sessions()
    names = ", ".join(session.name for session in running)
    if name is not None:
        for session in running:
            if session.name == name:
                return session
        msg = f"no session {name!r} is running"
        raise NoSessionError(msg, hint=f"Running: {names}." if names else "No session is running at all.")
    if not running:
        msg = "no session is running"
        raise NoSessionError(msg, hint="Start one with `nullmodem run PATH`.")
    if len(running) > 1:
        msg = f"{len(running)} sessions are running: {names}"
        raise NoSessionError(msg, hint="Choose one with --session NAME.")
    return running[0]


def killed_sessions() -> tuple[str, ...]:
    """Names of those that have ended, killed or not, and left a target armed, perhaps stopped: see `claim_killed`."""
    base = sessions_directory()
    return tuple(path.name for path in sorted(base.iterdir()) if NAME.fullmatch(path.name) and _is_killed(path))


@contextlib.contextmanager
def claim_killed(name: str | None = None) -> Iterator[Path]:
    """The directory of the killed session of that name, or of the only one, which is this process's meanwhile.

    Raises SessionError when there is none, or another process is at it; NoSessionError when none has that name, or
    there are several and none was named.
    """
    killed = killed_sessions()
    if not killed and name is None:
        raise SessionError("there is nothing to recover: no killed session has left a target")
    if name is None and len(killed) > 1:
        msg = f"{len(killed)} sessions were killed: {', '.join(killed)}"
        raise NoSessionError(msg, hint="Choose one with --session NAME.")
    if name is not None and name not in killed:
        msg = f"no killed session {name!r} has left a target"
        raise NoSessionError(msg, hint=f"Killed: {', '.join(killed)}." if killed else "There is nothing to recover.")
    directory = sessions_directory() / (name or killed[0])
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield directory
    except BlockingIOError:
        msg = f"another process recovers {directory.name} already"
        raise SessionError(msg) from None
    finally:
        os.close(lock)


def bury(directory: Path) -> None:
    """Remove what a killed session left, once its target is nobody's care any more."""
    shutil.rmtree(directory, ignore_errors=True)


def _is_killed(directory: Path) -> bool:
    return (directory / JOURNAL).exists() and not is_locked(directory)


# -- the directory's files -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _free_name(base: Path, wanted: str, *, exact: bool) -> str:
    if not (base / wanted).exists():
        return wanted
    if exact:
        raise _taken(wanted)
    return next(name for n in itertools.count(2) if not (base / (name := f"{wanted}-{n}")).exists())


def _taken(name: str) -> UsageError:
    if name in killed_sessions():
        hint = f"`nullmodem recover --session {name}` deals with its target; or choose another name."
        return UsageError(f"a session {name!r} has ended and left a target", hint=hint)
    hint = f"Choose another name, or end that one with `nullmodem stop --session {name}`."
    return UsageError(f"a session {name!r} is running already", hint=hint)


def _enter(directory: Path, record: SessionRecord) -> SessionEntry:
    directory.mkdir(mode=0o700)
    try:
        (directory / RECORD).write_text(json.dumps(to_json(record), indent=2) + "\n", encoding="utf-8")
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    # Blocking: somebody who looks whether the session lives holds the lock for an instant.
    fcntl.flock(lock, fcntl.LOCK_EX)
    return SessionEntry(RunningSession(directory.name, directory, record), lock)


def _remove_dead(base: Path) -> None:
    for path in base.iterdir():
        if path.name != _LOCK and path.is_dir() and not is_locked(path) and not (path / JOURNAL).exists():
            shutil.rmtree(path, ignore_errors=True)


def is_locked(directory: Path) -> bool:
    """Whether a living process holds the lock of a directory; False when it is gone."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def _read(directory: Path) -> RunningSession | None:
    """The session in a directory; None when it is dead, or going just now."""
    if not is_locked(directory):
        return None
    try:
        with (directory / RECORD).open("rb") as file:
            text = file.read(_RECORD_LIMIT)
    except OSError:
        return None
    try:
        record = from_json(SessionRecord, parse_object(text))
    except RemoteProtocolError as error:
        msg = f"{directory / RECORD} is not a session's record: {error.message}"
        raise SessionError(msg, hint="Was the session started by another version of nullmodem?") from None
    return RunningSession(directory.name, directory, record)
