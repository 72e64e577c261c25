# SPDX-License-Identifier: Apache-2.0
"""The perf events through which the kernel's stub owns the processors' debug registers.

On x86 kgdb makes one event for each debug register and processor, and never enables them: it loads the registers by
itself (kgdb_arch_late and kgdb_correct_hw_break in arch/x86/kernel/kgdb.c). That a register was hit, it is told by the
event's overflow handler. Kernels since 2025, 6.1.y and 6.12.y among them, call that of active events only
(perf_swevent_event in kernel/events/core.c), so on them a hardware breakpoint or watchpoint is hit and nobody hears of
it, unless somebody has made the events active.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.kernel.regions import KERNEL_SPACE
from nullmodem.kernel.tasks import TaskReader

if TYPE_CHECKING:
    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux

_SLOTS: Final = "breakinfo"
_SLOT: Final = "struct hw_breakpoint"
_EVENT: Final = "struct perf_event"
_STATE: Final = "enum perf_event_state"
_ADDRESSES: Final = 1 << 64


class DebugEvents:
    """The states of kgdb's events, in a kernel that runs ``slide`` bytes above its link-time address.

    ``off`` and ``active`` are two states as they stand in memory. Raises LookupError for a kernel that has no such
    events: without CONFIG_PERF_EVENTS, or of another processor.
    """

    def __init__(self, types: TypeInfo, vmlinux: Vmlinux, slide: int) -> None:
        slots = vmlinux.symbol(_SLOTS)
        if slots is None:
            msg = f"the kernel has no {_SLOTS}"
            raise LookupError(msg)
        self._slots = slots.address + slide
        self._slot_size = types.size(_SLOT)
        self._count = slots.size // self._slot_size
        self._pointer = types.offset(_SLOT, "pev")
        self._address = types.offset(_SLOT, "addr"), types.member_size(_SLOT, "addr")
        self._state = types.offset(_EVENT, "state")
        self._size = types.member_size(_EVENT, "state")
        numbers = types.enumerators(_STATE)
        self.off = self._as_stored(numbers["PERF_EVENT_STATE_OFF"])
        self.active = self._as_stored(numbers["PERF_EVENT_STATE_ACTIVE"])
        self._tasks = TaskReader(types, vmlinux, slide)

    def _as_stored(self, number: int) -> bytes:
        return number.to_bytes(self._size, "little", signed=True)

    def states(self, memory: Memory, slots: int) -> dict[int, bytes]:
        """The states of every online processor's events for its first ``slots`` registers, by their addresses.

        Raises MemoryFault, KernelDataError.
        """
        offsets = self._tasks.per_cpu_offsets(memory, self._tasks.online(memory)).values()
        table = memory.read(self._slots, self._count * self._slot_size)
        found = {}
        for slot in range(min(slots, self._count)):
            at = slot * self._slot_size + self._pointer
            per_cpu = int.from_bytes(table[at : at + 8], "little")
            if not per_cpu:
                continue  # kgdb has not come to make them yet
            for offset in offsets:
                event = int.from_bytes(memory.read((per_cpu + offset) % _ADDRESSES, 8), "little")
                if event >= KERNEL_SPACE:
                    found[event + self._state] = memory.read(event + self._state, self._size)
        return found

    def has_been_used(self, memory: Memory) -> bool:
        """Whether kgdb has had a debug register since the machine came up: it takes the first one first, and keeps its
        address when it is taken out (kgdb_set_hw_break, kgdb_remove_hw_break). Raises MemoryFault."""
        offset, size = self._address
        return any(memory.read(self._slots + offset, size))
