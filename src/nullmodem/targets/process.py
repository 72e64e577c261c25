# SPDX-License-Identifier: Apache-2.0
"""A child process that never outlives us, not even when we are killed with SIGKILL.

The kernel sends the child SIGKILL when its parent dies (PR_SET_PDEATHSIG). Two things make that hold:

- "Parent" is the *thread* that started the child (prctl(2)), so one thread starts it and then lives until the child
  has ended, waiting for that.
- The setting is made by the child, after it was started: setpriv(1) makes it, and a shell then checks that the parent
  is still the one expected before it becomes the program. subprocess's preexec_fn would do it in one step, but runs
  Python between fork and exec, which can deadlock in a program with threads.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from nullmodem.errors import TargetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def bound_to_us(argv: Sequence[str], number: str) -> tuple[str, ...]:
    """The command to start instead of ``argv``, so that the signal called ``number`` is sent to it when we die.

    Raises UsageError without setpriv.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise UsageError(
            f"setpriv is missing; without it {Path(argv[0]).name} could outlive its session",
            hint="apt-get install util-linux",
        )
    check = 'test "$PPID" = "$0" && exec "$@"'
    return (setpriv, "--pdeathsig", number, "/bin/sh", "-c", check, str(os.getpid()), *argv)


class Child:
    """A running process in its own session, so that Ctrl-C in our terminal is not for it.

    ``argv[0]`` must be a path. ``pass_fds`` stay open in it; standard input is empty; what it prints goes to the file
    ``log``. ``on_exit`` is called once with its exit code (negative: the signal that ended it), in a thread of ours.
    ``nice``: by how much it stands back behind us for the processor, 0 to 19.
    """

    def __init__(
        self, argv: Sequence[str], *, pass_fds: Sequence[int], log: Path, on_exit: Callable[[int], None], nice: int = 0
    ) -> None:
        self._argv = bound_to_us(argv, "KILL")
        self._pass_fds = tuple(pass_fds)
        self._log = log
        self._on_exit = on_exit
        self._nice = nice
        self._started = threading.Event()
        self._reaping = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="nullmodem-child", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            raise TargetError(f"cannot start {argv[0]}: {self._error}") from self._error

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode if self._process is not None else None

    def kill(self) -> None:
        """End it and wait until it has ended, ``on_exit`` included (unless called from there)."""
        assert self._process is not None
        with self._reaping:
            if self._process.returncode is None:
                # Its whole session: whatever it started goes with it.
                os.killpg(self._process.pid, signal.SIGKILL)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def join(self, timeout: float) -> bool:
        """Wait for its end, at most ``timeout`` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _stand_back(self, pid: int) -> None:
        """Without it everything works, only slower; so it is no error where it may not be done."""
        if not self._nice:
            return
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid) + self._nice)
        # Where the scheduler divides the processor among sessions first, what a process has counts in its own session
        # only, and this one is alone there (sched(7), "The autogroup feature").
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text(str(self._nice), encoding="ascii")

    def _run(self) -> None:
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    self._argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=self._pass_fds,
                    start_new_session=True,
                )
            self._stand_back(self._process.pid)
        except OSError as error:
            self._error = error
            return
        finally:
            self._started.set()
        # Not reaped by waiting: until `kill` can know of its end, its process id is nobody else's.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            code = self._process.wait()
        self._on_exit(code)
