# SPDX-License-Identifier: Apache-2.0
"""Taking over a target whose session was killed: where it really stands, and what is left of what was armed.

The stub has dropped its breakpoints when it was asked ``?``; two things remain. A processor that executed one of them
stands behind a trap that is no longer there, and would go on in the middle of an instruction. And a trap in memory that
the kernel has since given to somebody else was never the stub's to lift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from nullmodem.errors import MemoryFault, SymbolError
from nullmodem.kernel.processor import processor_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from nullmodem.session.breakpoints import Breakpoint
    from nullmodem.session.session import Session

_INT = 4
_NOBODY = -1
"""kgdb_cpu_doing_single_step while no processor steps (kernel/debug/debug_core.c)."""


class Residue(Enum):
    """What stands where a breakpoint was armed."""

    CLEAN = "as in its file"
    PATCHED = "as the kernel has patched it"
    TRAP = "a trap that is not in its file"
    UNKNOWN = "no trap; there is no file to compare with"
    GONE = "no code any more"


@dataclass(frozen=True, slots=True)
class Place:
    """A place where a breakpoint was armed, and what stands there now. ``where`` is ``module:function+0x12``."""

    address: int
    where: str
    residue: Residue


def stand_back(session: Session, armed: Iterable[Breakpoint]) -> int | None:
    """Set the processor back onto the breakpoint that it executed, if that is how it came to stop; returns where.

    Nobody has told: a step over a one-byte instruction ends in the same place. The kernel remembers whether the
    processor that stopped was stepping.

    Raises MemoryFault when the kernel's own variables cannot be read.
    """
    arch, target = session.stub.arch, session.target
    pc = target.own_pc
    address = pc - arch.pc_after_breakpoint
    here = [b for b in armed if b.address == address and b.is_software]
    by_register = any(b.address == pc and not b.is_software for b in armed)
    if not arch.pc_after_breakpoint or not here or by_register or _stepped(session):
        return None
    if target.read(address, len(arch.trap)) == arch.trap:
        return None  # compiled in: the processor goes on behind it
    target.set_registers({arch.pc: address})
    if session.stop is not None and target.interrupted is None:
        session.stop = replace(session.stop, pc=address)
    return address


def stand_others_back(session: Session, armed: Iterable[Breakpoint]) -> None:
    """The same for processors that have run into a breakpoint meanwhile, and are to report it when this stop is over.
    The stub takes only the registers of the one whose stop it is (gdb_cmd_setregs in kernel/debug/gdbstub.c), but where
    each goes back to is in memory.

    Raises MemoryFault, and LookupError for a kernel whose registers are not known.
    """
    arch, target, world = session.stub.arch, session.target, session.world
    waiting = world.threads.waiting
    if not (arch.pc_after_breakpoint and waiting):
        return
    software = {b.address for b in armed if b.is_software}
    offset = session.files.types.offset("struct pt_regs", processor_of(session.files.vmlinux.machine).saved[arch.pc])
    for cpu in waiting.keys() - (world.debug_registers.excepted() or {}).keys():
        place = waiting[cpu] + offset
        address = int.from_bytes(target.read(place, arch.word), "little") - arch.pc_after_breakpoint
        if address in software and target.read(address, len(arch.trap)) != arch.trap:
            target.write(place, address.to_bytes(arch.word, "little"))


def _stepped(session: Session) -> bool:
    """Whether the processor that stopped had been told to step."""
    stepping = _variable(session, "kgdb_cpu_doing_single_step")
    return stepping != _NOBODY and stepping == _variable(session, "kgdb_active")


def _variable(session: Session, name: str) -> int:
    address = session.world.kernel.address(name)
    if address is None:
        return _NOBODY
    return int.from_bytes(session.target.read(address, _INT), "little", signed=True)


def look_over(session: Session, armed: Collection[Breakpoint]) -> tuple[Place, ...]:
    """Compare what stands at each software breakpoint's place with the file it came from."""
    software = sorted({b.address for b in armed if b.is_software})
    return tuple(Place(at, session.world.describe(at), _residue(session, at)) for at in software)


def _residue(session: Session, address: int) -> Residue:
    trap = session.stub.arch.trap
    world = session.world
    module = world.modules.containing(address)
    if module is None and address not in world.kernel.text:
        return Residue.GONE
    try:
        live = session.target.read(address, len(trap))
    except MemoryFault:
        return Residue.GONE
    filed = _in_file(session, address, len(trap))
    if filed is None:
        return Residue.TRAP if live == trap else Residue.UNKNOWN
    if live == filed:
        return Residue.CLEAN
    return Residue.TRAP if live == trap else Residue.PATCHED


def _in_file(session: Session, address: int, length: int) -> bytes | None:
    """The bytes that the file has for an address, as far as they need no relocation."""
    world = session.world
    module = world.modules.containing(address)
    try:
        if module is None:
            return world.kernel.vmlinux.read_static(address - world.kernel.slide, length)
        for section in module.sections:
            if module.file is not None and section.present and address in section.range:
                start = address - section.address
                return module.file.section_bytes(section.section.name)[start : start + length]
    except SymbolError:
        return None
    return None
