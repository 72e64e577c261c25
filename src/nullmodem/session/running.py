# SPDX-License-Identifier: Apache-2.0
"""Runs the target and understands its stops.

A stop that comes off the wire is one of many things: the end of a move in a plan, a hook in the kernel's module
loader, a breakpoint that nobody wants any more, the late report of a step that was overtaken, or what a user waits
for. Only the last is shown. On x86 every processor runs during a step too, so *which thread* reported is looked at
every time (kernel/debug/debug_core.c rounds the others up at the next stop, whatever they were doing).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nullmodem.session.arming import Arming
from nullmodem.session.arrival import Arrival
from nullmodem.session.guard import Guard
from nullmodem.session.journey import Journey
from nullmodem.session.model import StopReason
from nullmodem.session.passing import registers_past
from nullmodem.session.signals import SIGINT, SIGTRAP
from nullmodem.session.stepping import (
    Assign,
    ContinuePlan,
    Done,
    RangePlan,
    Run,
    SingleStep,
)
from nullmodem.session.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.rsp.replies import StopReply
    from nullmodem.session.breakpoints import BreakpointTable
    from nullmodem.session.hooks import Hook
    from nullmodem.session.owner import Owner
    from nullmodem.session.stepping import Plan
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.session.world import World
    from nullmodem.stub.client import KgdbStub

MOST_HELD = 100
"""How often a thread is sent back onto a breakpoint until another one has come where it is to stop. That one may wait
for the same processor, which the first gives up to it within some ticks of the clock, or for the first itself."""


class Runner:
    """Executes plans on the stub. Used in the engine's thread only.

    ``hooks`` are the session's own breakpoints by address; ``interrupted`` tells whether somebody wants the target
    stopped, ``is_break_in`` whether a pc is where the kernel enters the debugger by itself.
    """

    def __init__(self, stub: KgdbStub, target: StoppedTarget, table: BreakpointTable, owner: Owner) -> None:
        self._stub = stub
        self._target = target
        self._table = table
        self._owner = owner
        self._journey = Journey(ContinuePlan())
        self._steps = Steps(stub.arch, target)
        self.guard = Guard(stub.arch, target, table)
        self._arm = Arming(stub.arch, target, table, self._steps)
        self.registers = self._arm.registers
        self._trapped = False  # the target's thread is in a debug exception
        self._passed: int | None = None
        self._held = 0
        self.hooks: dict[int, Hook] = {}
        self.interrupted: Callable[[], bool] = lambda: False
        self.is_break_in: Callable[[int], bool] = lambda _pc: False

    def meet(self, world: World) -> None:
        """The target is known from here on."""
        self.hooks = world.hooks
        self.is_break_in = partial(world.kernel.behind_own_trap, trap=self._stub.arch.trap)
        self.guard.ready = world.can_hold_a_place
        self.registers.settle = world.debug_registers.settle
        self.registers.alone = lambda: world.threads.processors == 1
        self.registers.here = world.threads.current_processor
        self.registers.met(used=world.debug_registers.have_been_used())

    # -- going ---------------------------------------------------------------------------------------------------

    def start(self, plan: Plan, *, passing: bool = False, awaited: int | None = None) -> None:
        """Set out on ``plan`` from where the target stands; what the last plan left undone is forgotten.

        ``passing``: a client runs to where a call returns to, on its way through a line, and will step on from there;
        ``awaited``: it is there that it waits for the target's thread, and for no other.
        """
        self._journey = Journey(plan, passing, None if awaited is None else (self._target.thread, awaited))
        self._held = 0
        self._passed = self._target.own_pc
        self._continue_plan()

    def go_on(self) -> None:
        """Go on with the plan under way, past where the target stands."""
        self._passed = self._target.own_pc
        self._repeat_move()

    def forget(self) -> None:
        """The plan under way has failed."""
        self._journey = Journey(ContinuePlan())

    @property
    def late_steps(self) -> frozenset[int]:
        """The threads whose steps were overtaken: each stops the kernel once more when it gets to run."""
        return self._steps.threads

    @property
    def plan(self) -> Plan:
        """The plan under way, or the last one."""
        return self._journey.plan

    @property
    def passes_calls(self) -> bool:
        """Whether the target runs through functions that its client steps over."""
        move = self._journey.outstanding
        return isinstance(move, Run) and move.exact

    @property
    def plan_thread(self) -> int | None:
        """The thread that the plan under way is about."""
        return self._journey.plan.thread

    def _continue_plan(self) -> None:
        while True:
            if self._stands() and self._target.own_pc != self._passed:
                self._hit_without_trap()
                return
            move = self._journey.plan.next(self._target)
            if isinstance(move, Done):
                self._show(move.reason, SIGTRAP)
                return
            if not isinstance(move, Assign):
                self._journey.outstanding = move
                self._execute(move)
                return
            self._target.set_registers(move.values)
            self._passed = None

    def _repeat_move(self) -> None:
        move = self._journey.outstanding
        if move is None:
            self._continue_plan()
        elif isinstance(move, SingleStep) and self._journey.plan.thread in self._steps:
            # The thread that steps still carries its trap flag and reports when it gets to run; what stands here
            # and now is another one, or an interrupt on top of it.
            self._execute(Run())
        else:
            self._execute(move)

    def _execute(self, move: Run | SingleStep) -> None:
        """Put the target on its way. A breakpoint where it stands is passed first."""
        if self.interrupted():
            self._show(StopReason.INTERRUPT, SIGINT)
            return
        pc = self._target.own_pc
        stands = self._stands()
        if stands and pc == self._passed and self._pass_by_registers(pc):
            arrived = isinstance(move, SingleStep) or self._target.own_pc in move.until
            if arrived and self._journey.plan.thread == self._target.thread:
                self._journey.outstanding = None
                self._continue_plan()
            else:
                self._execute(move)
        elif stands and pc != self._passed:
            self._hit_without_trap()
        elif isinstance(move, SingleStep) or stands or pc in move.until:
            self._step()
        else:
            self._run(move)

    def _stands(self) -> bool:
        """Whether somebody wants the target stopped just where it stands."""
        pc = self._target.own_pc
        return pc in self.hooks or bool(self._table.owners(pc))

    def _run(self, move: Run) -> None:
        # A temporary breakpoint stays in even where another thread is to leave it: hitting it again does no harm.
        pc = self._target.own_pc
        keeping = self._journey.passing or bool(move.through)
        without = (self._steps.places | {pc}) - move.until
        self._arm(move.until | self._net(), without, trapped=self._trapped, keeping=keeping, dropping=move.through)
        self._leave()
        if move.deliver:
            self._journey.outstanding = Run()
            self._stub.deliver_fault(pc)
        else:
            self._stub.resume()

    def _step(self) -> None:
        # Before the flag is set, as what the registers are now tells what a step did.
        self._steps.begin()
        wanted = self._stands() or self._journey.awaits(self._target.own_pc)
        if self.guard.begin(wanted=wanted, held=self._steps.held):
            self._steps.hold()
        # An emulated processor that steps onto a watchpoint takes one trap inside the other, on the same stack, and the
        # kernel does not survive it. What a step writes is found by comparing what is watched (`on_stepped`).
        # What the plan waits for elsewhere stays in: its thread may get there while this one is taken on.
        move = self._journey.outstanding
        waits = isinstance(move, Run) or self._target.thread != self.plan_thread
        addresses = (move.until if isinstance(move, Run) else self._net()) if waits else frozenset()
        keeping = isinstance(self._journey.plan, RangePlan)
        self._arm(addresses, self._steps.places, trapped=self._trapped, watching=False, keeping=keeping)
        self._leave()
        self._stub.step()

    def _wait_at_guard(self) -> None:
        """Have this thread stopped again where a debug register has stopped it."""
        self.guard.stop_again()
        self._arm(self._net(), self._steps.places, trapped=self._trapped, watching=False)
        self._leave()
        self._stub.resume()

    def _leave(self) -> None:
        self._target.flush()
        self._owner.on_leaving()
        self._target.end()
        self._passed = None

    def _pass_by_registers(self, pc: int) -> bool:
        values = registers_past(self._stub.arch, self._target, self.hooks.get(pc))
        if values is None:
            return False
        self._target.set_registers(values)
        self._passed = None
        return True

    def _net(self) -> frozenset[int]:
        return frozenset() if self.registers.alone() else self._journey.net(self._steps)

    # -- stopping ------------------------------------------------------------------------------------------------

    def arrived(self, reply: StopReply) -> None:
        """The target has stopped: find out what it is and go on, or tell the owner."""
        self._target.begin(reply.thread)
        hit = reply.signal == SIGTRAP and self._steps.set_back_onto_trap(self._table.software_at)
        self._trapped = reply.signal == SIGTRAP and not (hit or self.is_break_in(self._target.own_pc))
        arrival = self._classify(reply.signal, hit=hit)
        if arrival is Arrival.UNEXPLAINED:
            self._owner.on_unexplained(reply.signal)
        else:
            self._deal_with(arrival)

    def came_late(self) -> None:
        """The target's thread was stopped where it stands by a debug register that is no longer set: as far as anybody
        is concerned it has come there."""
        owned = bool(self._table.owners(self._target.own_pc))
        if not owned:
            self._deal_with(self._classify_move(stepped=False))
        else:
            self._deal_with(Arrival.HELD if self._must_wait() else Arrival.BREAKPOINT)

    def _deal_with(self, arrival: Arrival) -> None:
        match arrival:
            case Arrival.MOVE_ENDED:
                stepped = isinstance(self._journey.outstanding, SingleStep)
                self._journey.outstanding = None
                if not (stepped and self._owner.on_stepped()):
                    self._continue_plan()
            case Arrival.LATE_STEP:
                if not self._owner.on_stepped():
                    self._repeat_move()
            case Arrival.HOOK:
                self._at_hook()
            case Arrival.BREAKPOINT:
                self._at_breakpoint()
            case _:
                self._pass_over(arrival)

    def _pass_over(self, arrival: Arrival) -> None:
        """Go on from a stop that is shown to nobody, or not now."""
        move, others, pc = self._journey.outstanding, self._target.thread != self.plan_thread, self._target.own_pc
        if arrival is Arrival.HELD:
            # It stands on the breakpoint again, and runs into it again and again until the step is done.
            self._held += 1
            if pc in self._steps.held:
                self._wait_at_guard()
            else:
                self._run(Run(frozenset({pc})))
        elif self._journey.is_foreign(self._target.thread, pc):
            self._step()
        elif arrival is Arrival.FOREIGN and isinstance(move, Run) and others and self._held < MOST_HELD:
            # To step it off, the plan's temporary breakpoint would have to go for all, and the plan's own thread could
            # pass unseen: it would never stop. So it waits there, too.
            self._held += 1
            self._run(move)
        elif arrival is Arrival.FOREIGN:
            self._step()
        else:
            self._repeat_move()

    def _classify(self, signal: int, *, hit: bool) -> Arrival:
        pc, thread = self._target.own_pc, self._target.thread
        if signal != SIGTRAP:
            self._steps.forget()
            return Arrival.UNEXPLAINED
        # A stepping thread that is broken into was so in an interrupt; its step is still to be reported.
        by_register = self._table.hardware_at(pc)
        stepped = not self.is_break_in(pc) and self._steps.is_reported(trapped=hit, by_register=by_register)
        if stepped:
            self._steps.ended()
        if pc in self.hooks and (hit or stepped):
            return Arrival.HOOK
        guarded = not (hit or stepped) and self.guard.has_held(pc)
        if not (hit or stepped or guarded or by_register):
            return Arrival.UNEXPLAINED
        if (hit or guarded) and self._journey.is_foreign(thread, pc):
            return Arrival.FOREIGN
        owned = not stepped and bool(self._table.owners(pc))
        if ((owned and (hit or guarded)) or (guarded and pc in self._steps.held)) and self._must_wait():
            return Arrival.HELD
        return Arrival.BREAKPOINT if owned else self._classify_move(stepped=stepped)

    def _must_wait(self) -> bool:
        """Whether a step that a client asked of another thread alone has to be shown first.

        gdb does so to get a thread off a breakpoint, and aborts when it is told of another thread meanwhile (infrun.c
        finish_step_over: "Assertion `ecs->event_thread->control.trap_expected' failed").
        """
        thread = self._journey.plan.thread
        alone = self._journey.steps_alone and thread in self._steps
        return alone and thread != self._target.thread and self._held < MOST_HELD

    def waits_on(self) -> bool:
        """The target was broken into. Whether it runs on all the same, until a step that has to be shown first has."""
        if not self._must_wait():
            return False
        self._held += MOST_HELD // 2  # who breaks in again and again sees something
        self._target.show_interrupted(None)
        self._run(Run())
        return True

    def _classify_move(self, *, stepped: bool) -> Arrival:
        """What a step, or a trap that no client asked for, means to the plan under way."""
        move = self._journey.outstanding
        if isinstance(move, SingleStep) and stepped and self._target.thread == self._journey.plan.thread:
            return Arrival.MOVE_ENDED
        if isinstance(move, Run) and self._target.own_pc in move.until:
            if self._is_plans_own(move):
                return Arrival.MOVE_ENDED
            if not stepped:
                return Arrival.FOREIGN
        return Arrival.LATE_STEP if stepped else Arrival.UNWANTED

    def _is_plans_own(self, move: Run) -> bool:
        """Whether it is the plan's thread that has come to ``move.until``, and no interrupt on top of it."""
        if self._target.thread != self._journey.plan.thread:
            return False
        return move.sp is None or move.stops_at(self._target.own_sp)

    def _at_hook(self) -> None:
        pc = self._target.own_pc
        goes_on = self._owner.on_hook(self.hooks[pc])
        self._end_move_at(pc)
        if goes_on and not self.stop_if_wanted():
            self.go_on()

    def stop_if_wanted(self) -> bool:
        """Show the target where it stands if a client has a breakpoint there, and wants it shown."""
        pc = self._target.own_pc
        if not self._table.owners(pc) or not self._owner.on_breakpoint(pc):
            return False
        self._show(self._table.reason_at(pc), SIGTRAP)
        return True

    def _end_move_at(self, pc: int) -> None:
        """A step, or a run to just here, that ended on a hook has ended all the same."""
        move = self._journey.outstanding
        arrived = isinstance(move, SingleStep) or (
            isinstance(move, Run) and pc in move.until and self._is_plans_own(move)
        )
        if self._journey.plan.thread == self._target.thread and arrived:
            self._journey.outstanding = None

    def _hit_without_trap(self) -> None:
        """The plan came to a breakpoint by other means than executing it; it counts as hit all the same."""
        if self._target.own_pc in self.hooks:
            self._at_hook()
        elif not self.stop_if_wanted():
            self.go_on()

    def _at_breakpoint(self) -> None:
        pc = self._target.own_pc
        if not self._owner.on_breakpoint(pc):
            self._end_move_at(pc)
            self.go_on()
            return
        if not self._journey.passing:
            self._target.read_all_registers()  # a debugger shows the function's arguments
        self._show(self._table.reason_at(pc), SIGTRAP)

    def _show(self, reason: StopReason, signal: int) -> None:
        self._passed = self._target.own_pc
        self._owner.on_visible(reason, signal)
