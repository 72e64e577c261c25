# SPDX-License-Identifier: Apache-2.0
"""A client's wish for a breakpoint: whether it may stand there, and what it becomes.

The stub accepts almost any address, data and freed memory included, and would write a trap there when the machine is
resumed. So an execution breakpoint is accepted in live text only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import BreakpointRefused
from nullmodem.rsp.requests import BreakpointKind

if TYPE_CHECKING:
    from nullmodem.session.breakpoints import Breakpoint, BreakpointTable
    from nullmodem.session.watch import Watches
    from nullmodem.session.world import World


def insert(world: World, table: BreakpointTable, watches: Watches, client: str, wish: Breakpoint) -> None:
    """Note the wish. Raises BreakpointRefused with the reason."""
    if wish.kind in (BreakpointKind.SOFTWARE, BreakpointKind.HARDWARE):
        reason = _refusal(world, wish.address)
        if reason:
            msg = f"no breakpoint at {world.kernel.describe(wish.address)}: {reason}"
            raise BreakpointRefused(msg, address=wish.address)
    if not wish.is_software:
        world.debug_registers.enable()
    noted: list[Breakpoint] = []
    try:
        noted.extend(piece for piece in watches.pieces(wish) if table.want(client, piece))
    except BreakpointRefused:
        for piece in noted:  # the client does not take back what it did not get
            table.unwant(client, piece)
        raise
    watches.added(client, wish)


def remove(table: BreakpointTable, watches: Watches, client: str, wish: Breakpoint) -> None:
    """Take it back."""
    for piece in watches.pieces(wish):
        table.unwant(client, piece)
    watches.removed(client, wish)


def _refusal(world: World, address: int) -> str:
    verdict = world.modules.breakpoint_verdict(address)
    if verdict is not None:
        return "" if verdict.allowed else verdict.reason
    return world.kernel.breakpoint_refusal(address)


def forget(table: BreakpointTable, watches: Watches, client: str) -> None:
    """A client is gone, and wants nothing any more."""
    table.forget_owner(client)
    watches.forget_owner(client)
