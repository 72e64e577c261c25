# SPDX-License-Identifier: Apache-2.0
"""How to get from here to there with the fewest stops.

A plan says what to do next, given the target standing still, and never talks to it. Stepping over a source line means
running until the pc leaves a range of addresses. One instruction at a time costs a stop each; here the code is let run,
loops and all, to the places where it leaves the range, which have a temporary breakpoint each. A jump whose outcome the
registers decide is taken by writing the pc, and only what is left (calls, returns, indirect jumps) is single-stepped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nullmodem.session.flow import explore
from nullmodem.session.model import ResumeKind, StopReason
from nullmodem.session.passed_calls import Call
from nullmodem.session.stopped import LONGEST_INSTRUCTION, RegistersAtNeed
from nullmodem.stub.arch import Kind

if TYPE_CHECKING:
    from collections.abc import Set

    from nullmodem.session.model import Resume
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.stub.arch import Arch, Registers

STACK_WINDOW = 1 << 14
"""Bytes. A temporary breakpoint reached with the stack pointer farther away than a kernel stack is large was reached
by somebody else: an interrupt handler runs on a stack of its own under the same thread id."""

MAX_STOPS = 6
"""Temporary breakpoints of one run."""
STEP_COST, RUN_COST, STOP_COST = 74, 155, 86
"""Characters on the wire, with ten more for each round trip: of a step; of a run that ends on a breakpoint (the pc is
set back besides); and for putting a breakpoint in and taking it out."""
MAX_ASSIGNED = 8
"""Jumps taken in a row by writing the pc before one is left to the processor."""


@dataclass(frozen=True, slots=True)
class Run:
    """Let the target run; stop the plan's thread at one of ``until``, with its stack pointer near ``sp`` if that is
    given, just there when ``exact``. ``through``: the instructions on the way. ``deliver``: the fault that stopped the
    kernel is handed to it."""

    until: frozenset[int] = frozenset()
    sp: int | None = None
    exact: bool = False
    through: frozenset[int] = frozenset()
    deliver: bool = False

    def stops_at(self, sp: int) -> bool:
        """Whether a thread with this stack pointer has come where it was to come, and not one on top of it."""
        if self.sp is None:
            return True
        return sp == self.sp if self.exact else abs(sp - self.sp) < STACK_WINDOW


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
        if not self._returned and (target.own_pc, target.own_sp) != (self._pc, self._sp):
            return Run(frozenset({self._pc}), self._sp)
        self._returned = True
        return self._then.next(target)


class StepPlan:
    """One instruction. ``alone``: what other threads run into meanwhile is to wait."""

    def __init__(self, thread: int | None, *, alone: bool = False) -> None:
        self.thread = thread
        self.alone = alone
        self._done = False

    def next(self, target: StoppedTarget) -> Move:  # noqa: ARG002
        if self._done:
            return Done(StopReason.STEP)
        self._done = True
        return SingleStep()


class RangePlan:
    """Run while the pc is in [start, end). A call leaves the range; gdb then returns from it and asks again.

    Code that was read at an earlier stop is good enough (`StoppedTarget.code_at`), although the kernel patches its text
    while it runs: what it patches is a jump, which is taken to go both ways, or a call or a nop of a jump's size, where
    a run ends, and there the bytes of the moment decide.

    Args:
        around: where a run may be stopped that has left the range: the function that is stepped in.
        passable: functions that whoever asked steps over, as is known; their calls do not leave the range.
    """

    def __init__(
        self,
        arch: Arch,
        thread: int | None,
        start: int,
        end: int,
        *,
        around: range = range(0),
        passable: Set[int] = frozenset(),
    ) -> None:
        self.thread = thread
        self._arch = arch
        self._within = range(start, end)
        self._around = around or range(start, end + 1)
        self._passable = passable
        self._moved = False
        self._assigned = 0
        self._called: Call | None = None

    @property
    def called(self) -> Call | None:
        """The call that has ended the plan, if one has."""
        return self._called

    def next(self, target: StoppedTarget) -> Move:
        pc = target.own_pc
        if pc not in self._within:
            # gdb may ask for a range the pc has left already; it expects one step at least.
            return self._ended(pc) if self._moved else self._moving(SingleStep())
        here = self._arch.instructions.decode(self._read(target, pc), pc)
        if here is None:
            return self._moving(SingleStep())
        passed = here.kind is Kind.CALL and here.target in self._passable
        if here.kind in (Kind.PLAIN, Kind.BRANCH) or passed:
            run = self._run(target, pc)
            if run is not None or here.kind is Kind.PLAIN:
                return self._moving(run or SingleStep())
        return self._moving(self._transfer(target, pc))

    def _ended(self, pc: int) -> Done:
        if self._called is not None and self._called.function != pc:
            self._called = None
        return Done(StopReason.STEP)

    def _run(self, target: StoppedTarget, pc: int) -> Run | None:
        """A run, where that is worth it: not over two instructions, and not from where it has to stop at once."""
        instructions = self._arch.instructions
        flow = explore(instructions, lambda at: self._read(target, at), pc, self._within, self._around, self._passable)
        if flow is None or pc in flow.stops or not 0 < len(flow.stops) <= MAX_STOPS:
            return None
        # With a call on the way, a deeper turn of the same function may come to the same places first: its stack
        # pointer tells, unless that changes on the way.
        if flow.calls and flow.moves_stack:
            return None
        cost = RUN_COST + STOP_COST * len(flow.stops)
        if not (flow.loops or flow.calls or cost <= STEP_COST * len(flow.through)):
            return None
        return Run(flow.stops, target.own_sp, exact=flow.calls, through=flow.through)

    def _transfer(self, target: StoppedTarget, pc: int) -> Move:
        """A jump, a call, a return or a nop that may become a jump."""
        instructions = self._arch.instructions
        code = self._read(target, pc)
        here = instructions.decode(code, pc)
        if here is not None and here.kind is Kind.CALL and here.target is not None:
            # Whether it has led there the pc will show.
            self._called = Call(here.target, pc + here.length, target.own_sp)
            return SingleStep()
        if instructions.may_be_patched(code, pc):
            code = target.read(pc, min(len(code), LONGEST_INSTRUCTION))
        values = instructions.skip(code, RegistersAtNeed(target))
        # Code that only jumps, such as a loop without a body, must reach the target: it has to stay interruptible.
        if values is None or self._assigned >= MAX_ASSIGNED:
            return SingleStep()
        return Assign(values)

    def _moving(self, move: Move) -> Move:
        self._moved = True
        self._assigned = self._assigned + 1 if isinstance(move, Assign) else 0
        return move

    def _read(self, target: StoppedTarget, pc: int) -> bytes:
        """Code from ``pc`` on, to the end of the range or farther; empty where it cannot be read."""
        return target.code_at(pc, self._within.stop - pc)


def plan_for(
    request: Resume,
    arch: Arch,
    thread: int | None,
    interrupted: Registers | None,
    around: range = range(0),
    passable: Set[int] = frozenset(),
) -> Plan:
    """The plan for what a client asked of the thread that stopped; ``interrupted`` are the registers it was shown in
    place of the debugger's own entry path, if it was; the rest is as for `RangePlan`."""
    plan: Plan
    match request.kind:
        case ResumeKind.CONTINUE:
            return ContinuePlan(deliver=request.deliver)
        case ResumeKind.STEP:
            plan = StepPlan(thread, alone=request.alone)
        case ResumeKind.RANGE:
            plan = RangePlan(arch, thread, request.start, request.end, around=around, passable=passable)
    return plan if interrupted is None else ReturnPlan(thread, interrupted, plan)
