# SPDX-License-Identifier: Apache-2.0
"""What the knowledge of a stopped kernel needs to know of each processor: how the kernel names its registers.

``struct pt_regs`` and drgn have names of their own; everybody else here uses gdb's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import drgn

from nullmodem.errors import KernelDataError

if TYPE_CHECKING:
    from collections.abc import Mapping

_EM_X86_64: Final = 62


@dataclass(frozen=True, slots=True)
class Processor:
    """One architecture. ``saved`` maps gdb's register names to members of struct pt_regs; ``unwound`` to drgn's.

    ``pc``, ``sp``: gdb's names of the two. ``page_table``: the symbol of the kernel's top page table, which drgn wants
    named. ``switch_frame``: members of struct inactive_task_frame, by gdb's names, that a sleeping task's registers
    stand in; ``inactive_pc`` is the one that holds where it goes on.
    """

    machine: int
    architecture: drgn.Architecture
    pc: str
    sp: str
    page_table: str
    saved: Mapping[str, str]
    unwound: Mapping[str, str]
    switch_frame: Mapping[str, str]

    def is_user(self, registers: Mapping[str, int]) -> bool:
        """Whether these are registers of user code."""
        return bool(registers.get("cs", 0) & 3)


_X86_64_GENERAL: Final = {
    **{f"r{name}": name for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")},
    **{f"r{number}": f"r{number}" for number in range(8, 16)},
}

_X86_64: Final = Processor(
    machine=_EM_X86_64,
    architecture=drgn.Architecture.X86_64,
    pc="rip",
    sp="rsp",
    page_table="init_top_pgt",
    saved={**_X86_64_GENERAL, "rip": "ip", "eflags": "flags", "cs": "cs", "ss": "ss"},
    unwound={**{name: name for name in _X86_64_GENERAL}, "rip": "rip", "eflags": "rflags", "cs": "cs", "ss": "ss"},
    switch_frame={"r15": "r15", "r14": "r14", "r13": "r13", "r12": "r12", "rbx": "bx", "rbp": "bp", "rip": "ret_addr"},
)

_PROCESSORS: Final = {processor.machine: processor for processor in (_X86_64,)}


def processor_of(machine: int) -> Processor:
    """The processor with this ELF machine number. Raises KernelDataError when it is not supported yet."""
    found = _PROCESSORS.get(machine)
    if found is None:
        msg = f"kernels for ELF machine {machine} are not supported; x86-64 is"
        raise KernelDataError(msg)
    return found
