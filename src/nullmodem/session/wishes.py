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
    from nullmodem.session.conditions import Conditions, Terms
    from nullmodem.session.watch import Watches
    from nullmodem.session.world import World


class Wishes:
    """What clients want stopped at: the table of breakpoints, with what is watched and on what terms."""

    def __init__(self, table: BreakpointTable, watches: Watches, conditions: Conditions) -> None:
        self._table = table
        self._watches = watches
        self._conditions = conditions

    def insert(self, world: World, client: str, wish: Breakpoint, terms: Terms | None) -> None:
        """Note the wish, or its new terms. Raises BreakpointRefused with the reason."""
        if wish.kind in (BreakpointKind.SOFTWARE, BreakpointKind.HARDWARE):
            reason = _refusal(world, wish.address)
            if reason:
                msg = f"no breakpoint at {world.kernel.describe(wish.address)}: {reason}"
                raise BreakpointRefused(msg, address=wish.address)
        if not wish.is_software:
            world.debug_registers.enable()
        noted: list[Breakpoint] = []
        try:
            noted.extend(piece for piece in self._watches.pieces(wish) if self._table.want(client, piece))
        except BreakpointRefused:
            for piece in noted:  # the client does not take back what it did not get
                self._table.unwant(client, piece)
            raise
        self._watches.added(client, wish)
        self._conditions.set(client, wish, terms)

    def remove(self, client: str, wish: Breakpoint) -> None:
        """Take it back."""
        for piece in self._watches.pieces(wish):
            self._table.unwant(client, piece)
        self._watches.removed(client, wish)
        self._conditions.set(client, wish, None)

    def stop_at(self, pc: int) -> bool:
        """Whether one of the clients whose breakpoints the target has come to wants it to stop there."""
        return self._conditions.stops(self._table.owned(pc))

    def forget_owner(self, client: str) -> None:
        """A client is gone, and so are its wishes."""
        self._table.forget_owner(client)
        self._watches.forget_owner(client)
        self._conditions.keep_only(self._table.is_wanted_by)

    def forget_all(self) -> None:
        """Nobody wants anything any more."""
        for owner in {owner for owner, _wish in (*self._table.wishes, *self._watches.wishes)}:
            self.forget_owner(owner)

    def drop_unwanted(self) -> None:
        """Memory was freed, and breakpoints with it: nothing else that was noted of them stays."""
        self._watches.keep_only(self._table.wanted)
        self._conditions.keep_only(self._table.is_wanted_by)


def _refusal(world: World, address: int) -> str:
    verdict = world.modules.breakpoint_verdict(address)
    if verdict is not None:
        return "" if verdict.allowed else verdict.reason
    return world.kernel.breakpoint_refusal(address)
