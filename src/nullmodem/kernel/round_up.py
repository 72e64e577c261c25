# SPDX-License-Identifier: Apache-2.0
"""Which processors stand still, and which wait: the kernel's own record of who has come into the debugger.

The processor that stops waits one second for the others, says so on the console, and goes on without those that did not
come (kernel/debug/debug_core.c kgdb_cpu_enter); with ``nokgdbroundup`` it waits for nobody. The stub tells nothing of
it: it answers for such a processor with what its idle task saved the last time it slept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.kernel.fields import Field

if TYPE_CHECKING:
    from collections.abc import Collection

    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux

_ARRAY: Final = "kgdb_info"
_STRUCT: Final = "struct debuggerinfo_struct"
_REGISTERS: Final = "debuggerinfo"
"""Points to the registers of a processor that is in the debugger, and to nothing else."""
_STATE: Final = "exception_state"
_WANT_MASTER: Final = 1
"""DCPU_WANT_MASTER in kernel/debug/debug_core.h: it has stopped for a reason of its own."""


class RoundUp:
    """Reads it in a kernel that runs ``slide`` bytes above its link-time address."""

    def __init__(self, types: TypeInfo, vmlinux: Vmlinux, slide: int) -> None:
        array = vmlinux.symbol(_ARRAY)
        self._array = None
        if array is not None and types.has(_STRUCT, _REGISTERS):
            self._array = array.address + slide
            self._size = types.size(_STRUCT)
            self._field = Field(types.offset(_STRUCT, _REGISTERS), types.member_size(_STRUCT, _REGISTERS))
            self._state = Field(types.offset(_STRUCT, _STATE), types.member_size(_STRUCT, _STATE))

    def registers(self, memory: Memory, processors: Collection[int]) -> dict[int, int]:
        """Where the registers are that each of these was stopped with; 0 for one that has not come.

        Empty, where the kernel does not say. Raises MemoryFault.
        """
        return {} if self._array is None else self._read(memory, processors, self._field)

    def own_stops(self, memory: Memory, processors: Collection[int]) -> dict[int, int]:
        """The same, of those that have stopped for a reason of their own. They report it one after the other."""
        if self._array is None:
            return {}
        states, registers = self._read(memory, processors, self._state), self.registers(memory, processors)
        return {cpu: registers[cpu] for cpu, state in states.items() if state & _WANT_MASTER and registers[cpu]}

    def _read(self, memory: Memory, processors: Collection[int], field: Field) -> dict[int, int]:
        assert self._array is not None
        if not processors:
            return {}
        first = min(processors)
        start = self._array + first * self._size
        raw = memory.read(start, (max(processors) - first) * self._size + field.end)
        places = {cpu: (cpu - first) * self._size + field.offset for cpu in processors}
        return {cpu: int.from_bytes(raw[at : at + field.size], "little") for cpu, at in places.items()}

    def missing(self, memory: Memory, processors: Collection[int]) -> frozenset[int]:
        """Which of these have not come. None, where the kernel does not say. Raises MemoryFault."""
        return frozenset(cpu for cpu, registers in self.registers(memory, processors).items() if not registers)
