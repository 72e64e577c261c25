# SPDX-License-Identifier: Apache-2.0
"""Waiting for a machine to come up: whatever is known first decides, and nobody looks at a clock in between."""

from __future__ import annotations

import queue
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from nullmodem.errors import BootTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# What ends a boot, as the console prints it: kernel/panic.c, and our own guest/rc.
_FATAL = re.compile(rb"Kernel panic - not syncing: [^\r\n]*|nullmodem: boot failed: ([^\r\n]*)")

# No line that means anything is longer; a kernel may print megabytes without a line end.
_LINE_LIMIT = 4096

BOOT_TIMEOUT = 60.0


def boot_timeout(cpus: int, host: int) -> float:
    """Seconds that a machine of ``cpus`` emulated processors is given on a host with ``host``, which take turns."""
    return BOOT_TIMEOUT * max(1.0, cpus / host)


def boot_again(boot: Callable[[float], T], timeout: float, tell: Callable[[str], None]) -> T:
    """Call ``boot`` with half of ``timeout``, in seconds, and once more with all of it if the machine stood still.

    An emulated machine with several processors does so in the midst of a boot, once in some hundred of them.
    Raises what ``boot`` does; it is not called again for what is known to have failed.
    """
    try:
        return boot(timeout / 2)
    except BootTimeout as error:
        tell(f"{error.message.splitlines()[0]}; booting once more")
    return boot(timeout)


@dataclass(frozen=True, slots=True)
class Up:
    """The target is ready for commands."""


@dataclass(frozen=True, slots=True)
class Down:
    """It will not come up, for this reason; ``late``: as far as is known it only has not."""

    reason: str
    late: bool = False


class BootWatch:
    """Collects the signs of one boot, from any thread. Feed ``console`` with all that the console prints."""

    def __init__(self) -> None:
        self._spoken = threading.Event()
        self._signs: queue.SimpleQueue[Up | Down] = queue.SimpleQueue()
        self._line = b""

    def up(self) -> None:
        self._spoken.set()
        self._signs.put(Up())

    def down(self, reason: str) -> None:
        self._spoken.set()
        self._signs.put(Down(reason))

    def console(self, data: bytes) -> None:
        self._spoken.set()
        *lines, rest = (self._line + data).split(b"\n")
        self._line = rest[-_LINE_LIMIT:]
        for line in lines:
            if fatal := _FATAL.search(line):
                self.down((fatal[1] or fatal[0]).decode(errors="replace"))

    def wait(self, timeout: float, silence: float | None = None) -> Up | Down:
        """The first sign; Down when there was none for ``timeout`` seconds, or not a word for the first ``silence``."""
        deadline = time.monotonic() + timeout
        if silence is not None and not self._spoken.wait(min(silence, timeout)):
            return Down(f"its console printed nothing for {min(silence, timeout):g} s")
        try:
            return self._signs.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return Down(f"it did not answer within {timeout:g} s", late=True)
