# SPDX-License-Identifier: Apache-2.0
"""Finding a gdb, and running it on the terminal we were started from."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError
from nullmodem.kbuild import cache_root
from nullmodem.targets.process import bound_to_us
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nullmodem.waiting import HasFileno

OLDEST: Final = (10, 1)
"""The first with `with`, which sets something for one command only. Tested are 13.1 and 18.1."""
_DEBUGINFOD: Final = (12, 1)
_INDEX_CACHE: Final = (13, 1)
_VERSION: Final = re.compile(r"^GNU gdb .*?(\d+)\.(\d+)\S*$", re.MULTILINE)
_VERSION_SECONDS: Final = 30.0  # the first start of a gdb with Python in it can take seconds on a loaded machine
AGAIN: Final = Path(__file__).with_name("again.gdb")
_END_SECONDS: Final = 5.0
_ENDS: Final = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Gdb:
    """A gdb that runs: the ``path`` to start it by, and its version as (major, minor)."""

    path: str
    version: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a gdb has to do when it starts.

    ``remote`` is what follows `target remote`. ``init_function``, in ``init_file`` unless that is empty, is where to go
    on to; empty: stay where the target stands. ``breakpoints`` are locations for `break`; ``arguments`` the user's own
    for gdb, which come last, so that their commands find everything done.
    """

    vmlinux: str
    remote: str
    init_function: str = ""
    init_file: str = ""
    breakpoints: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


def find_gdb(wanted: str | None = None, oldest: tuple[int, int] = OLDEST) -> Gdb:
    """The gdb the user has named, or the first that will do: gdb, gdb-multiarch, the one beside this Python.

    Raises UsageError when there is none, it does not run, or is older than ``oldest``.
    """
    if wanted is not None:
        path = shutil.which(str(Path(wanted).expanduser()) if os.sep in wanted else wanted)
        if path is None:
            msg = f"there is no gdb at {wanted}" if os.sep in wanted else f"there is no program {wanted} in PATH"
            raise UsageError(msg, hint="Leave out --gdb to use the one that is found.")
        return _examine(path, oldest)
    beside = Path(sys.executable).parent / "gdb"
    refusals = []
    for name in ("gdb", "gdb-multiarch", str(beside)):
        path = shutil.which(name)
        if path is None:
            continue
        try:
            return _examine(path, oldest)
        except UsageError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]
    raise UsageError(
        "there is no gdb on this machine",
        hint="apt-get install gdb, or pip install 'nullmodem[gdb]', or name one with --gdb PATH. "
        "With --no-gdb the target is served to a gdb that runs elsewhere.",
    )


