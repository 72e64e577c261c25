# SPDX-License-Identifier: Apache-2.0
"""A plan on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.session.stepping import Run, SingleStep, StepPlan

if TYPE_CHECKING:
    from nullmodem.session.stepping import Plan
    from nullmodem.session.steps import Steps


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

    def net(self, steps: Steps) -> frozenset[int]:
        """Where the plan's thread is caught that has not reported its step yet, as another one's stop came first.

        An NMI rounds it up then. One that comes in between the debug exception and the reading of DR6 has that cleared
        when it leaves the debugger (hw_breakpoint_restore in arch/x86/kernel/hw_breakpoint.c): the kernel takes the
        exception for none (exc_debug_kernel), and the thread goes on to the next instruction, and the next.
        """
        awaited = isinstance(self.outstanding, SingleStep) and self.plan.thread in steps
        return steps.leads_to(self.plan.thread) if awaited else frozenset()
