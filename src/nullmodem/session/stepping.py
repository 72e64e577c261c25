# SPDX-License-Identifier: Apache-2.0
"""How to get from here to there with the fewest stops.

A plan says what to do next, given the target standing still, and never talks to it. Stepping over a source line means
running until the pc leaves a range of addresses. One instruction at a time costs a stop each; here straight-line code
is run to its end on a temporary breakpoint, a jump whose outcome the registers decide is taken by writing the pc, and
only what is left (calls, returns, indirect jumps) is single-stepped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nullmodem.errors import MemoryFault
from nullmodem.session.model import ResumeKind, StopReason

if TYPE_CHECKING:
    from nullmodem.session.model import Resume
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.stub.arch import Arch, Registers

STACK_WINDOW = 1 << 14
"""Bytes. A temporary breakpoint reached with the stack pointer farther away than a kernel stack is large was reached
by somebody else: an interrupt handler runs on a stack of its own under the same thread id."""

MAX_INSTRUCTION = 16
MAX_CODE, CODE_WINDOW = 256, 128
MAX_KNOWN = 256
MIN_RUN = 3
"""Instructions in a row from which on a run is worth it: a step costs two round trips, a run on a temporary breakpoint
five (insert, continue, registers, remove, set the pc back)."""
MAX_ASSIGNED = 8
"""Jumps taken in a row by writing the pc before one is left to the processor."""


@dataclass(frozen=True, slots=True)
class Run:
    """Let the target run; stop the plan's thread at ``until``, if that is given, with its stack pointer near ``sp``.
    ``deliver``: the fault that stopped the kernel is handed to it."""

    until: int | None = None
    sp: int | None = None
    deliver: bool = False


@dataclass(frozen=True, slots=True)
class SingleStep:
    """Execute one instruction."""


@dataclass(frozen=True, slots=True)
class Assign:
    """Do an instruction's work by writing these registers."""

    values: dict[str, int]


@dataclass(frozen=True, slots=True)
class Done:
    """The plan has reached its end."""

    reason: StopReason


Move = Run | SingleStep | Assign | Done


class Plan(Protocol):
    """What a client asked for, as a series of moves. ``thread`` is the one it is about, None for all."""

    @property
    def thread(self) -> int | None: ...

    def next(self, target: StoppedTarget) -> Move:
        """The next move. Called at the start and whenever the last move has ended where it should."""


class ContinuePlan:
    """Run until something else stops the target; ``deliver`` hands the fault it stopped for to the kernel first."""

    thread: int | None = None

    def __init__(self, *, deliver: bool = False) -> None:
        self._deliver = deliver

    def next(self, target: StoppedTarget) -> Move:  # noqa: ARG002
        deliver, self._deliver = self._deliver, False
        return Run(deliver=deliver)


class ReturnPlan:
    """Leave the debugger's own entry path first: run to where the break-in met the interrupted code, then go on."""

    def __init__(self, thread: int | None, interrupted: Registers, then: Plan) -> None:
        self.thread = thread
        self._pc = interrupted.pc
        self._sp = interrupted.sp
        self._then = then
        self._returned = False

    def next(self, target: StoppedTarget) -> Move:
        if not self._returned and (target.own.pc, target.own.sp) != (self._pc, self._sp):
            return Run(self._pc, self._sp)
        self._returned = True
        return self._then.next(target)


class StepPlan:
    """One instruction."""

    def __init__(self, thread: int | None) -> None:
        self.thread = thread
        self._done = False

    def next(self, target: StoppedTarget) -> Move:  # noqa: ARG002
        if self._done:
            return Done(StopReason.STEP)
        self._done = True
        return SingleStep()


class RangePlan:
    """Run while the pc is in [start, end). A call leaves the range; gdb then returns from it and asks again.

    ``known`` is code that was read before, by address; what is read is added. That is safe although the kernel patches
    its text while it runs, because what it patches is a jump or a nop of a jump's size, and
    `InstructionSet.straight_length` ends before both: at those the bytes of the moment decide.
    """

    def __init__(
        self, arch: Arch, thread: int | None, start: int, end: int, known: dict[int, bytes] | None = None
    ) -> None:
        self.thread = thread
        self._arch = arch
        self._start = start
        self._end = end
        self._moved = False
        self._assigned = 0
        self._code = {} if known is None else known

    def next(self, target: StoppedTarget) -> Move:
        registers = target.own
        pc = registers.pc
        if not self._start <= pc < self._end:
            # gdb may ask for a range the pc has left already; it expects one step at least.
            return Done(StopReason.STEP) if self._moved else self._moving(SingleStep())
        code = self._read(target, pc)
        if not code:
            return self._moving(SingleStep())
        straight = self._arch.instructions.straight_length(code, pc)
        if not straight:
            return self._moving(self._transfer(target, code, registers))
        worth_it = self._count(code[:straight], pc) >= MIN_RUN
        return self._moving(Run(min(pc + straight, self._end), registers.sp) if worth_it else SingleStep())

    def _count(self, code: bytes, pc: int) -> int:
        """How many instructions ``code`` begins with, counted up to MIN_RUN."""
        count = offset = 0
        while offset < len(code) and count < MIN_RUN:
            offset += max(1, self._arch.instructions.instruction_length(code[offset:], pc + offset))
            count += 1
        return count

    def _transfer(self, target: StoppedTarget, code: bytes, registers: Registers) -> Move:
        """A jump, a call, a return or a nop that may become a jump."""
        instructions = self._arch.instructions
        if instructions.may_be_patched(code, registers.pc):
            code = target.read(registers.pc, min(len(code), MAX_INSTRUCTION))
        values = instructions.skip(code, registers)
        # Code that only jumps, such as a loop without a body, must reach the target: it has to stay interruptible.
        if values is None or self._assigned >= MAX_ASSIGNED:
            return SingleStep()
        return Assign(values)

    def _moving(self, move: Move) -> Move:
        self._moved = True
        self._assigned = self._assigned + 1 if isinstance(move, Assign) else 0
        return move

    def _read(self, target: StoppedTarget, pc: int) -> bytes:
        """Code from ``pc`` to the end of the range, at most 256 bytes; empty where it cannot be read."""
        for base, code in self._code.items():
            if base <= pc and min(self._end, pc + MAX_INSTRUCTION) <= base + len(code):
                return code[pc - base : self._end - base]
        # More than the range: an optimised line is many short ranges, and the next one is near.
        length = max(CODE_WINDOW, min(self._end - pc, MAX_CODE))
        try:
            code = target.read(pc, length)
        except MemoryFault:
            return b""
        if len(self._code) >= MAX_KNOWN:
            self._code.clear()
        self._code[pc] = code
        return code[: self._end - pc]


def plan_for(
    request: Resume, arch: Arch, thread: int | None, interrupted: Registers | None, known: dict[int, bytes]
) -> Plan:
    """The plan for what a client asked of the thread that stopped; ``interrupted`` are the registers it was shown in
    place of the debugger's own entry path, if it was; ``known`` is code that was read before."""
    plan: Plan
    match request.kind:
        case ResumeKind.CONTINUE:
            return ContinuePlan(deliver=request.deliver)
        case ResumeKind.STEP:
            plan = StepPlan(thread)
        case ResumeKind.RANGE:
            plan = RangePlan(arch, thread, request.start, request.end, known)
    return plan if interrupted is None else ReturnPlan(thread, interrupted, plan)
