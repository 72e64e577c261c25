# SPDX-License-Identifier: Apache-2.0
"""Which processors stand still: the kernel's own record of who has come into the debugger.

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


class RoundUp:
    """Reads it in a kernel that runs ``slide`` bytes above its link-time address."""

    def __init__(self, types: TypeInfo, vmlinux: Vmlinux, slide: int) -> None:
        array = vmlinux.symbol(_ARRAY)
        self._array = None
        if array is not None and types.has(_STRUCT, _REGISTERS):
            self._array = array.address + slide
            self._size = types.size(_STRUCT)
            self._field = Field(types.offset(_STRUCT, _REGISTERS), types.member_size(_STRUCT, _REGISTERS))

    def missing(self, memory: Memory, processors: Collection[int]) -> frozenset[int]:
        """Which of these have not come. None, where the kernel does not say. Raises MemoryFault."""
        if self._array is None or not processors:
            return frozenset()
        first = min(processors)
        start = self._array + first * self._size
        raw = memory.read(start, (max(processors) - first) * self._size + self._field.end)
        places = {cpu: (cpu - first) * self._size + self._field.offset for cpu in processors}
        return frozenset(cpu for cpu, at in places.items() if not any(raw[at : at + self._field.size]))
