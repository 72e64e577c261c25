# SPDX-License-Identifier: Apache-2.0
"""A page's breakpoints, and those of others as it sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.api.records import Address
from nullmodem.errors import UsageError
from nullmodem.frontends.web.conditions import require_plain
from nullmodem.frontends.web.protocol import Breakpoints, BreakpointView
from nullmodem.frontends.web.views import place_of
from nullmodem.rsp.requests import BreakpointKind

if TYPE_CHECKING:
    from nullmodem.frontends.python.breakpoint import Breakpoint
    from nullmodem.frontends.python.target import Target
    from nullmodem.frontends.web.hub import Hub
    from nullmodem.frontends.web.requests import BreakAt

MINE: Final = "this page"
MOST: Final = 500


class OwnBreakpoints:
    """Those of one page, by the numbers it knows them by. Used by one thread at a time."""

    def __init__(self, target: Target, hub: Hub) -> None:
        self._target = target
        self._hub = hub
        self._mine: dict[int, tuple[Breakpoint, str]] = {}
        self._count = 0

    def add(self, wanted: BreakAt) -> BreakpointView:
        """Raises UsageError, UnknownPlace, BreakpointRefused, as `Target.break_at`."""
        if bool(wanted.file) == bool(wanted.function):
            raise UsageError("a breakpoint is at a line of a file, or in a function")
        if len(self._mine) >= MOST:
            raise UsageError(f"a page has {MOST} breakpoints at most")
        if wanted.condition:
            require_plain(wanted.condition)
        where = f"{wanted.file}:{wanted.line}" if wanted.file else wanted.function
        made = self._target.break_at(where, condition=wanted.condition or None, pending=wanted.pending)
        self._count += 1
        self._mine[self._count] = made, wanted.condition
        return self._view(self._count)

    def remove(self, number: int) -> None:
        """Raises UsageError for one that is not this page's."""
        if number not in self._mine:
            raise UsageError(f"this page has no breakpoint {number}", hint="Others' are removed where they were set.")
        self._mine.pop(number)[0].delete()

    def view(self) -> Breakpoints:
        """All breakpoints in code, those of other clients last."""
        client = self._target.debugger.controller.client
        others = [
            self._others(owner, wish.address)
            for owner, wish in self._hub.others(client)
            if wish.kind in (BreakpointKind.SOFTWARE, BreakpointKind.HARDWARE)
        ]
        return Breakpoints((*map(self._view, self._mine), *others))

    def _view(self, number: int) -> BreakpointView:
        made, condition = self._mine[number]
        address = next(iter(made.addresses), None)
        wanted = made.place
        file, line = (wanted.file, wanted.line) if wanted is not None else ("", 0)
        function, module = (wanted.function, wanted.module) if wanted is not None else ("", "")
        if address is not None:
            place = place_of(self._target.debugger, address)
            function, module = function or place.function, place.module
            file, line = place.file or file, line or place.line
        at = Address(address) if address is not None else None
        verified, message = address is not None, "" if address is not None else "waits for its module to be loaded"
        return BreakpointView(
            number, file, line, function, module, at, condition, made.enabled, verified, made.hits, MINE, True, message  # noqa: FBT003
        )  # fmt: skip

    def _others(self, owner: str, address: int) -> BreakpointView:
        place = place_of(self._target.debugger, address)
        return BreakpointView(
            0, place.file, place.line, place.function, place.module, Address(address), "", True, True, 0, owner, False  # noqa: FBT003
        )  # fmt: skip
