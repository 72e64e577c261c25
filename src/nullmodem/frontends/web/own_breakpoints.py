# SPDX-License-Identifier: Apache-2.0
"""A page's breakpoints, and those of others as it sees them."""

from __future__ import annotations

import threading
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
    from nullmodem.session.breakpoints import Breakpoint as Wish

_WATCHES: Final = {BreakpointKind.WRITE: "write", BreakpointKind.READ: "read", BreakpointKind.ACCESS: "access"}
MINE: Final = "this page"
MOST: Final = 500


class OwnBreakpoints:
    """Those of one page, by the numbers it knows them by. Changed by one thread at a time."""

    def __init__(self, target: Target, hub: Hub, number: int) -> None:
        """``number`` tells this page from others."""
        self.owner = f"page {number}"
        self._target = target
        self._hub = hub
        self._mine: dict[int, tuple[Breakpoint, str]] = {}
        self._count = 0
        self._lock = threading.Lock()  # other pages look, in threads of theirs

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
        with self._lock:
            self._count += 1
            number = self._count
            self._mine[number] = made, wanted.condition
        return self._view(number, made, wanted.condition, MINE)

    def remove(self, number: int) -> None:
        """Raises UsageError for one that is not this page's."""
        if number not in self._mine:
            raise UsageError(f"this page has no breakpoint {number}", hint="Others' are removed where they were set.")
        with self._lock:
            made, _condition = self._mine.pop(number)
        made.delete()

    def all(self) -> tuple[tuple[int, Breakpoint, str], ...]:
        """Number, breakpoint and condition of each. From any thread."""
        with self._lock:
            return tuple((number, made, condition) for number, (made, condition) in self._mine.items())

    def view(self) -> Breakpoints:
        """All breakpoints and watchpoints of all clients, those of others last."""
        pages = [
            self._view(0, made, condition, page.owner)
            for page in self._hub.pages()
            if page is not self
            for _number, made, condition in page.all()
        ]
        others = [self._others(*each) for each in self._hub.others(self._target.debugger.controller.client)]
        return Breakpoints((*(self._view(*each, MINE) for each in self.all()), *pages, *others))

    def _view(self, number: int, made: Breakpoint, condition: str, owner: str) -> BreakpointView:
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
        mine = owner == MINE
        return BreakpointView(
            number, file, line, function, module, at, condition, made.enabled, verified, made.hits, owner, mine, message
        )  # fmt: skip

    def _others(self, owner: str, wish: Wish) -> BreakpointView:
        debugger, at = self._target.debugger, Address(wish.address)
        if wish.kind in _WATCHES:
            unit = "byte" if wish.length == 1 else "bytes"
            watches = f"{_WATCHES[wish.kind]} of {wish.length} {unit} at {debugger.live.describe(wish.address)}"
            return BreakpointView(0, "", 0, "", "", at, "", True, True, None, owner, False, "", watches)  # noqa: FBT003
        place = place_of(debugger, wish.address)
        return BreakpointView(
            0, place.file, place.line, place.function, place.module, at, "", True, True, None, owner, False  # noqa: FBT003
        )  # fmt: skip
