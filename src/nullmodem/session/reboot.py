# SPDX-License-Identifier: Apache-2.0
"""A target that was reset without a word.

The new boot's stub reports no stop, for nobody has spoken to it (kgdb_connected in kernel/debug/gdbstub.c): it stands
still for a break-in, and waits. That is how it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import IdentityError, KernelDataError, MemoryFault, NullmodemError, TargetError, WireClosed
from nullmodem.kernel.kept_breakpoints import KeptBreakpoints
from nullmodem.session.model import State, StopReason
from nullmodem.session.recovery import stand_back
from nullmodem.session.signals import SIGTRAP
from nullmodem.session.view import KernelView

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.session.session import Session

ANSWER_SECONDS = 3.0
"""For a target that no break-in seems to stop to say that it stands after all."""


def break_in_failed(session: Session, client: str, error: NullmodemError) -> bool:
    """A break-in that ``client`` wanted was tried, and seems to have stopped nothing. Whether the target stands all the
    same. Raises WireClosed as `require_same_boot`."""
    try:
        if isinstance(error, TargetError):  # all ways were tried; others say that none could be
            require_same_boot(session)
    finally:
        if not session.still:
            session.break_ins.failed(client)
    return session.still


def is_where_it_was(session: Session) -> bool:
    """Whether a target that was told to go on, and did not say that it does, stands where it was told to."""
    stub = session.stub
    return (stub.current_thread(), stub.read_register(stub.arch.register(stub.arch.pc))) == session.left


def found_elsewhere(session: Session) -> None:
    """It does not. Raises WireClosed, which ends the session, when that is another boot; it is let go."""
    meet_anew(session, session.stub.current_thread(), "the target has rebooted instead of going on")
    session.table.doubt()
    session.say("the target was told to go on, and stands somewhere else: it has stopped unheard")
    show_trouble(session)


def meet_anew(session: Session, thread: int, if_another: str) -> None:
    """The target stands, and not as it was known: look at it as if for the first time. If it has run into a breakpoint
    that the stub was last known to have, it stands at it.

    Raises WireClosed with ``if_another``, which ends the session, when it is another boot; it is let go.
    """
    session.news.wait_no_longer()
    session.target.begin(thread)
    require_same_kernel(session, if_another)
    stand_back(session, session.table.armed)
    look_again(session)


def require_same_kernel(session: Session, if_another: str) -> None:
    """Raises WireClosed with ``if_another``, which ends the session, unless the kernel that stands there is the one
    that was met, where that was, and has kept what this session has set in it; another is let go.

    Whether it has is not known of every kernel; then nothing that was read of it before is written back.
    """
    target, kernel = session.target, session.world.kernel
    try:
        found = KernelView.identify(kernel.vmlinux, kernel.types, target, target.own_pc, lambda: target.own_sp)
        kept = _has_kept(session) if found.slide == kernel.slide else False
    except (IdentityError, KernelDataError, MemoryFault):
        kept = False
    if kept is False:
        session.stub.let_stranger_go()
        raise WireClosed(if_another, hint="It runs on, without breakpoints. Attach to it again.")
    if kept is None:
        session.world.debug_registers.forget()


def _has_kept(session: Session) -> bool | None:
    """Whether the kernel remembers a breakpoint of this session. None: that is not known. Raises MemoryFault."""
    kernel, known = session.world.kernel, session.table.once_set
    if not known:
        return None
    try:
        kept = KeptBreakpoints(kernel.types, kernel.vmlinux, kernel.slide)
    except LookupError:
        return None
    return kept.include(session.target, known)


def look_again(session: Session) -> None:
    """The target may have run unwatched: read what code there is, and which modules."""
    session.target.forget_code()
    session.world.modules.catch_up(session.target)
    session.wishes.drop_unwanted()


def show_trouble(session: Session) -> None:
    """Show the target where it stands; what it was on its way to is given up."""
    session.runner.forget()
    session.on_visible(StopReason.TROUBLE, SIGTRAP)
    session.unattended.leave()


def require_same_boot(session: Session) -> None:
    """Find out whether a target that no break-in seems to stop stands all the same, and deal with a stop that it tells
    of while it is asked. Raises WireClosed, which ends the session, when it stands and has forgotten it; it is let go.
    """
    if session.state is not State.RUNNING:
        return
    if session.stub.has_forgotten_us(ANSWER_SECONDS):
        session.stub.let_stranger_go()
        raise WireClosed(
            "the target has rebooted: it stopped, and its stub knew nothing of this session",
            hint="It runs on, without breakpoints. Attach to it again.",
        )
    hear(session, session.on_wire)


def hear(session: Session, deal_with_it: Callable[[], None]) -> None:
    """Deal with a stop as the engine does, where something else was asked for."""
    try:
        deal_with_it()
    except WireClosed:
        raise
    except NullmodemError as error:
        session.on_trouble(error)
