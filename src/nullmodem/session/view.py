# SPDX-License-Identifier: Apache-2.0
"""The running kernel as the session sees it: one vmlinux, moved by the slide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nullmodem.errors import SymbolError
from nullmodem.kernel.hooks import ModuleHooks, find_hooks
from nullmodem.kernel.slide import find_slide
from nullmodem.symbols.ranges import AddressRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux

BREAK_FUNCTIONS = ("kgdb_breakpoint",)
"""Where the kernel executes a trap of its own to enter the debugger (kernel/debug/debug_core.c)."""
SMALLEST, LARGEST = 3, 16
"""Bytes of a function that does nothing but return 0, as `KernelView.twins` looks for."""


@dataclass(frozen=True, slots=True)
class KernelView:
    """vmlinux at its run-time address. All addresses here are run-time ones."""

    vmlinux: Vmlinux
    types: TypeInfo
    slide: int
    text: AddressRange
    hooks: ModuleHooks
    _breaks: tuple[AddressRange, ...] = field(repr=False)

    @classmethod
    def identify(cls, vmlinux: Vmlinux, types: TypeInfo, memory: Memory, pc: int, sp: Callable[[], int]) -> KernelView:
        """Find the slide from a stop and prove that this vmlinux is what runs. ``sp`` is asked for where it is needed.

        Raises:
            IdentityError: another kernel runs.
            KernelDataError: no kernel was found, or it cannot be watched loading modules.
        """
        slide = find_slide(vmlinux, pc, memory, stack=sp)
        breaks = []
        for name in BREAK_FUNCTIONS:
            symbol = vmlinux.symbol(name)
            if symbol is not None:
                breaks.append(AddressRange.sized(symbol.address, symbol.size).shifted(slide))
        return cls(vmlinux, types, slide, vmlinux.text.shifted(slide), find_hooks(vmlinux, types), tuple(breaks))

    def address(self, symbol: str) -> int | None:
        """Run-time address of a symbol of vmlinux."""
        found = self.vmlinux.symbol(symbol)
        return found.address + self.slide if found else None

    def describe(self, address: int) -> str:
        """``name+0x12`` for an address in vmlinux, else the number."""
        symbol = self.vmlinux.symbol_at(address - self.slide) if address >= self.slide else None
        if symbol is None:
            return f"{address:#x}"
        offset = address - self.slide - symbol.address
        return f"{symbol.name}+{offset:#x}" if offset else symbol.name

    def function_at(self, address: int) -> range:
        """The code of the function in vmlinux that holds an address; empty where none does."""
        symbol = self.vmlinux.symbol_at(address - self.slide) if address >= self.slide else None
        if symbol is None:
            return range(0)
        return range(symbol.address + self.slide, symbol.address + symbol.size + self.slide)

    def breakpoint_refusal(self, address: int) -> str:
        """Why no breakpoint may stand at an address outside all modules; empty when one may."""
        if address in self.text:
            return ""
        if address in self.vmlinux.init.shifted(self.slide):
            return "the kernel has freed its init code"
        if address in self.vmlinux.image.shifted(self.slide):
            return "that is the kernel's data"
        return "no live kernel or module code is there"

    def static_code(self, address: int, length: int) -> bytes:
        """Code as the file has it; the kernel may have patched it since. Empty where the file has none."""
        try:
            return self.vmlinux.read_static(address - self.slide, length)
        except SymbolError:
            return b""

    def in_break_function(self, address: int) -> bool:
        """Whether the kernel has stopped itself there."""
        return any(address in function for function in self._breaks)

    def behind_own_trap(self, address: int, trap: bytes) -> bool:
        """Whether the kernel has just stopped itself: ``address`` follows the ``trap`` in a function made for that."""
        if not self.in_break_function(address):
            return False
        # Where the file is stripped of code, the function is all that can be told.
        return self.static_code(address - len(trap), len(trap)) in (trap, b"")

    def twins(self, function: int) -> Iterator[int]:
        """Other functions as short as the one at ``function``, whose code in the file is the same."""
        symbol = self.vmlinux.symbol_at(function - self.slide)
        if symbol is None or not SMALLEST <= symbol.size <= LARGEST:
            return
        body = self._comparable(symbol.address, symbol.size)
        for other in self.vmlinux.functions:
            alike = other.size == symbol.size and other.address != symbol.address and other.address in self.vmlinux.text
            if alike and self._comparable(other.address, other.size) == body:
                yield other.address + self.slide

    def _comparable(self, address: int, size: int) -> bytes:
        # A jump to the return thunk is relative, so equal functions differ in its last four bytes; the kernel
        # replaces it by a return at boot where the processor needs no thunk, and live memory is compared later.
        return self.vmlinux.read_static(address, size)[: max(SMALLEST - 1, size - 4)]
