# SPDX-License-Identifier: Apache-2.0
"""A plan on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.session.stepping import Run, StepPlan

if TYPE_CHECKING:
    from nullmodem.session.stepping import Plan, SingleStep


@dataclass(slots=True)
class Journey:
    """A plan under way. ``outstanding`` is the move the target was last set on and has not ended. ``passing``: it is a
    part of a client's way through a source line. ``awaited``: a thread, and the place where a client waits for that one
    alone."""

    plan: Plan
    passing: bool = False
    awaited: tuple[int | None, int] | None = None
    outstanding: Run | SingleStep | None = None

    def is_foreign(self, thread: int | None, pc: int) -> bool:
        """Whether a thread has come where the client waits for another one."""
        return self.awaited is not None and self.awaited[1] == pc and self.awaited[0] != thread

    @property
    def steps_alone(self) -> bool:
        """Whether a client steps one thread, and what others run into is to wait."""
        return isinstance(self.plan, StepPlan) and self.plan.alone

    def awaits(self, pc: int) -> bool:
        """Whether other threads are to stop at ``pc``, where one is about to be stepped; who steps it alone has a
        breakpoint there that it took out for that."""
        return self.steps_alone or (isinstance(self.outstanding, Run) and pc in self.outstanding.until)
