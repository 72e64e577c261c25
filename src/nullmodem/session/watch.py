# SPDX-License-Identifier: Apache-2.0
"""Watchpoints: which one was hit. The kernel's stub reports a bare SIGTRAP and no address (kernel/debug/gdbstub.c).

What is watched for writing is read before the target runs and again when it stops for no other reason; what differs
was written. A write of the same value, or a read, is found by decoding the instruction that did it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import BreakpointRefused, MemoryFault
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.cache import PAGE
from nullmodem.session.model import Access, Watched

if TYPE_CHECKING:
    from collections.abc import Set

    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.stub.arch import Arch

_ACCESS = {
    BreakpointKind.WRITE: Access.WRITE,
    BreakpointKind.READ: Access.READ,
    BreakpointKind.ACCESS: Access.ACCESS,
}
_LENGTHS = (8, 4, 2, 1)
_LONGEST = 32
"""Bytes: what four debug registers of eight can watch."""
_BEFORE = 15
"""Bytes of code before the pc that may hold the instruction: the longest one x86 has."""


class Watches:
    """The data watchpoints clients have set, and the values last seen in them."""

    def __init__(self) -> None:
        self._set: dict[Breakpoint, set[str]] = {}
        self._values: dict[Breakpoint, bytes] = {}

    def pieces(self, wanted: Breakpoint) -> tuple[Breakpoint, ...]:
        """What to ask the stub for: a debug register watches 1, 2, 4 or 8 bytes, aligned to that.

        Raises:
            BreakpointRefused: too long for the processor's debug registers.
        """
        if wanted.kind not in _ACCESS:
            return (wanted,)
        if not 0 < wanted.length <= _LONGEST:
            msg = f"{wanted.length} bytes at {wanted.address:#x} cannot be watched: {_LONGEST} is the most"
            raise BreakpointRefused(msg, address=wanted.address, hint="Watch one member instead of the whole object.")
        found = []
        address, end = wanted.address, wanted.address + wanted.length
        while address < end:
            size = next(n for n in _LENGTHS if address % n == 0 and address + n <= end)
            found.append(Breakpoint(wanted.kind, address, size))
            address += size
        return tuple(found)

    @property
    def wishes(self) -> tuple[tuple[str, Breakpoint], ...]:
        """Everybody's, whole, with who has it."""
        return tuple((owner, wish) for wish, owners in sorted(self._set.items()) for owner in sorted(owners))

    def added(self, owner: str, wanted: Breakpoint) -> None:
        if wanted.kind in _ACCESS:
            self._set.setdefault(wanted, set()).add(owner)

    def removed(self, owner: str, wanted: Breakpoint) -> None:
        owners = self._set.get(wanted, set())
        owners.discard(owner)
        if not owners:
            self._set.pop(wanted, None)

    def forget_owner(self, owner: str) -> None:
        """A client is gone, and so is what it watched."""
        for wanted in list(self._set):
            self.removed(owner, wanted)

    def keep_only(self, wanted: Set[Breakpoint]) -> None:
        """Memory was freed: what nobody wants any more of the stub is not watched any more."""
        self._set = {watch: who for watch, who in self._set.items() if not wanted.isdisjoint(self.pieces(watch))}

    def remember(self, target: StoppedTarget) -> None:
        """The target is about to run: note what is watched, where it was not noted at the stop."""
        self._values = {watch: value for watch, value in self._values.items() if watch in self._set}
        for watch in self._set:
            value = _read(target, watch)
            if value is not None:
                self._values[watch] = value

    def explain(self, target: StoppedTarget, arch: Arch, *, trapped: bool = True) -> Watched | None:
        """The watchpoint that made the target stop, or None if none can have.

        ``trapped``: it did stop for one or for nothing known. After a step both come as one trap, so a write that
        changed nothing cannot be told from a read there.
        """
        for watch in self._set:
            value = _read(target, watch)
            if value is not None and self._values.get(watch, value) != value:
                self._values[watch] = value
                return Watched(_ACCESS[watch.kind], watch.address)
        for watch in self._set:
            if (trapped or watch.kind is BreakpointKind.ACCESS) and self._touched(watch, target, arch):
                return Watched(_ACCESS[watch.kind], watch.address)
        return None

    def _touched(self, watch: Breakpoint, target: StoppedTarget, arch: Arch) -> bool:
        """Whether an instruction that ends at the pc touches what is watched. Where it began is not known, so all
        beginnings are tried; a wrong one would have to touch just this address by chance."""
        registers = target.own
        code = _code_before(target, registers.pc)
        for start in range(len(code)):
            piece = code[start:]
            at = registers.replace({arch.pc: registers.pc - len(piece)})
            if arch.instructions.instruction_length(piece, at.pc) != len(piece):
                continue
            for address, length in arch.instructions.accesses(piece, at):
                if address < watch.address + watch.length and watch.address < address + length:
                    return True
        return False


def _code_before(target: StoppedTarget, pc: int) -> bytes:
    """The bytes that end at ``pc``, as many as the longest instruction has; fewer where a page before is missing."""
    for length in (_BEFORE, min(_BEFORE, pc % PAGE)):
        try:
            return target.read(pc - length, length)
        except MemoryFault:
            continue
    return b""


def _read(target: StoppedTarget, watch: Breakpoint) -> bytes | None:
    try:
        return target.read(watch.address, watch.length)
    except MemoryFault:
        return None
