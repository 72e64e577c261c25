# SPDX-License-Identifier: Apache-2.0
"""Two places in the kernel that tell the session of modules' lives, and how to pass them without a single-step.

Stepping off a breakpoint means lifting it while every other processor runs: an event that another one raises in that
moment would be missed, and the step costs three round trips. So each hook stands on an instruction whose effect can be
had by writing registers, if there is one while the function's arguments are still in theirs; and where the function
returns at once, as ``module_event`` does, by going to an identical piece of code elsewhere in the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from nullmodem.errors import MemoryFault
from nullmodem.session.stopped import LONGEST_INSTRUCTION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nullmodem.kernel.memory import Memory
    from nullmodem.stub.arch import Arch, RegisterValues

WINDOW = 64
"""Bytes of the function looked at, as far as they are needed."""
MAX_TWINS = 4


class HookPoint(Enum):
    """Which kernel function a hook stands in."""

    EVENT = "module_event"
    INIT = "do_init_module"

    @property
    def arguments(self) -> int:
        """How many of the function's arguments the hook needs: (nb, val, mod) of a notifier, (mod) of the other."""
        return 3 if self is HookPoint.EVENT else 1

    @property
    def window(self) -> int:
        """Bytes of the function that are likely to do: one of them returns at once."""
        return 16 if self is HookPoint.EVENT else 24


@dataclass(frozen=True, slots=True)
class Hook:
    """An internal breakpoint. ``code`` is the live text at ``address``; ``twin`` is where the same code stands again,
    reached instead of being stepped through."""

    point: HookPoint
    address: int
    code: bytes
    twin: int | None = None

    def passing(self, arch: Arch, registers: RegisterValues) -> dict[str, int] | None:
        """Registers that take the processor past the hook; None when it must be stepped."""
        if self.twin is not None:
            return {arch.pc: self.twin}
        return arch.instructions.skip(self.code, registers)


def place(arch: Arch, memory: Memory, point: HookPoint, function: int, twins: Iterable[int]) -> Hook:
    """Choose where in ``function`` (a run-time address) the hook stands.

    Args:
        twins: run-time addresses where the function's code may stand a second time.

    Raises:
        MemoryFault: the function cannot be read.
    """
    code = memory.read(function, point.window)
    instructions = arch.instructions
    arguments = frozenset(arch.arguments[: point.arguments])
    zeros = arch.parse(bytes(arch.g_length)).replace({arch.pc: function})
    entry = offset = 0
    while offset < WINDOW // 2:
        if len(code) - offset < LONGEST_INSTRUCTION and not instructions.instruction_length(code[offset:], function):
            code += memory.read(function + len(code), WINDOW - len(code))
        here, address = code[offset:], function + offset
        length = instructions.instruction_length(here, address)
        skipped = instructions.skip(here, zeros.replace({arch.pc: address}))
        if instructions.may_be_patched(here, address):
            # The kernel writes calls of its tracer to the very beginning of a function, and would not expect ours.
            if offset > entry or skipped != {arch.pc: address + length}:
                break
            entry = offset + length
        elif skipped is not None:
            return Hook(point, address, here)
        elif instructions.returns(here, address):
            twin = _find_twin(memory, code[entry : offset + length], (candidate + entry for candidate in twins))
            if twin is not None:
                return Hook(point, function + entry, code[entry:], twin)
            break
        elif not instructions.keeps(here, arguments):
            break
        offset += length
    return Hook(point, function + entry, code[entry:])


def _find_twin(memory: Memory, body: bytes, candidates: Iterable[int]) -> int | None:
    """Where the same whole function body stands again, in live memory: what the file says may have been patched."""
    for tried, address in enumerate(candidates):
        if tried == MAX_TWINS:
            break
        try:
            if memory.read(address, len(body)) == body:
                return address
        except MemoryFault:
            continue
    return None
