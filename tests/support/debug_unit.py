# SPDX-License-Identifier: Apache-2.0
"""A processor's debug registers, and what the kernel does with them when it enters and leaves the debugger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nullmodem.testing.fakemachine import Machine

EXECUTE, WRITE, ACCESS = 1, 2, 4
"""The types of a hardware breakpoint, as the stub's own packets number them."""
REGISTERS: Final = 4


@dataclass
class DebugUnit:
    """``control`` is what is on, as (type, length) from the first register on; ``addresses`` are the registers' own.

    ``put_back`` is what an NMI loads when it ends, ``kept`` what a debug exception does; ``inside`` one.
    """

    control: tuple[tuple[int, int], ...] = ()
    addresses: list[int] = field(default_factory=lambda: [0] * REGISTERS)
    events: int = 0  # registers for which the kernel has an event
    put_back: tuple[tuple[int, int], ...] = ()
    kept: tuple[tuple[int, int], ...] = ()
    inside: bool = False
    waits: bool = False

    def enter(self, *, by_nmi: bool, by_trap: bool) -> None:
        """Into the debugger: a debug exception and an NMI keep what they come with (local_db_save in
        arch/x86/include/asm/debugreg.h)."""
        self.put_back = self.control if by_nmi and not self.waits else ()
        if by_trap and not self.inside:
            self.inside, self.kept = True, self.control
        self.waits = False
        self.events = 0

    def wait(self) -> None:
        """This one was not taken in by an NMI: it is in a debug exception, and reports that when the stop is over."""
        self.kept, self.put_back = self.put_back, ()
        self.inside = self.waits = True

    def leave(self, machine: Machine, *, stays: bool = False) -> None:
        """kgdb_correct_hw_break, and local_db_restore after it; ``stays``: the exception has not come to its end when
        the next stop takes this one back in."""
        if self.waits:
            return
        for number, (address, _kind, _length) in enumerate(machine.debug_registers):
            self.addresses[number] = address
        self.events = len(machine.debug_registers)
        self.control = self.put_back or tuple((kind, length) for _at, kind, length in machine.debug_registers)
        if self.inside and not stays:
            self.inside = False
            self.control = self.kept or self.control

    def settle(self) -> None:
        """Somebody has written to the kernel's memory: see `nullmodem.kernel.debug_leftovers`."""
        self.addresses = [0] * REGISTERS
        self.put_back = ()

    def stops_at(self, pc: int) -> bool | None:
        """Whether a register stands on this instruction; None where it does and the kernel has no event for it."""
        for number, (kind, _length) in enumerate(self.control):
            if kind == EXECUTE and self.addresses[number] == pc:
                return True if number < self.events else None
        return False

    def watches(self, address: int, length: int) -> bool:
        """Whether a write there is reported."""
        return any(
            kind in (WRITE, ACCESS) and at < address + length and address < at + size
            for (kind, size), at in list(zip(self.control, self.addresses, strict=False))[: self.events]
        )
