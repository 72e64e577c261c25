# SPDX-License-Identifier: Apache-2.0
"""A stop that landed in kdb, and was taken from it: the stub has no breakpoints, and perhaps had none for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError
from nullmodem.session.reboot import look_again, require_same_kernel

if TYPE_CHECKING:
    from nullmodem.session.session import Session


def take_up(session: Session, thread: int) -> None:
    """Make it a stop like any other.

    A breakpoint of ours that was hit shows that they were in place, so they are put back as they were. Otherwise the
    target may have run without them, and modules may have come and gone unseen. Most of all it may be another boot: a
    kernel's stops land in kdb until somebody has taken one from it (dbg_kdb_mode in kernel/debug/debug_core.c), and
    this one's have been taken.

    Raises KernelDataError, MemoryFault, StubError; WireClosed, which ends the session, when it is another boot, which
    is let go.
    """
    target, table, arch = session.target, session.table, session.stub.arch
    target.begin(thread)
    hit = target.own_pc - arch.pc_after_breakpoint
    if table.software_at(hit):
        try:
            table.rearm()
        except NullmodemError:
            target.set_registers({arch.pc: hit})  # it is shown as it stands
            raise
    else:
        table.stub_forgot()
        require_same_kernel(session, "the target has rebooted, and has stopped in kdb")
        look_again(session)
