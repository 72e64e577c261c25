# SPDX-License-Identifier: Apache-2.0
"""A stop that landed in kdb, and was taken from it: the stub has no breakpoints, and perhaps had none for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nullmodem.session.breakpoints import BreakpointTable
    from nullmodem.session.modules import ModuleTable
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.session.wishes import Wishes


def take_up(
    target: StoppedTarget,
    table: BreakpointTable,
    wishes: Wishes,
    modules: ModuleTable,
    behind_breakpoint: int,
    thread: int,
) -> None:
    """Make it a stop like any other. ``behind_breakpoint`` is how far behind one the stub reports the pc.

    A breakpoint of ours that was hit shows that they were in place, so they are put back as they were. Otherwise the
    target may have run without them, and modules may have come and gone unseen.

    Raises KernelDataError, MemoryFault, StubError.
    """
    target.begin(thread)
    if table.software_at(target.own_pc - behind_breakpoint):
        table.rearm()
    else:
        table.stub_forgot()
        target.forget_code()
        modules.catch_up(target)
        wishes.drop_unwanted()
