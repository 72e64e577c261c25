# SPDX-License-Identifier: Apache-2.0
"""Which processors are in a debug exception, when the kernel stands in the debugger.

One of them has stopped for it. Another may have stopped for its own and wait until the first one's stop is over
(kgdb_cpu_enter in kernel/debug/debug_core.c), and one that has just left the debugger may not have come to the end of
exc_debug_kernel (arch/x86/kernel/traps.c), when an NMI takes it back in. All three will load the control register that
they came with. x86-64 takes a debug exception of the kernel on a stack of its own, at the top of which the registers of
the interrupted code are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.kernel.fields import Field
from nullmodem.kernel.processor import processor_of
from nullmodem.kernel.round_up import RoundUp
from nullmodem.kernel.tasks import TaskReader

if TYPE_CHECKING:
    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux

_REGISTERS: Final = "struct pt_regs"
_STACKS: Final = "struct cea_exception_stacks"
_ADDRESSES: Final = 1 << 64
_SELECTOR: Final = 0xFFFF
_KERNEL_CODE: Final = 0x10
"""__KERNEL_CS in arch/x86/include/asm/segment.h."""


@dataclass(frozen=True, slots=True)
class Excepted:
    """A processor in a debug exception: where that goes back to. ``own``: it has stopped the kernel, or waits
    for that."""

    pc: int
    own: bool


class DebugExceptions:
    """Finds them in a kernel that runs ``slide`` bytes above its link-time address.

    Raises LookupError for a kernel that has no such stack: of another processor, or before 5.2.
    """

    def __init__(self, types: TypeInfo, vmlinux: Vmlinux, slide: int) -> None:
        processor = processor_of(vmlinux.machine)
        self._tasks = TaskReader(types, vmlinux, slide)
        self._round_up = RoundUp(types, vmlinux, slide)
        stacks = self._tasks.per_cpu_variable("cea_exception_stacks")
        if stacks is None:
            msg = "the kernel has no cea_exception_stacks"
            raise LookupError(msg)
        self._stacks = stacks
        self._stack = Field(types.offset(_STACKS, "DB_stack"), types.member_size(_STACKS, "DB_stack"))
        self._size = types.size(_REGISTERS)
        self._sp = types.offset(_REGISTERS, processor.saved[processor.sp])
        self._pc = types.offset(_REGISTERS, processor.saved[processor.pc])
        self._cs = types.offset(_REGISTERS, processor.saved["cs"])
        self._found: dict[int, int] = {}  # where stacks are: they do not move while the kernel runs

    def find(self, memory: Memory) -> dict[int, Excepted]:
        """Them, by processor, with the one whose stop it is. Raises MemoryFault, KernelDataError."""
        online = self._tasks.online(memory)
        own = self._round_up.own_stops(memory, online)
        found = {}
        for cpu, registers in self._round_up.registers(memory, online).items():
            stack = self._stack_of(memory, cpu)
            if registers in stack or (registers and _word(memory, registers + self._sp) in stack):
                interrupted = stack.stop - self._size
                # FRED puts more there (struct fred_info in arch/x86/include/asm/fred.h): another word would be here.
                if _word(memory, interrupted + self._cs) & _SELECTOR == _KERNEL_CODE:
                    found[cpu] = Excepted(_word(memory, interrupted + self._pc), own=cpu in own)
        return found

    def _stack_of(self, memory: Memory, cpu: int) -> range:
        if cpu not in self._found:
            offset = self._tasks.per_cpu_offset(memory, cpu)
            self._found[cpu] = _word(memory, (self._stacks + offset) % _ADDRESSES) + self._stack.offset
        return range(self._found[cpu], self._found[cpu] + self._stack.size)


def _word(memory: Memory, address: int) -> int:
    return int.from_bytes(memory.read(address, 8), "little")
