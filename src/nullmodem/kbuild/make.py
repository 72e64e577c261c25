# SPDX-License-Identifier: Apache-2.0
"""Running the kernel's `make`: its own process group, its steps counted, its messages kept, and nothing left of it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import BuildError
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_STEP: Final = re.compile(r"  [A-Z][A-Z0-9_]*(?: \[[A-Z+]+\])? +(\S.*)")  # kbuild's "  CC [M]  drivers/net/dummy.o"
_MAKE_TALK: Final = re.compile(r"make(?:\[\d+\])?: ")
_FAILURE: Final = re.compile(
    r"\berror\b|\bERROR\b|\*\*\*|undefined|not found|No such file|No space left|Permission denied", re.IGNORECASE
)
_CONTEXT: Final = re.compile(r"In file included from|\s+from |.*: In function |.*: At top level")
# dash says of a full disk only that its echo failed.
_DISK_FULL: Final = re.compile(r"No space left on device|Disk quota exceeded|echo: I/O error")
_KEPT_LINES: Final = 2000
_SHOWN_LINES: Final = 60
_GRACE_SECONDS: Final = 5.0

# What the environment may hold of another make (`make demo` runs this program) or of the user's own kernel builds.
_FOREIGN: Final = re.compile(
    r"MAKE.*|MFLAGS|GNUMAKEFLAGS|KBUILD_(?!EXTRA_SYMBOLS).*|KCONFIG_.*|KCFLAGS|KCPPFLAGS|O|M|V|W|C|ARCH|LLVM.*|LOCALVERSION"
)


def run_make(
    arguments: Sequence[str],
    *,
    directory: Path,
    variables: Mapping[str, str] | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    log: Path | None = None,
    inherit: Iterable[int] = (),
    when_full: str = "make room on the disk",
) -> str:
    """Run ``make ARGUMENTS`` in ``directory`` and return what it printed, except its step lines (bounded).

    ``variables`` are added to the environment; ``on_step`` gets the object of each step; everything printed goes to the
    file ``log`` too; ``inherit`` are file descriptors make shall hold; ``when_full`` is what to do about a full disk.
    Raises BuildError when make fails (``output`` has the compiler's messages first) or cannot be run. On any exception,
    Ctrl-C included, make and all it started are gone when this returns.
    """
    environment = {name: value for name, value in os.environ.items() if not _FOREIGN.fullmatch(name)}
    environment |= {"LC_ALL": "C", **(variables or {})}
    command = ["make", *arguments]
    with contextlib.ExitStack() as starting:
        starting.enter_context(interrupts_held())
        try:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                pass_fds=tuple(inherit),
                process_group=0,  # a Ctrl-C at the terminal reaches us only; we end the group
            )
        except FileNotFoundError as error:
            missing = "make" if directory.is_dir() else str(directory)
            raise BuildError(f"cannot run make: {missing} does not exist", hint="sudo apt install make") from error
        try:
            starting.close()
            kept = _read_output(process, on_step, log)
            code = process.wait()
        except BaseException:
            _end_group(process)
            raise
        finally:
            assert process.stdout is not None
            process.stdout.close()
    if code != 0:
        raise _failure(command, code, kept, when_full)
    return "".join(kept)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """A Ctrl-C meanwhile takes effect at the end: in the middle of `subprocess.Popen` it would leave a process behind
    that nobody knows. Only the main thread is ever interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _read_output(process: subprocess.Popen[str], on_step: Callable[[str], None], log: Path | None) -> list[str]:
    assert process.stdout is not None
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    with (log or Path(os.devnull)).open("a", encoding="utf-8") as file:
        for line in process.stdout:
            file.write(line)
            if step := _STEP.match(line):
                on_step(step[1].rstrip())
            else:
                kept.append(line)
    return list(kept)


def _end_group(process: subprocess.Popen[str]) -> None:
    """SIGTERM lets make delete the file it was writing; who ignores it is killed. Ends when the last one is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            # Nearly all of the group hold the pipe: its end of file is the end of all of these, not of make alone.
            process.communicate(timeout=_GRACE_SECONDS if number == signal.SIGTERM else None)
        except subprocess.TimeoutExpired:
            continue
        break
    process.wait()
    _end_rest(process.pid)


def _end_rest(group: int) -> None:
    """Who prints into files alone does not hold the pipe, and may be about to write one. Ends when they are gone."""
    while rest := _members(group):
        for pid in rest:
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                try:
                    if os.getpgid(pid) == group:  # and not somebody else who has got its number meanwhile
                        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                        wait_readable([descriptor])
                finally:
                    os.close(descriptor)


def _members(group: int) -> list[int]:
    """Who of a process group has not ended: proc(5) has the state, the parent and the group behind the name."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, _parent, its_group = status.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(int(status.parent.name))
    return found


def _failure(command: Sequence[str], code: int, lines: Sequence[str], when_full: str) -> BuildError:
    output = "".join(failure_excerpt(lines))
    reason = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
    hint = ""
    if any(_DISK_FULL.search(line) for line in lines):
        reason = "failed because the disk is full"
        hint = when_full
    return BuildError(f"`{shlex.join(command)}` {reason}", output=output, hint=hint)


def failure_excerpt(lines: Sequence[str]) -> list[str]:
    """What a person needs of a failed build's messages: from the first error on, what make itself says of it last."""
    messages = [line for line in lines if not _MAKE_TALK.match(line)]
    talk = [line for line in lines if _MAKE_TALK.match(line) and "***" in line]
    first = next((index for index, line in enumerate(messages) if _FAILURE.search(line)), len(messages))
    while 0 < first < len(messages) and _CONTEXT.match(messages[first - 1]):
        first -= 1
    if first == len(messages):
        return [*messages[-_SHOWN_LINES:], *talk]
    return [*messages[first : first + _SHOWN_LINES], *talk[:3]]
