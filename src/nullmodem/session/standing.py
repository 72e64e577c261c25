# SPDX-License-Identifier: Apache-2.0
"""What listeners are told of the target's standing and going: each stop that they hear of has an end that they hear of.

The target need not move for that. A step over an instruction that the session carries out on the registers, and an
interrupt that comes before the target was let go, end in a next stop without the target's having run in between; and
while clients learn of a module the target stands although the session calls itself running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.session.model import ModulesChanged, Resumed, Stopped

if TYPE_CHECKING:
    from nullmodem.session.events import EventBus
    from nullmodem.session.model import Stop


class Standing:
    """``resumes`` counts how often the target has gone on from where listeners were told that it stands."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._told = False
        self.resumes = 0

    def for_all(self, stop: Stop) -> None:
        """It stands until a client has it go on."""
        self.over()
        self._told = True
        self._bus.publish(Stopped(stop))

    def for_modules(self, generation: int, stop: Stop) -> None:
        """It stands until all clients that were waiting have learnt of the modules."""
        self.over()
        self._told = True
        self._bus.publish(ModulesChanged(generation, stop))

    def over(self) -> None:
        """It goes on, or is about to be somewhere else."""
        if self._told:
            self._told = False
            self.resumes += 1
            self._bus.publish(Resumed(self.resumes))
