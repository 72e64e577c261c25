# SPDX-License-Identifier: Apache-2.0
"""What the session does in the kernel for debug registers.

Hits must reach the stub (`nullmodem.kernel.debug_events`), and what the stub has taken out must not come back
(`nullmodem.kernel.debug_leftovers`).
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from nullmodem.errors import KernelDataError, MemoryFault
from nullmodem.kernel.debug_events import DebugEvents
from nullmodem.kernel.debug_exceptions import DebugExceptions, Excepted
from nullmodem.kernel.debug_leftovers import WORD, DebugLeftovers

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.session.view import KernelView

ALL_SLOTS: Final = 16


class DebugRegisters:
    """Makes the stub's events active when the first hardware breakpoint is set, and puts them back at the end.

    ``here`` tells on which processor the target has stopped.
    """

    def __init__(self, target: StoppedTarget, kernel: KernelView, here: Callable[[], int | None]) -> None:
        self._target = target
        self._kernel = kernel
        self._here = here
        self._before: dict[int, bytes] = {}
        self._enabled = 0
        self._leftovers: DebugLeftovers | None = None
        self._exceptions: DebugExceptions | None = None

    def enable(self, slots: int = ALL_SLOTS) -> None:
        """Have hits reported, those of the first ``slots`` debug registers of each processor.

        What has no such events reports them by other means, or refuses hardware breakpoints.
        """
        if slots <= self._enabled:
            return
        self._enabled = slots
        try:
            events = DebugEvents(self._kernel.types, self._kernel.vmlinux, self._kernel.slide)
            for address, state in events.states(self._target, slots).items():
                if state == events.off:
                    self._target.write(address, events.active)
                    self._before[address] = state
        except (LookupError, KernelDataError, MemoryFault):
            return

    def have_been_used(self) -> bool:
        """Whether somebody has had kgdb set one since the machine came up. Processors may have kept it."""
        kernel = self._kernel
        try:
            return DebugEvents(kernel.types, kernel.vmlinux, kernel.slide).has_been_used(self._target)
        except (LookupError, KernelDataError, MemoryFault):
            return False

    def settle(self) -> dict[int, Excepted] | None:
        """Have every processor that stands still leave with those registers on that the stub has set, and no other.

        It does not reach what a debug exception puts back, but for the addresses: see `excepted`.
        """
        kernel = self._kernel
        with contextlib.suppress(LookupError):  # a processor, or a kernel, of another kind
            self._leftovers = self._leftovers or DebugLeftovers(kernel.types, kernel.vmlinux, kernel.slide)
        try:
            for address in self._leftovers.find(self._target) if self._leftovers is not None else ():
                self._target.write(address, bytes(WORD))
        except (KernelDataError, MemoryFault):
            return None
        return self.excepted()

    def excepted(self) -> dict[int, Excepted] | None:
        """Which processors are in a debug exception. None when that cannot be told."""
        kernel = self._kernel
        try:
            self._exceptions = self._exceptions or DebugExceptions(kernel.types, kernel.vmlinux, kernel.slide)
            found = self._exceptions.find(self._target)
        except LookupError:
            return {}
        except (KernelDataError, MemoryFault):
            return None
        here = self._here()
        if here in found:  # what is written to registers gets there when it leaves
            found[here] = replace(found[here], pc=self._target.own_pc)
        return found

    def forget(self) -> None:
        """It may be another kernel, and the events elsewhere: they are left as they are."""
        self._before, self._enabled, self._leftovers, self._exceptions = {}, 0, None, None

    def restore(self) -> None:
        """Leave the events as they were found, those that can still be written: the target is let go in any case."""
        before, self._before, self._enabled = self._before, {}, 0
        for address, state in before.items():
            with contextlib.suppress(MemoryFault):
                self._target.write(address, state)
