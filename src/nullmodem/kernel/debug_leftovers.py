# SPDX-License-Identifier: Apache-2.0
"""What the kernel puts into processors' debug registers when they leave the debugger, and should not.

A processor that entered the debugger by an NMI, as all do that another one's stop rounds up, gets back the control
register (DR7) that it came with: exc_nmi in arch/x86/kernel/nmi.c keeps it in ``nmi_dr7``, and local_db_restore
(arch/x86/include/asm/debugreg.h) loads it unless it is 0. So what kgdb has changed meanwhile does not count there. And
``cpu_debugreg``, from which hw_breakpoint_restore loads the address registers (arch/x86/kernel/hw_breakpoint.c), keeps
the address of a breakpoint that was taken out. Where the two come together, a processor stops at an address for which
the kernel has no event: hw_breakpoint_handler does not set the resume flag then, and it stops there for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.kernel.tasks import TaskReader

if TYPE_CHECKING:
    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux

REGISTERS: Final = 4
"""HBP_NUM of x86."""
WORD: Final = 8
_ADDRESSES: Final = 1 << 64


class DebugLeftovers:
    """Finds them in a kernel that runs ``slide`` bytes above its link-time address.

    Raises LookupError for a kernel without such variables: of another processor, or without CONFIG_PERF_EVENTS.
    """

    def __init__(self, types: TypeInfo, vmlinux: Vmlinux, slide: int) -> None:
        self._tasks = TaskReader(types, vmlinux, slide)
        self._events = self._variable("bp_per_reg")
        self._kept = self._variable("cpu_debugreg")
        self._control = self._variable("nmi_dr7")
        self._offsets: dict[int, int] = {}  # they do not change while the kernel runs

    def _variable(self, name: str) -> int:
        found = self._tasks.per_cpu_variable(name)
        if found is None:
            msg = f"the kernel has no {name}"
            raise LookupError(msg)
        return found

    def find(self, memory: Memory) -> tuple[int, ...]:
        """Addresses of words of `WORD` bytes that ought to be 0 and are not: addresses of registers that no event of
        the stopped processor is in, and control registers to be put back.

        Raises MemoryFault, KernelDataError.
        """
        cpus = self._tasks.online(memory)
        if not self._offsets.keys() >= set(cpus):
            self._offsets = self._tasks.per_cpu_offsets(memory, cpus)
        found: list[int] = []
        for cpu in cpus:
            events = self._words(memory, cpu, self._events)
            for number, kept in enumerate(self._words(memory, cpu, self._kept)):
                if kept and not events[number]:
                    found.append(self._place(cpu, self._kept) + number * WORD)
            if any(memory.read(self._place(cpu, self._control), WORD)):
                found.append(self._place(cpu, self._control))
        return tuple(found)

    def _place(self, cpu: int, variable: int) -> int:
        return (variable + self._offsets[cpu]) % _ADDRESSES

    def _words(self, memory: Memory, cpu: int, variable: int) -> list[int]:
        raw = memory.read(self._place(cpu, variable), REGISTERS * WORD)
        return [int.from_bytes(raw[at : at + WORD], "little") for at in range(0, len(raw), WORD)]
