# SPDX-License-Identifier: Apache-2.0
"""Where code can go on to from an instruction, as far as it can be told without executing it.

Jumps and their conditions are followed both ways, so code with loops in it can be let run with a stop at each of the
few places where it leaves the range that is stepped over, instead of at every jump it makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.stub.arch import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Set

    from nullmodem.stub.arch import Instruction, InstructionSet

MAX_INSTRUCTIONS = 512


@dataclass(frozen=True, slots=True)
class Flow:
    """``stops``: every place where the code leaves the range, or goes on in a way that is not known beforehand.
    ``through``: the instructions on the ways to them. ``loops``: one of the ways leads back.
    ``calls``: one leads through a call that is passed over. ``moves_stack``: one changes the stack pointer.
    """

    stops: frozenset[int]
    through: frozenset[int]
    loops: bool
    calls: bool
    moves_stack: bool


def explore(
    instructions: InstructionSet,
    code_at: Callable[[int], bytes],
    pc: int,
    within: range,
    around: range,
    passable: Set[int] = frozenset(),
) -> Flow | None:
    """Follow the code from ``pc`` on as long as it stays ``within``. None where it cannot be read, or is too much.

    Args:
        code_at: the code at an address, at least one instruction of it, or nothing where it cannot be read.
        around: where code may be stopped that has just left. A jump to anywhere else is a stop itself: it may lead to
            what everybody runs through all the time, such as the kernel's return thunk, the debugger included.
        passable: functions whose calls are no reason to stop: what follows the call is where the code goes on.
    """
    seen: set[int] = set()
    stops: set[int] = set()
    waiting = [pc]
    loops = calls = moves_stack = False
    while waiting:
        at = waiting.pop()
        if at in seen or at in stops:
            continue
        if at not in within:
            stops.add(at)
            continue
        instruction = instructions.decode(code_at(at), at)
        if instruction is None or len(seen) >= MAX_INSTRUCTIONS:
            return None
        following = _following(instruction, at, instructions, code_at, passable)
        if not following or any(place not in within and place not in around for place in following):
            stops.add(at)
            continue
        seen.add(at)
        calls = calls or instruction.kind is Kind.CALL
        moves_stack = moves_stack or (instruction.kind is not Kind.CALL and instruction.stack != 0)
        loops = loops or any(place <= at and place in within for place in following)
        waiting += following
    return Flow(frozenset(stops), frozenset(seen), loops, calls, moves_stack)


def _following(
    instruction: Instruction,
    at: int,
    instructions: InstructionSet,
    code_at: Callable[[int], bytes],
    passable: Set[int],
) -> list[int]:
    """Where the code may go on; empty when that is not known."""
    after, target = at + instruction.length, instruction.target
    match instruction.kind:
        case Kind.PLAIN:
            return [after]
        case Kind.CALL if target in passable:
            return [after]
        case Kind.BRANCH if target is not None:
            return [after, target]
        case Kind.JUMP if target is not None:
            # The kernel may turn it into a nop while it runs (static keys), and it goes on behind it.
            is_code = instructions.decode(code_at(after), after) is not None
            return [target, after] if is_code else [target]
        case _:
            return []