def _examine(path: str, oldest: tuple[int, int]) -> Gdb:
    try:
        result = subprocess.run(
            [path, "--version"],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_VERSION_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"{path} does not run: {error}"
        raise UsageError(msg) from error
    found = _VERSION.search(result.stdout)
    if found is None:
        said = (result.stdout + result.stderr).strip() or "nothing"
        msg = f"{path} is no gdb: asked for its version it said {said.splitlines()[0][:200]!r}"
        raise UsageError(msg)
    version = (int(found[1]), int(found[2]))
    if version < oldest:
        msg = f"{path} is gdb {version[0]}.{version[1]}; {oldest[0]}.{oldest[1]} is the oldest that will do"
        raise UsageError(msg, hint="pip install 'nullmodem[gdb]' brings a current one.")
    return Gdb(path, version)


def index_cache(gdb: Gdb) -> list[str]:
    """Options that have gdb keep its index of a kernel's debug info: 4 s of reading at the first start, 0.2 s after.

    They hold for the files named on the command line. A module's file must not come from the cache: its index has
    addresses as they are before the file is relocated, and gdb would find no line for any code of the module.
    Each version has a directory of its own: the files are named by build-id alone, and one's are not another's.
    """
    if gdb.version < _INDEX_CACHE:
        return []
    directory = cache_root() / "gdb-index" / ".".join(map(str, gdb.version))
    on = ["-iex", f"set index-cache directory {directory}", "-iex", "set index-cache enabled on"]
    return [*on, "-ex", "set index-cache enabled off"]


SETTINGS = ("-iex", "set stack-cache off", "-iex", "set may-call-functions off")
"""The session keeps what it reads itself. gdb's own cache asks for 64 bytes of stack where it wants an address.

Nobody can call a function through kgdb, which ignores a new stack pointer (gdbstub.c gdb_cmd_setregs). gdb would find
out half-way, and an editor has been told by then that the target runs (infcall.c)."""


def command_line(gdb: Gdb, invitation: Invitation) -> list[str]:
    """The whole command. The user's own settings and init files are left as they are."""
    command = [gdb.path, "-q"]
    if gdb.version >= _DEBUGINFOD:
        # Or gdb asks its user, at the first start, whether to ask servers on the Internet about a kernel built here.
        command += ["-iex", "set debuginfod enabled off"]
    command += index_cache(gdb)
    command += SETTINGS
    # The files the target names are on this machine. Left to find that out, gdb warns of it at every start.
    command += ["-iex", "set sysroot"]
    command += [invitation.vmlinux, *_connecting(invitation.remote)]
    # A location in a module that comes later is not worth a question.
    for location in invitation.breakpoints:
        command += ["-ex", f"with breakpoint pending on -- break {location}"]
    if invitation.init_function:
        source = f"-source {invitation.init_file} -function " if invitation.init_file else ""
        command += ["-ex", f"tbreak {source}{invitation.init_function}", "-ex", "continue"]
    return [*command, *invitation.arguments]


def _connecting(remote: str) -> list[str]:
    """Connect, and once more where that was interrupted."""
    quoted = remote.replace("\\", "\\\\").replace('"', '\\"')
    return ["-ex", f"target remote {remote}", "-ex", f'set $nullmodem_remote = "{quoted}"', "-x", str(AGAIN)]


def run_in_foreground(
    command: Sequence[str], until: HasFileno | None = None, *, on_killed: Callable[[int], None] = lambda _signal: None
) -> int:
    """Run a gdb on our terminal and wait for its end, or until ``until`` is readable, which ends it.

    Returns its exit status, 128 + n when signal n ended it; ``on_killed`` is told n when nobody here had asked for
    that. Call from the main thread: Ctrl-C is gdb's alone meanwhile. An exception raised by a signal's handler ends
    gdb, too, and so does our own end, even by SIGKILL. Raises UsageError when it cannot be started.
    """
    if shutil.which(command[0]) is None:
        raise UsageError(f"cannot start {command[0]}: there is no such program")
    bound = bound_to_us(command, "TERM")  # which leaves it time to put the terminal right
    with _terminal_restored(), _keys_left_to_child():
        deliver = _ends_held()  # one that came before the child's number is known would leave it behind
        try:
            child = subprocess.Popen(bound)
        except OSError as error:
            deliver()
            msg = f"cannot start {command[0]}: {error.strerror}"
            raise UsageError(msg) from error
        try:
            deliver()
            ended = os.pidfd_open(child.pid)
            sources: list[int | HasFileno] = [ended] if until is None else [ended, until]
            try:
                wait_readable(sources)
            finally:
                os.close(ended)
            by_itself = child.poll()
        finally:
            code = _end(child)
    if by_itself is not None and by_itself < 0:
        on_killed(-by_itself)
    return code if code >= 0 else 128 - code


def _end(child: subprocess.Popen[bytes]) -> int:
    """Wait for a process that has ended; one that has not is asked to, so that it leaves the terminal in order."""
    code = child.poll()
    if code is not None:
        return code
    child.terminate()
    try:
        return child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


@contextlib.contextmanager
def _terminal_restored() -> Iterator[None]:
    """A gdb that crashes leaves the terminal without echo."""
    try:
        before = termios.tcgetattr(sys.stdin.fileno())
    except (termios.error, OSError, ValueError):  # not a terminal, or closed
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)


def _ends_held() -> Callable[[], None]:
    """Hold back the signals that ask us to end; returns what lets them in, and delivers those that have come."""
    come: list[int] = []
    before = {each: signal.signal(each, lambda number, _frame: come.append(number)) for each in _ENDS}

    def deliver() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in come:
            signal.raise_signal(number)

    return deliver


@contextlib.contextmanager
def _keys_left_to_child() -> Iterator[None]:
    """Ctrl-C and Ctrl-\\ go to every process on the terminal; here they mean the child.

    A handler and not SIG_IGN, because an ignored signal stays ignored in the program that is started.
    """
    keys = (signal.SIGINT, signal.SIGQUIT)
    before = {key: signal.signal(key, lambda _number, _frame: None) for key in keys}
    try:
        yield
    finally:
        for key, handler in before.items():
            signal.signal(key, handler)
