# SPDX-License-Identifier: Apache-2.0
"""Whether gdb waits for the target, and stopping it for a moment without the editor's knowing.

gdb talks to its stub only while the target stands (remote.c putpkt_binary, "Cannot execute this command while the
target is running"), and editors set breakpoints at any time. So the target is stopped, gdb does what was asked, and
the target goes on; a stop that comes meanwhile and is not ours is shown and stays.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from nullmodem.errors import SessionError, WireTimeout

if TYPE_CHECKING:
    from nullmodem.frontends.dap.gdb_adapter import GdbAdapter

ATTEMPTS: Final = 8
AGAIN_SECONDS: Final = 4.0


def _ignore(_answer: dict[str, Any]) -> None:
    """Of `pause` and `continue` what happens then says more."""


class RunState:
    """Thread-safe. ``running`` is what gdb believes, and so the editor, but for a quiet stop."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._running = True  # until gdb has connected, and says that it stands
        self._quiet = False
        self._resumes = 0
        self._asked = False
        self._ended = False
        self._last: dict[str, Any] = {}
        self._kept: dict[str, Any] | None = None

    @property
    def running(self) -> bool:
        """Whether the target runs as far as the editor knows."""
        with self._lock:
            return self._running or self._quiet

    @property
    def quiet(self) -> bool:
        """Whether it stands, and the editor does not know."""
        with self._lock:
            return self._quiet

    @property
    def thread(self) -> int:
        """The thread of the last stop, as gdb numbers them."""
        with self._lock:
            return int(self._last.get("threadId", 1))

    @property
    def last(self) -> dict[str, Any]:
        """The last stop that gdb has reported, for `set_out`."""
        with self._lock:
            return self._last

    def set_out(self, *, only_if_quiet: bool = False, only_from: dict[str, Any] | None = None) -> bool:
        """gdb is about to be told to go on; False when it was already, when the editor knows that the target stands
        and it was to go on ``only_if_quiet``, or when it stands elsewhere than ``only_from``. Whoever gets True tells
        it.
        """
        with self._lock:
            if self._running or (only_if_quiet and not self._quiet):
                return False
            if only_from is not None and only_from is not self._last:
                return False
            self._running, self._quiet = True, False
            return True

    def resumed(self) -> None:
        """gdb has gone on."""
        with self._lock:
            self._running, self._quiet = True, False

    def gone(self, resumes: int) -> None:
        """The session has let the target go on, for the ``resumes``-th time."""
        with self._lock:
            self._resumes = resumes
            self._lock.notify_all()

    def wait_until_gone(self, resumes: int, seconds: float) -> bool:
        """Whether the target, which had gone on ``resumes`` times, does so once more, or gdb reports a stop instead."""
        with self._lock:
            self._lock.wait_for(lambda: self._resumes > resumes or not self._running or self._ended, seconds)
            return self._resumes > resumes or not self._running

    def end(self) -> None:
        """gdb has ended: nothing will be reported any more."""
        with self._lock:
            self._ended = True
            self._lock.notify_all()

    def not_resumed(self) -> None:
        """gdb was, and did not."""
        with self._lock:
            self._running = False

    def stopped(self, body: dict[str, Any]) -> bool:
        """gdb has reported a stop; whether the editor is to be told."""
        with self._lock:
            self._running = False
            self._last = body
            mine = self._asked and body.get("reason") == "pause"
            self._asked = False
            self._quiet = mine
            self._kept = body if mine else None
            self._lock.notify_all()
            return not mine

    def wait_until_stopped(self, seconds: float) -> bool:
        with self._lock:
            self._lock.wait_for(lambda: not self._running or self._ended, seconds)
            return not self._running

    def stop_quietly(self, gdb: GdbAdapter) -> None:
        """Have the target stand, if it runs. Raises WireTimeout when it does not."""
        with self._lock:
            if not self._running:
                return
            self._asked = True
        self.interrupt(gdb)

    def interrupt(self, gdb: GdbAdapter) -> None:
        """Have a target that runs stop. Raises WireTimeout when it does not, SessionError when gdb has ended.

        It is asked again after a while: when gdb has just been told of a stop that it does not show, as of a log
        point's, its interrupt reaches a target that stands, and is lost when gdb lets that go on.
        """
        for _attempt in range(ATTEMPTS):
            gdb.send("pause", {"threadId": 0}, _ignore)
            if self.wait_until_stopped(AGAIN_SECONDS):
                return
            if self._ended:
                raise SessionError("gdb has ended")
        with self._lock:
            self._asked = False
        raise WireTimeout(f"the target did not stop within {ATTEMPTS * AGAIN_SECONDS:.0f} s")

    def hide(self) -> bool:
        """The editor is to believe that it runs, and it will. False when the editor did not know that it stands."""
        with self._lock:
            if self._running or self._quiet:
                return False
            self._quiet, self._kept = True, self._last
            return True

    def show(self) -> dict[str, Any] | None:
        """The user wants it to stand: the stop that was kept from him, if there is one. It stays then."""
        with self._lock:
            if not self._quiet:
                self._asked = False  # a stop that is on its way is the user's
                return None
            self._quiet = False
            return self._kept
