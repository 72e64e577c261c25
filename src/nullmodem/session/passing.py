# SPDX-License-Identifier: Apache-2.0
"""Getting past a breakpoint without taking it out: what its instruction does to the registers is written into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.session.stopped import RegistersAtNeed

if TYPE_CHECKING:
    from nullmodem.session.hooks import Hook
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.stub.arch import Arch


def registers_past(arch: Arch, target: StoppedTarget, hook: Hook | None) -> dict[str, int] | None:
    """The registers that differ behind the instruction where the target stands, on a ``hook`` if there is one.

    None where they are not known, or the instruction does more than change registers.
    """
    registers, pc = RegistersAtNeed(target), target.own_pc
    if hook is not None:
        return hook.passing(arch, registers)
    code = target.code_at(pc)
    return None if arch.instructions.may_be_patched(code, pc) else arch.instructions.skip(code, registers)
