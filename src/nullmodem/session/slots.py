# SPDX-License-Identifier: Apache-2.0
"""Which debug registers the stub has given out: it takes the first free one, and finds them again by their address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.rsp.requests import BreakpointKind

if TYPE_CHECKING:
    from nullmodem.session.breakpoints import Inserter

Layout = tuple[tuple[BreakpointKind, int], ...]
"""Kind and length of each debug register that is on, in their order."""


class Slots:
    """Passes on what the stub is told, and notes that. Implements `breakpoints.Inserter`."""

    def __init__(self, stub: Inserter) -> None:
        self._stub = stub
        self._taken: dict[int, tuple[BreakpointKind, int, int]] = {}

    @property
    def layout(self) -> Layout:
        """How processors will have their registers: they fill them from the first one on, whatever is free in between
        (kgdb_correct_hw_break in arch/x86/kernel/kgdb.c, arch_install_hw_breakpoint)."""
        return tuple((kind, length) for _slot, (kind, _address, length) in sorted(self._taken.items()))

    def insert(self, kind: BreakpointKind, address: int, length: int) -> None:
        """As the stub's (kgdb_set_hw_break)."""
        self._stub.insert(kind, address, length)
        if kind is not BreakpointKind.SOFTWARE:
            free = next(slot for slot in range(len(self._taken) + 1) if slot not in self._taken)
            self._taken[free] = kind, address, length

    def remove(self, kind: BreakpointKind, address: int, length: int) -> None:
        """As the stub's (kgdb_remove_hw_break). What it says it does not have is out, too."""
        if kind is not BreakpointKind.SOFTWARE:
            here = [slot for slot, (_kind, at, _length) in self._taken.items() if at == address]
            if here:
                del self._taken[min(here)]
        self._stub.remove(kind, address, length)

    def forget_breakpoints(self) -> None:
        """As the stub's."""
        self._stub.forget_breakpoints()
        self.forgotten()

    def forgotten(self) -> None:
        """The stub has none."""
        self._taken.clear()
