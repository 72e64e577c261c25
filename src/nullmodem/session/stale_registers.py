# SPDX-License-Identifier: Apache-2.0
"""Debug registers that a processor goes on with although the stub has set others.

A processor that enters the debugger by a debug exception or an NMI gets back, when it leaves, what it came with: a
register that was taken out is still on, one that was put in is not (`nullmodem.kernel.debug_leftovers`). What is put
back after an NMI can be cleared. After a debug exception it is a variable of the function that handles it
(exc_debug_kernel in arch/x86/kernel/traps.c) and stays; but int3 puts nothing back. So where a processor would lack a
register it is run onto a trap where it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.session.slots import Layout, Slots


class StaleRegisters:
    """Keeps account of them. ``settle`` clears what can be cleared; ``alone``: there is one processor only."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._last: Layout = ()
        self._stale = self._unsettled = self._lacking = False
        self.settle: Callable[[], None] = lambda: None
        self.alone: Callable[[], bool] = lambda: False

    def met(self, *, used: bool) -> None:
        """Another boot, or another session's target; ``used``: registers may be on that nobody knows of."""
        self._last = ()
        self._lacking = False
        self._stale = self._unsettled = used

    @property
    def were_used(self) -> bool:
        """Whether there may be any at all."""
        return bool(self._last or self._slots.layout) or self._stale or self._unsettled

    def before_leaving(self, *, trapped: bool) -> bool:
        """The target is about to run, as the stub has been told; ``trapped``: the processor that stopped is in a debug
        exception. Whether that one would lack a register."""
        layout, before = self._slots.layout, self._last
        self._last = layout
        cured = self._lacking and not trapped
        if layout == before and not (cured or self._unsettled):
            return self._lacking
        if before or self._stale or cured:
            self._settle(before, layout, trapped=trapped)
        return self._lacking

    def _settle(self, before: Layout, layout: Layout, *, trapped: bool) -> None:
        if trapped or not self.alone() or self._unsettled:
            self.settle()
        covered = before[: len(layout)] == layout and not self._stale
        self._lacking = trapped and bool(layout) and (self._lacking or not covered)
        self._stale = trapped
        self._unsettled = False
