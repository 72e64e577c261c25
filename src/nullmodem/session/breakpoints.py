# SPDX-License-Identifier: Apache-2.0
"""What clients want stopped at, what the stub has, and how the two are made equal.

gdb takes every breakpoint out at every stop and puts it back before every resume. Here that costs nothing: a client's
wish is only noted, and the differences go over the wire when the target is about to run. One address wanted by three
clients is one breakpoint in the stub.

The stub keeps breakpoints out of memory while the machine stands still (kernel/debug/debug_core.c
dbg_deactivate_sw_breakpoints), so nothing here needs to be lifted for memory to read clean.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nullmodem.errors import BreakpointRefused, RemoteProtocolError, StubError, WireTimeout
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.model import StopReason
from nullmodem.session.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Set

EPERM, ENOENT, EEXIST = 1, 2, 17
E2BIG = 7
"""kgdb has 1000 slots and reuses one only for the same address (KGDB_MAX_BREAKPOINTS, dbg_set_sw_break)."""
HARDWARE_LENGTH = 1
"""Of a hardware breakpoint, as the stub wants it (kgdb_set_hw_break in arch/x86/kernel/kgdb.c)."""
MOST_TRAPS = 64
"""Addresses remembered at which the stub has had a software breakpoint."""
MOST_KEPT = 8
"""Breakpoints that stay in the stub although nobody wants them now."""


@dataclass(frozen=True, slots=True, order=True)
class Breakpoint:
    """One stop condition: where, of what kind, and how long (an instruction's length, or the bytes watched)."""

    kind: BreakpointKind
    address: int
    length: int

    @property
    def is_software(self) -> bool:
        return self.kind is BreakpointKind.SOFTWARE


class Inserter(Protocol):
    """The part of the stub this table needs."""

    def insert(self, kind: BreakpointKind, address: int, length: int) -> None: ...
    def remove(self, kind: BreakpointKind, address: int, length: int) -> None: ...
    def forget_breakpoints(self) -> None: ...


class BreakpointTable:
    """Wishes of clients by owner, and the set the stub has. Owners are any hashable names."""

    def __init__(self, stub: Inserter) -> None:
        self.slots = Slots(stub)
        self._stub: Inserter = self.slots
        self._owners: dict[Breakpoint, set[str]] = {}
        self._armed: set[Breakpoint] = set()
        self._proven: set[Breakpoint] = set()
        self.park: int | None = None
        self._has_held = False
        self._traps: deque[int] = deque(maxlen=MOST_TRAPS)
        self._standing: frozenset[Breakpoint] = frozenset()
        self._doubted = False

    def send_through(self, wrap: Callable[[Inserter], Inserter]) -> None:
        """From here on, have everything for the stub pass what ``wrap`` makes of it."""
        self._stub = wrap(self._stub)

    def keep(self, breakpoints: Iterable[Breakpoint]) -> None:
        """The session's own: armed whenever the target runs, and nobody's wish."""
        self._standing = frozenset(breakpoints)

    @property
    def armed(self) -> frozenset[Breakpoint]:
        """What the stub has now."""
        return frozenset(self._armed)

    @property
    def has_more_than_standing(self) -> bool:
        """Whether the stub has one that is not the session's own."""
        return not self._armed <= self._standing

    @property
    def wanted(self) -> frozenset[Breakpoint]:
        """What somebody wants, armed or not."""
        return frozenset(self._owners)

    @property
    def wishes(self) -> tuple[tuple[str, Breakpoint], ...]:
        """Everybody's, with who has it."""
        return tuple((owner, wish) for wish, owners in sorted(self._owners.items()) for owner in sorted(owners))

    def owners(self, address: int) -> frozenset[str]:
        """Who wants an execution breakpoint, of either kind, at ``address``."""
        return frozenset(owner for owner, _breakpoint in self.owned(address))

    def addresses(self, owner: str) -> frozenset[int]:
        """Where this one wants execution breakpoints."""
        return frozenset(b.address for b, owners in self._owners.items() if owner in owners and b.kind in _EXECUTION)

    def owned(self, address: int) -> frozenset[tuple[str, Breakpoint]]:
        """The same, with the breakpoints."""
        return frozenset(
            (owner, breakpoint_)
            for breakpoint_, owners in self._owners.items()
            if breakpoint_.address == address and breakpoint_.kind in _EXECUTION
            for owner in owners
        )

    def is_wanted_by(self, owner: str, breakpoint_: Breakpoint) -> bool:
        """Whether the owner wants just this one."""
        return owner in self._owners.get(breakpoint_, ())

    def software_at(self, address: int) -> bool:
        """Whether the stub has a software breakpoint at ``address``."""
        return any(b.address == address and b.is_software for b in self._armed)

    def has_trapped(self, address: int) -> bool:
        """Whether a processor may have run into a trap of ours at ``address`` that it has not reported yet."""
        return address in self._traps

    @property
    def once_set(self) -> frozenset[int]:
        """Where the stub has had software breakpoints: all that it has now, and the last of the others."""
        return frozenset(self._traps) | {b.address for b in self._armed if b.is_software}

    def hardware_at(self, address: int) -> bool:
        """Whether the stub has a hardware breakpoint, no watchpoint, at ``address``."""
        return any(b.address == address and b.kind is BreakpointKind.HARDWARE for b in self._armed)

    def reason_at(self, address: int) -> StopReason:
        """Why a target that has come to a wanted breakpoint at ``address`` is shown."""
        software = any(b.address == address and b.is_software for b in self._owners)
        return StopReason.BREAKPOINT if software else StopReason.HARDWARE_BREAKPOINT

    @property
    def has_forgotten_watch(self) -> bool:
        """Whether the stub has a watchpoint that nobody wants any more: it is taken out at the next resume only."""
        return any(b.kind not in _EXECUTION and b not in self._owners for b in self._armed)

    def want(self, owner: str, breakpoint_: Breakpoint) -> bool:
        """Note a wish; whether it is a new one of this owner's. The first for a place that was never armed is tried at
        once, so that a refusal reaches the one who asks (it has to go over the wire anyway).

        Raises:
            BreakpointRefused: the stub will not have it.
        """
        if breakpoint_ not in self._armed and breakpoint_ not in self._proven:
            self._settle()
            if not breakpoint_.is_software:  # what nobody wants any more may be in the way
                for other in sorted(b for b in self._armed - self._standing if not b.is_software):
                    if other not in self._owners:
                        self._remove(other)
            try:
                self._insert(breakpoint_)
            except StubError as error:
                raise _refusal(breakpoint_, error) from error
            self._proven.add(breakpoint_)
        owners = self._owners.setdefault(breakpoint_, set())
        new = owner not in owners
        owners.add(owner)
        return new

    def unwant(self, owner: str, breakpoint_: Breakpoint) -> bool:
        """Take a wish back. The stub hears of it at the next resume. False if there was none."""
        owners = self._owners.get(breakpoint_)
        if owners is None or owner not in owners:
            return False
        owners.discard(owner)
        if not owners:
            del self._owners[breakpoint_]
        return True

    def forget_owner(self, owner: str) -> None:
        """A client is gone, and so are its wishes."""
        for breakpoint_ in [b for b, owners in self._owners.items() if owner in owners]:
            self.unwant(owner, breakpoint_)

    def drop_range(self, start: int, end: int) -> None:
        """The kernel is about to free [start, end): nobody may want or have anything there."""
        self._settle()
        gone = [b for b in {*self._owners, *self._armed, *self._proven} if start <= b.address < end]
        for breakpoint_ in gone:
            self._owners.pop(breakpoint_, None)
            self._proven.discard(breakpoint_)
            if breakpoint_ in self._armed:
                self._remove(breakpoint_)

    def synchronise(
        self,
        *,
        extra: Iterable[Breakpoint] = (),
        without: Iterable[int] = (),
        held: Set[int] = frozenset(),
        watching: bool = True,
        keeping: bool = False,
        dropping: Set[int] = frozenset(),
    ) -> None:
        """Make the stub's set the wanted one, plus ``extra``, minus execution breakpoints at the addresses ``without``.

        ``held``: addresses that have a hardware breakpoint instead, if there is a debug register left for it. Without
        ``watching``, minus every watchpoint too. ``keeping``: a few software breakpoints that are not wanted any more
        may stay, because they may be wanted again soon; but not those at the addresses ``dropping``.

        Raises:
            StubError: the stub refuses one that it had accepted before.
        """
        self._settle()
        lifted = frozenset(without)
        target = {
            b
            for b in (*self._owners, *self._standing, *extra)
            if (b.address not in lifted if b.kind in _EXECUTION else watching)
        }
        holding = self._holding(held)
        unwanted = self._armed - target - holding
        in_the_way = lifted | dropping
        for breakpoint_ in sorted(unwanted):
            kept = keeping and breakpoint_.is_software and len(unwanted) <= MOST_KEPT
            if not kept or breakpoint_.address in in_the_way:
                self._remove(breakpoint_)
        for breakpoint_ in sorted(target - self._armed):
            self._insert(breakpoint_)
        for breakpoint_ in sorted(holding - self._armed):
            with contextlib.suppress(StubError):
                self._insert(breakpoint_)

    def _holding(self, held: Set[int]) -> set[Breakpoint]:
        """Hardware breakpoints that hold places, or one where nobody comes by, once some have been held.

        Processors get their debug registers back as they were (`nullmodem.session.stale_registers`), and which of them
        are on is not to change each time a place is held.
        """
        self._has_held = self._has_held or bool(held)
        places = held or ({self.park} if self._has_held and self.park is not None else set())
        return {Breakpoint(BreakpointKind.HARDWARE, address, HARDWARE_LENGTH) for address in places}

    def stub_forgot(self) -> None:
        """The stub dropped everything: it was sent ``?`` or ``D``, or the machine was reset."""
        self.slots.forgotten()
        self._armed.clear()
        self._proven.clear()
        self._doubted = False

    def doubt(self) -> None:
        """What the stub has is not known for certain, for what was on its way to it may be lost. Before it is changed
        again the stub is made to forget all of it; until then it is taken to have what it was last known to have."""
        self._doubted = True

    def _settle(self) -> None:
        if self._doubted:
            self._stub.forget_breakpoints()
            self._armed.clear()
            self._doubted = False

    def rearm(self) -> None:
        """The stub dropped everything while the target stood still: give it back what it had."""
        armed = sorted(self._armed)
        self.stub_forgot()
        for breakpoint_ in armed:
            self._send(self._stub.insert, breakpoint_)
            self._armed.add(breakpoint_)

    def _send(self, act: Callable[[BreakpointKind, int, int], None], breakpoint_: Breakpoint) -> None:
        """Insert one or remove it. Where no answer tells whether the stub has, that is in doubt from here on."""
        try:
            act(breakpoint_.kind, breakpoint_.address, breakpoint_.length)
        except (WireTimeout, RemoteProtocolError):
            self.doubt()
            raise

    def _insert(self, breakpoint_: Breakpoint) -> None:
        try:
            self._send(self._stub.insert, breakpoint_)
        except StubError as error:
            if error.errno == E2BIG:
                self._start_over()
                self._send(self._stub.insert, breakpoint_)
            elif not (error.errno == EEXIST and breakpoint_.is_software):
                raise
        self._armed.add(breakpoint_)
        if breakpoint_.is_software and breakpoint_.address not in self._traps:
            self._traps.append(breakpoint_.address)

    def _start_over(self) -> None:
        """Every slot holds an address once used: have the stub forget them all, and put back what is in use."""
        self.doubt()  # until it is known to have forgotten
        self._stub.forget_breakpoints()
        self.rearm()

    def _remove(self, breakpoint_: Breakpoint) -> None:
        """Take one out. What the stub says it does not have is out, too.

        It finds a debug register by its address alone (kgdb_remove_hw_break), so all that share it are taken out, and
        the others put back.
        """
        sharing = {breakpoint_}
        if not breakpoint_.is_software:
            sharing |= {b for b in self._armed if not b.is_software and b.address == breakpoint_.address}
        for one in sharing:
            try:
                self._send(self._stub.remove, one)
            except StubError as error:
                if error.errno not in (ENOENT, EPERM):
                    raise
            self._armed.discard(one)
        for other in sorted(sharing - {breakpoint_}):
            self._insert(other)


_EXECUTION = frozenset({BreakpointKind.SOFTWARE, BreakpointKind.HARDWARE})


def _refusal(breakpoint_: Breakpoint, error: StubError) -> BreakpointRefused:
    if error.errno == E2BIG:
        reason = "the kernel's stub has no room for another breakpoint"
        hint = "Delete some first; it holds 1000 (KGDB_MAX_BREAKPOINTS)."
    elif breakpoint_.is_software:
        reason = "the kernel will not have a breakpoint there"
        hint = "Code that the debugger itself runs through is on a list of its own (CONFIG_KGDB_HONOUR_BLOCKLIST)."
    else:
        reason = "the processor has no debug register left, or none of this kind"
        hint = "Delete a hardware breakpoint or watchpoint first, or use a software breakpoint."
    message = f"{reason}: {breakpoint_.kind.name.lower()} at {breakpoint_.address:#x} ({error.message})"
    return BreakpointRefused(message, address=breakpoint_.address, hint=hint)
