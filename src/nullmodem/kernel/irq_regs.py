# SPDX-License-Identifier: Apache-2.0
"""The registers of what the present interrupt has interrupted: the kernel keeps a pointer to them for its handlers.

``__irq_regs`` (lib/irq_regs.c), one for each processor, is set where an interrupt is entered and put back where it is
left. Reading it takes two small reads and one of a ``struct pt_regs``, where following the stack takes dozens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.errors import KernelDataError
from nullmodem.kernel.processor import processor_of
from nullmodem.kernel.regions import KERNEL_SPACE
from nullmodem.kernel.tasks import TaskReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux

_REGISTERS: Final = "struct pt_regs"
_VARIABLE: Final = "__irq_regs"
STACK: Final = 1 << 14
"""Bytes of a kernel stack, of tasks and of interrupts (x86 THREAD_SIZE, IRQ_STACK_SIZE)."""
_ADDRESSES: Final = 1 << 64


class InterruptRegisters:
    """Reads them in a kernel that runs ``slide`` bytes above its link-time address."""

    def __init__(self, types: TypeInfo, vmlinux: Vmlinux, slide: int) -> None:
        self._tasks = TaskReader(types, vmlinux, slide)
        self._offsets: dict[int, int] = {}
        self._variable = self._tasks.per_cpu_variable(_VARIABLE)
        self._processor = processor_of(vmlinux.machine)
        self._size, self._members = 0, dict[str, tuple[int, int]]()
        if not types.has(_REGISTERS, self._processor.saved[self._processor.pc]):
            self._variable = None
            return
        self._size = types.size(_REGISTERS)
        self._members = {
            name: (types.offset(_REGISTERS, member), types.member_size(_REGISTERS, member))
            for name, member in self._processor.saved.items()
        }

    def read(self, memory: Memory, cpu: int, sp: Callable[[], int], *, innermost: bool) -> dict[str, int] | None:
        """Registers, by gdb's names, of the code that processor ``cpu`` was taken from by the interrupt it is in.

        None when it is in none, or, unless the ``innermost`` is good enough, when the interrupted code had interrupted
        something itself: it then runs on the stack of interrupts, where ``sp`` gives a place. So does the interrupt of
        user code, on the kernel's stack of that task (run_irq_on_irqstack_cond), but user code has interrupted nothing.
        Raises MemoryFault, and KernelDataError for registers that make no sense.
        """
        if self._variable is None:
            return None
        if cpu not in self._offsets:  # it does not change while the kernel runs
            self._offsets[cpu] = self._tasks.per_cpu_offset(memory, cpu)
        pointer = int.from_bytes(memory.read((self._variable + self._offsets[cpu]) % _ADDRESSES, 8), "little")
        if pointer < KERNEL_SPACE:
            return None
        raw = memory.read(pointer, self._size)
        values = {
            name: int.from_bytes(raw[offset : offset + size], "little")
            for name, (offset, size) in self._members.items()
        }
        if self._processor.is_user(values):
            return values
        if not innermost and abs(pointer - sp()) < STACK:
            return None
        if values[self._processor.sp] < KERNEL_SPACE:
            msg = f"the interrupted code's stack would be at {values[self._processor.sp]:#x}"
            raise KernelDataError(msg)
        return values

    def is_user(self, registers: dict[str, int]) -> bool:
        """Whether these are registers of user code."""
        return self._processor.is_user(registers)
