# SPDX-License-Identifier: Apache-2.0
"""Runs the target and understands its stops.

A stop that comes off the wire is one of many things: the end of a move in a plan, a hook in the kernel's module
loader, a breakpoint that nobody wants any more, the late report of a step that was overtaken, or what a user waits
for. Only the last is shown. On x86 every processor runs during a step too, so *which thread* reported is looked at
every time (kernel/debug/debug_core.c rounds the others up at the next stop, whatever they were doing).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from nullmodem.errors import MemoryFault
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint, BreakpointTable
from nullmodem.session.model import StopReason
from nullmodem.session.stepping import Assign, ContinuePlan, Done, Move, Plan, Run, SingleStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.rsp.replies import StopReply
    from nullmodem.session.hooks import Hook
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.stub.client import KgdbStub

SIGINT, SIGTRAP = 2, 5
HOST_SIGNALS = {7: 10, 10: 30, 12: 31}
"""The stub reports Linux's numbers where gdb has its own: SIGBUS, SIGUSR1, SIGUSR2 (include/gdb/signals.def)."""


class Arrival(Enum):
    """What a stop turned out to be."""

    MOVE_ENDED = auto()
    LATE_STEP = auto()
    UNWANTED = auto()
    FOREIGN = auto()
    HOOK = auto()
    BREAKPOINT = auto()
    UNEXPLAINED = auto()


class Owner(Protocol):
    """Who is told of what the runner cannot decide: the session."""

    def on_hook(self, hook: Hook) -> bool:
        """A hook was reached. True to go on, False when the session keeps the target stopped."""

    def on_visible(self, reason: StopReason, signal: int) -> None:
        """The plan ended, or a client's breakpoint was hit."""

    def on_unexplained(self, signal: int) -> None:
        """The target stopped for a reason of its own."""

    def on_leaving(self) -> None:
        """The target is about to run."""


@dataclass(slots=True)
class _Journey:
    """A plan under way.

    ``outstanding`` is the move the target was last set on and has not ended. ``lifted`` holds, by thread, the address
    whose breakpoints stay out until that thread has reported the step that takes it off there.
    """

    plan: Plan
    outstanding: Move | None = None
    lifted: dict[int, int] = field(default_factory=dict)


