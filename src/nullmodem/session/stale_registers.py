# SPDX-License-Identifier: Apache-2.0
"""Debug registers that a processor goes on with although the stub has set others.

A processor that enters the debugger by a debug exception or an NMI gets back, when it leaves, what it came with: a
register that was taken out is still on, one that was put in is not (`nullmodem.kernel.debug_leftovers`). What is put
back after an NMI can be cleared. After a debug exception it is a variable of the function that handles it
(exc_debug_kernel in arch/x86/kernel/traps.c) and stays; but int3 puts nothing back. So where a processor would lack a
register it is run onto a trap where it stands. It may take more than one stop of others until it gets there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.rsp.requests import BreakpointKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nullmodem.session.slots import Layout, Slots

_UNKNOWN: Final[Layout] = ((BreakpointKind.SOFTWARE, 0),)
"""What another session's processors have on. No debug register is of that kind."""


@dataclass(frozen=True, slots=True)
class _Caught:
    """A processor in a debug exception: where it goes on, and with which registers on."""

    pc: int
    layout: Layout

    def lacks(self, layout: Layout) -> bool:
        """Whether one of these will not be on."""
        return self.layout[: len(layout)] != layout


class StaleRegisters:
    """Keeps account of them.

    ``settle`` clears what can be cleared, and tells which processors are in a debug exception, and where each goes on;
    ``alone``: there is one processor only.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._last: Layout = ()
        self._caught: dict[int, _Caught] = {}
        self.settle: Callable[[], Mapping[int, int]] = dict
        self.alone: Callable[[], bool] = lambda: False

    def met(self, *, used: bool) -> None:
        """Another boot, or another session's target; ``used``: registers may be on that nobody knows of."""
        self._last = _UNKNOWN if used else ()
        self._caught = {}

    @property
    def were_used(self) -> bool:
        """Whether there may be any at all."""
        return bool(self._last or self._slots.layout or self._caught)

    def reports_late(self, pc: int) -> bool:
        """Whether a processor that stops there may have been stopped by a register that was taken out since."""
        return any(caught.pc == pc for caught in self._caught.values())

    def before_leaving(self, *, trapped: bool) -> frozenset[int]:
        """The target is about to run, as the stub has been told; ``trapped``: the processor that stopped is in a debug
        exception. Where processors are to run onto a trap."""
        layout, before = self._slots.layout, self._last
        self._last = layout
        if trapped or not self.alone() or before == _UNKNOWN:
            self._account(before, layout)
        else:
            self._caught = {}
        return frozenset(caught.pc for caught in self._caught.values() if caught.lacks(layout))

    def _account(self, before: Layout, layout: Layout) -> None:
        # With nothing on nothing is put back (local_db_restore in arch/x86/include/asm/debugreg.h).
        changed = bool(before) and before != layout
        if changed or self._caught:
            known = self._caught
            self._caught = {
                cpu: _Caught(pc, known[cpu].layout if cpu in known else before)
                for cpu, pc in self.settle().items()
                if changed or cpu in known
            }
