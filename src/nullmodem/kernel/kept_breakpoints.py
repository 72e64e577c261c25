# SPDX-License-Identifier: Apache-2.0
"""The stub's breakpoints in the kernel's own memory, which tell one boot from the next.

The stub fills its slots in order, and a slot keeps its address when its breakpoint is taken out, or all are dropped
(dbg_set_sw_break and dbg_remove_all_break in kernel/debug/debug_core.c). In another boot they are empty, also where
that was loaded to the same place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.kernel.fields import WIRE_READ, Field

if TYPE_CHECKING:
    from collections.abc import Collection

    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux

_SLOTS: Final = "kgdb_break"
_SLOT: Final = "struct kgdb_bkpt"
_ADDRESS: Final = "bpt_addr"


class KeptBreakpoints:
    """Reads the slots of a kernel that runs ``slide`` bytes above its link-time address.

    Raises LookupError for a kernel of which it is not known where they are.
    """

    def __init__(self, types: TypeInfo, vmlinux: Vmlinux, slide: int) -> None:
        slots = vmlinux.symbol(_SLOTS)
        if slots is None:
            msg = f"the kernel has no {_SLOTS}"
            raise LookupError(msg)
        self._slots = slots.address + slide
        self._size = types.size(_SLOT)
        self._count = slots.size // self._size
        self._field = Field(types.offset(_SLOT, _ADDRESS), types.member_size(_SLOT, _ADDRESS))

    def include(self, memory: Memory, addresses: Collection[int]) -> bool:
        """Whether one of them is, or was, the place of a breakpoint. One read, mostly. Raises MemoryFault."""
        at_once = max(1, WIRE_READ // self._size)
        for first in range(0, self._count, at_once):
            count = min(at_once, self._count - first)
            raw = memory.read(self._slots + first * self._size, count * self._size)
            for start in range(self._field.offset, len(raw), self._size):
                address = int.from_bytes(raw[start : start + self._field.size], "little")
                if address in addresses:
                    return True
                if not address:  # and so are those behind it
                    return False
        return False
