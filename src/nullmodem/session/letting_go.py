# SPDX-License-Identifier: Apache-2.0
"""How a session lets go of a target: nothing of ours stays in it, and nobody stops it once there is no debugger.

A processor that has run into a breakpoint while another one's stop is dealt with reports that later. The kernel passes
over it if the breakpoint was removed meanwhile, but has forgotten that when the stub is told that we go (``D``:
dbg_remove_all_break in kernel/debug/debug_core.c); and it never does where a debug register or a step was the cause. It
would stop, and wait for a debugger.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nullmodem.errors import RemoteProtocolError, WireTimeout
from nullmodem.session.model import State

if TYPE_CHECKING:
    from nullmodem.session.session import Session


def unreported(session: Session) -> tuple[str, ...]:
    """Who will stop the kernel once more, unless the target runs on under the session first.

    Another processor may have run into a breakpoint so lately that the kernel does not know of it yet: it is given time
    for that where the target can be stopped again. The session's own breakpoints are left out of this: modules are
    loaded so seldom that it would stop the target in vain.
    """
    if not session.still:
        return ()
    found = [f"thread {thread} has yet to report a step" for thread in sorted(session.runner.late_steps)]
    threads, break_ins = session.world.threads, session.break_ins
    waiting = dict[int, int]()
    with contextlib.suppress(WireTimeout, RemoteProtocolError):  # the target is to be let go all the same
        waiting = threads.waiting
    found += [f"processor {number} has stopped, and has yet to report it" for number in sorted(waiting)]
    if not waiting and threads.processors > 1 and session.table.has_more_than_standing and break_ins.works:
        found.append("another processor may have run into a breakpoint")
    if break_ins.under_way:
        found.append("a break-in is under way")
    if session.stop is not None and session.stop.is_fault_at(session.target.own_pc):
        found.append("the kernel has yet to deal with its fault")
    return tuple(found)


def run_on(session: Session) -> bool:
    """Let the target run with nothing armed; nobody wants a breakpoint any more. Whether a break-in that is under way
    stops it again: each that was sent arrives at some time."""
    session.wishes.forget_all()
    session.table.keep(())
    session.table.park = None
    arrives = session.break_ins.under_way
    session.continue_target()
    if arrives:
        session.break_ins.want("")
    return arrives


def release_if_quiet(session: Session) -> bool:
    """Let go of the target if nobody is left who would stop it once more. Whether it was."""
    if unreported(session):
        return False
    release(session)
    return True


def release_all_the_same(session: Session) -> None:
    """Let go of the target, and say who will stop it."""
    for who in unreported(session):
        session.say(f"{who}; then the kernel stops and waits for a debugger")
    release(session)


def release(session: Session) -> None:
    """Let go of the target: no breakpoint stays, it runs, and the stub forgets us. Needs a stopped target."""
    if session.still:
        session.news.wait_no_longer()
        session.world.debug_registers.restore()
        if session.runner.registers.were_used:
            session.world.debug_registers.settle()
        session.target.show_interrupted(None)
        session.target.flush()
        session.stub.detach()
        session.table.stub_forgot()
        session.target.end()
    session.state = State.DISCONNECTED
