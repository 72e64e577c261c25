# SPDX-License-Identifier: Apache-2.0
"""Debug registers that a processor goes on with although the stub has set others.

A processor that enters the debugger by a debug exception or an NMI gets back, when it leaves, what it came with: a
register that was taken out is still on, one that was put in is not (`nullmodem.kernel.debug_leftovers`). What is put
back after an NMI can be cleared. After a debug exception it is a variable of the function that handles it
(exc_debug_kernel in arch/x86/kernel/traps.c) and stays; but int3 puts nothing back. So where a processor would lack a
register it is run onto a trap where it stands. It may take more than one stop of others until it gets there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from nullmodem.rsp.requests import BreakpointKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nullmodem.kernel.debug_exceptions import Excepted
    from nullmodem.session.slots import Layout, Slots

_UNKNOWN: Final[Layout] = ((BreakpointKind.SOFTWARE, 0),)
"""What another session's processors have on. No debug register is of that kind."""


@dataclass(frozen=True, slots=True)
class _Caught:
    """A processor in a debug exception when the registers changed: where it goes on, and with which of them on.
    ``waits``: it is to report a stop yet."""

    pc: int
    layout: Layout
    waits: bool

    def lacks(self, layout: Layout) -> bool:
        """Whether one of these will not be on."""
        return self.layout[: len(layout)] != layout


class StaleRegisters:
    """Keeps account of them.

    ``settle`` clears what can be cleared, and tells which processors are in a debug exception; None when it cannot be
    told. ``here`` is the processor whose stop it is; ``alone``: there is one only.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._last: Layout = ()
        self._caught: dict[int, _Caught] = {}
        self.settle: Callable[[], Mapping[int, Excepted] | None] = dict
        self.here: Callable[[], int | None] = lambda: None
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
        """Whether the stop there may be of a register that was taken out since: the processor waited to report it."""
        waiting = {cpu for cpu, caught in self._caught.items() if caught.pc == pc and caught.waits}
        return bool(waiting) and self.here() in waiting

    def before_leaving(self, pc: int, *, trapped: bool) -> frozenset[int]:
        """The target is about to run, as the stub has been told, the processor that stopped from ``pc`` on;
        ``trapped``: it is in a debug exception. Where processors are to run onto a trap."""
        layout, before = self._slots.layout, self._last
        if self.alone() and not trapped and before != _UNKNOWN:
            self._caught, self._last = {}, layout
        elif self._account(before, layout, pc, trapped=trapped):
            self._last = layout
        places = frozenset(caught.pc for caught in self._caught.values() if caught.lacks(layout))
        # Who is in no exception stands on a trap only if it has run into another one's.
        return places if trapped else places - {pc}

    def _account(self, before: Layout, layout: Layout, pc: int, *, trapped: bool) -> bool:
        """False when it cannot be told who is in an exception: it is tried again."""
        # With nothing on nothing is put back (local_db_restore in arch/x86/include/asm/debugreg.h).
        changed, known = bool(before) and before != layout, self._caught
        if not changed and not any(caught.waits or caught.lacks(layout) for caught in known.values()):
            return True
        here = self.here()
        if here in known and not trapped:
            del known[here]  # int3 puts nothing back
        elif here in known:
            known[here] = replace(known[here], pc=pc, waits=False)
        if not changed and not any(caught.lacks(layout) for cpu, caught in known.items() if cpu != here):
            return True
        found = self.settle()
        if found is None:
            if changed and trapped and here is not None:
                known.setdefault(here, _Caught(pc, before, waits=False))
            return False
        self._caught = {
            cpu: _Caught(at.pc, known[cpu].layout if cpu in known else before, waits=at.own and cpu != here)
            for cpu, at in found.items()
            if changed or cpu in known
        }
        return True