class Runner:
    """Executes plans on the stub. Used in the engine's thread only."""

    def __init__(self, stub: KgdbStub, target: StoppedTarget, table: BreakpointTable, owner: Owner) -> None:
        self._stub = stub
        self._target = target
        self._table = table
        self._owner = owner
        self._journey = _Journey(ContinuePlan())
        self._stepping: set[int] = set()
        self._passed: int | None = None
        self.hooks: dict[int, Hook] = {}
        self.interrupted: Callable[[], bool] = lambda: False

    # -- going ---------------------------------------------------------------------------------------------------

    def start(self, plan: Plan) -> None:
        """Set out on ``plan`` from where the target stands; what the last plan left undone is forgotten."""
        self._journey = _Journey(plan)
        self._passed = self._target.own.pc
        self._continue_plan()

    def go_on(self) -> None:
        """Go on with the plan under way, past where the target stands."""
        self._passed = self._target.own.pc
        self._repeat_move()

    def forget(self) -> None:
        """The plan under way has failed."""
        self._journey = _Journey(ContinuePlan())

    @property
    def plan_thread(self) -> int | None:
        """The thread that the plan under way is about."""
        return self._journey.plan.thread

    def _continue_plan(self) -> None:
        while True:
            move = self._journey.plan.next(self._target)
            if isinstance(move, Done):
                self._show(move.reason, SIGTRAP)
                return
            if isinstance(move, Assign):
                self._target.set_registers(move.values)
                self._passed = None
                continue
            self._journey.outstanding = move
            self._execute(move)
            return

    def _repeat_move(self) -> None:
        move = self._journey.outstanding
        if move is None:
            self._continue_plan()
        elif isinstance(move, SingleStep) and self._target.thread != self._journey.plan.thread:
            # The thread that steps still carries its trap flag and reports when it gets to run; what stands here
            # and now is another one.
            self._execute(Run())
        else:
            self._execute(move)

    def _execute(self, move: Move) -> None:
        """Put the target on its way. A breakpoint where it stands is passed first."""
        if self.interrupted():
            self._show(StopReason.INTERRUPT, SIGINT)
            return
        pc = self._target.own.pc
        stands = pc in self.hooks or bool(self._table.owners(pc))
        if stands and pc == self._passed and self._pass_by_registers(pc):
            if isinstance(move, SingleStep):
                self._journey.outstanding = None
                self._continue_plan()
            else:
                self._execute(move)
        elif isinstance(move, SingleStep) or (stands and pc == self._passed):
            self._step()
        elif stands:
            self._hit_without_trap(pc)
        else:
            self._table.synchronise(extra=self._temporary(move), without=self._journey.lifted.values())
            self._leave()
            if isinstance(move, Run) and move.deliver:
                self._journey.outstanding = Run()
                self._stub.deliver_fault(pc)
            else:
                self._stub.resume()

    def _step(self) -> None:
        thread = self._target.thread
        if thread is not None:
            self._stepping.add(thread)
            self._journey.lifted[thread] = self._target.own.pc
        self._table.synchronise(without=self._journey.lifted.values())
        self._leave()
        self._stub.step()

    def _leave(self) -> None:
        self._owner.on_leaving()
        self._target.flush()
        self._target.end()
        self._passed = None

    def _pass_by_registers(self, pc: int) -> bool:
        hook = self.hooks.get(pc)
        values = hook.passing(self._stub.arch, self._target.own) if hook else None
        if values is None:
            return False
        self._target.set_registers(values)
        self._passed = None
        return True

    def _temporary(self, move: Move) -> tuple[Breakpoint, ...]:
        if not isinstance(move, Run) or move.until is None:
            return ()
        return (Breakpoint(BreakpointKind.SOFTWARE, move.until, self._stub.arch.breakpoint_length),)

    # -- stopping ------------------------------------------------------------------------------------------------

    def arrived(self, reply: StopReply) -> None:
        """The target has stopped: find out what it is and go on, or tell the owner."""
        self._target.begin(reply.thread)
        hit = self._correct_pc()
        match self._classify(reply.signal, hit=hit):
            case Arrival.MOVE_ENDED:
                self._journey.outstanding = None
                self._continue_plan()
            case Arrival.HOOK:
                self._at_hook()
            case Arrival.BREAKPOINT:
                self._show(StopReason.BREAKPOINT if hit else StopReason.HARDWARE_BREAKPOINT, SIGTRAP)
            case Arrival.UNEXPLAINED:
                self._owner.on_unexplained(reply.signal)
            case Arrival.FOREIGN:
                # Somebody else ran into the plan's temporary breakpoint: take it over it and go on waiting.
                self._step()
            case Arrival.UNWANTED | Arrival.LATE_STEP:
                self._repeat_move()

    def _correct_pc(self) -> bool:
        """Whether one of our software breakpoints was executed; the pc is set back onto it."""
        before = self._target.own.pc - self._stub.arch.pc_after_breakpoint
        if not self._table.software_at(before):
            return False
        self._target.set_registers({self._stub.arch.pc: before})
        return True

    def _classify(self, signal: int, *, hit: bool) -> Arrival:
        pc, thread = self._target.own.pc, self._target.thread
        # A stepping thread that hits a breakpoint did so in an interrupt; its step is still to be reported.
        stepped = thread in self._stepping and not hit and signal == SIGTRAP
        if stepped and thread is not None:
            self._stepping.discard(thread)
        if pc in self.hooks and (hit or stepped):
            return Arrival.HOOK
        if stepped:
            return self._classify_step(thread)
        hardware = signal == SIGTRAP and any(
            b.address == pc and b.kind is BreakpointKind.HARDWARE for b in self._table.armed
        )
        if not hit and not hardware:
            return Arrival.UNEXPLAINED
        if self._table.owners(pc):
            return Arrival.BREAKPOINT
        move = self._journey.outstanding
        if isinstance(move, Run) and move.until == pc:
            return Arrival.MOVE_ENDED if thread == self._journey.plan.thread else Arrival.FOREIGN
        return Arrival.UNWANTED

    def _classify_step(self, thread: int | None) -> Arrival:
        journey = self._journey
        lifted = journey.lifted.pop(thread, None) if thread is not None else None
        if isinstance(journey.outstanding, SingleStep) and thread == journey.plan.thread:
            return Arrival.MOVE_ENDED
        if lifted is None and self._behind_trap():
            return Arrival.UNEXPLAINED
        return Arrival.LATE_STEP

    def _behind_trap(self) -> bool:
        """Whether the code itself holds a trap instruction just before the pc: then it is no late step."""
        arch = self._stub.arch
        try:
            before = self._target.read(self._target.own.pc - arch.pc_after_breakpoint, arch.pc_after_breakpoint)
        except MemoryFault:
            return False
        return before == arch.trap

    def _at_hook(self) -> None:
        pc = self._target.own.pc
        goes_on = self._owner.on_hook(self.hooks[pc])
        if self._table.owners(pc):
            self._show(StopReason.BREAKPOINT, SIGTRAP)
            return
        self._end_move_at(pc)
        if goes_on:
            self.go_on()

    def _end_move_at(self, pc: int) -> None:
        """A step, or a run to just here, that ended on a hook has ended all the same."""
        move = self._journey.outstanding
        if self._journey.plan.thread == self._target.thread and (
            isinstance(move, SingleStep) or (isinstance(move, Run) and move.until == pc)
        ):
            self._journey.outstanding = None

    def _hit_without_trap(self, pc: int) -> None:
        """The plan came to a breakpoint by other means than executing it; it counts as hit all the same."""
        if pc in self.hooks:
            self._at_hook()
        else:
            self._show(StopReason.BREAKPOINT, SIGTRAP)

    def _show(self, reason: StopReason, signal: int) -> None:
        self._passed = self._target.own.pc
        self._owner.on_visible(reason, signal)
