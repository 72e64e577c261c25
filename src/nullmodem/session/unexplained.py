# SPDX-License-Identifier: Apache-2.0
"""A stop that is no breakpoint of ours and no step: a break-in, a watchpoint, a trap in the code, or a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.session.break_in import called_by_module
from nullmodem.session.model import StopReason
from nullmodem.session.signals import HOST_SIGNALS, SIGINT, SIGTRAP

if TYPE_CHECKING:
    from nullmodem.session.session import Session


def explain(session: Session, signal: int) -> None:
    """Show the stop for what it is, or go on where it is nobody's any more."""
    world, target = session.world, session.target
    if world.kernel.in_break_function(target.own_pc) and not called_by_module(world, target, session.stub.arch):
        reason = session.break_ins.met(world, target, session.say)
        if reason is None:
            session.runner.go_on()
        elif reason is not StopReason.INTERRUPT or not session.runner.waits_on():
            session.on_visible(reason, SIGINT if reason is StopReason.INTERRUPT else SIGTRAP)
    elif signal == SIGTRAP:
        watched = session.watches.explain(target, session.stub.arch)
        if watched is None and session.table.has_forgotten_watch:
            session.runner.go_on()
        elif watched is None and session.runner.registers.reports_late(target.own_pc):
            session.runner.came_late()
        else:
            session.on_visible(StopReason.WATCHPOINT if watched else StopReason.TRAP, SIGTRAP, watched=watched)
    else:
        session.on_visible(StopReason.FAULT, HOST_SIGNALS.get(signal, signal))
