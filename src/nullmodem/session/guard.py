# SPDX-License-Identifier: Apache-2.0
"""A breakpoint that one thread steps off stays set for the others.

To execute the instruction under a breakpoint its trap has to leave memory, and with that it is gone for every
processor: who comes by in that moment passes unseen. Where there are several processors a debug register holds the
place meanwhile. It does not stop the thread that steps, whose resume flag is set (Intel SDM volume 3, 19.3.1.1); the
kernel sets that for whoever is stopped (hw_breakpoint_handler in arch/x86/kernel/hw_breakpoint.c).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Set

    from nullmodem.session.breakpoints import BreakpointTable
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.stub.arch import Arch

REMEMBERED: Final = 16
"""Places that were held: a processor that has been stopped there may report it when the place is held no longer."""


class Guard:
    """Holds places. ``ready`` makes the processors' debug registers fit for it, and tells whether they are needed."""

    def __init__(self, arch: Arch, target: StoppedTarget, table: BreakpointTable) -> None:
        self._arch = arch
        self._target = target
        self._table = table
        self._held: deque[int] = deque(maxlen=REMEMBERED)
        self.ready: Callable[[], bool] = lambda: False

    def begin(self, *, wanted: bool, held: Set[int]) -> bool:
        """The target's thread is about to step off where it stands, which somebody else wants to be stopped at if it is
        ``wanted``. Whether a debug register is to hold the place, or goes on doing so where it is ``held``: until every
        thread that steps off it has reported."""
        pc = self._target.own_pc
        if self._arch.resume_flag is None or not wanted:
            return False
        if pc not in held and not (self._table.software_at(pc) and self.ready()):
            return False
        if pc not in self._held:
            self._held.append(pc)
        self._flag(on=True)
        return True

    def stop_again(self) -> None:
        """The target's thread, which was stopped by a debug register, is to be stopped by it once more."""
        self._flag(on=False)

    def has_held(self, address: int) -> bool:
        """Whether a processor that stops there may have been stopped by a debug register that is clear by now."""
        return address in self._held

    def _flag(self, *, on: bool) -> None:
        assert self._arch.resume_flag is not None
        name, bit = self._arch.resume_flag
        value = self._target.value(name)
        self._target.set_registers({name: value | bit if on else value & ~bit})
