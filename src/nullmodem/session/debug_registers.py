# SPDX-License-Identifier: Apache-2.0
"""Hardware breakpoints and watchpoints that are hit must reach the stub: see `nullmodem.kernel.debug_events`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nullmodem.errors import KernelDataError, MemoryFault
from nullmodem.kernel.debug_events import DebugEvents

if TYPE_CHECKING:
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.session.view import KernelView


class DebugRegisters:
    """Makes the stub's events active when the first hardware breakpoint is set, and puts them back at the end."""

    def __init__(self, target: StoppedTarget, kernel: KernelView) -> None:
        self._target = target
        self._kernel = kernel
        self._before: dict[int, bytes] | None = None

    def enable(self) -> None:
        """Have hits reported. What has no such events reports them by other means, or refuses hardware breakpoints."""
        if self._before is not None:
            return
        self._before = {}
        try:
            events = DebugEvents(self._kernel.types, self._kernel.vmlinux, self._kernel.slide)
            for address, state in events.states(self._target).items():
                if state == events.off:
                    self._target.write(address, events.active)
                    self._before[address] = state
        except (LookupError, KernelDataError, MemoryFault):
            return

    def restore(self) -> None:
        """Leave the events as they were found, those that can still be written: the target is let go in any case."""
        before, self._before = self._before or {}, None
        for address, state in before.items():
            with contextlib.suppress(MemoryFault):
                self._target.write(address, state)
