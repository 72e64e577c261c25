# SPDX-License-Identifier: Apache-2.0
"""From what a client asks for to a plan: its line, the function around it, and what is known of how it steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.session.model import ResumeKind, StopReason
from nullmodem.session.passed_calls import PassedCalls, Standing
from nullmodem.session.stepping import Plan, RangePlan, plan_for

if TYPE_CHECKING:
    from nullmodem.session.breakpoints import BreakpointTable
    from nullmodem.session.clients import Attached
    from nullmodem.session.model import Resume, Stop
    from nullmodem.session.running import Runner
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.session.world import World
    from nullmodem.stub.arch import Arch
    from nullmodem.wire.meter import Meter


class Planner:
    """Makes plans for a target that stands still."""

    def __init__(self, arch: Arch, target: StoppedTarget, table: BreakpointTable, runner: Runner, meter: Meter) -> None:
        self._arch = arch
        self._target = target
        self._table = table
        self._runner = runner
        self.passed_calls = PassedCalls()
        self._meter = meter
        self._commanding: str | None = None
        self._goes_on = False  # and it may do so by itself
        self.command_began = meter.cost

    def for_client(self, world: World, client: Attached, request: Resume, stop: Stop) -> Plan:
        """The plan for what a client asks for at a stop that it has been shown."""
        if client.id != self._commanding:
            self._commanding, self.command_began = client.id, self._meter.cost
        self._goes_on = client.lists_threads
        return self.plan(world, request, self._passable(client.id, request, stop))

    def awaited(self, client: str) -> int | None:
        """Where the client has the target stopped for the thread alone that it steps, and nobody else wants a stop."""
        at = self.passed_calls.awaited_alone
        return at if at is not None and self._table.owners(at) == {client} else None

    @property
    def in_command(self) -> bool:
        """Whether a client that stands at a stop may go on by itself, because its command has not ended."""
        return self._commanding is not None and self._goes_on

    def command_ended(self, client: str) -> bool:
        """What a client has the target do next is another command. False when it had not had it do anything."""
        if client != self._commanding:
            return False
        self.passed_calls.forget()
        self._commanding = None
        return True

    def plan(self, world: World, request: Resume, passable: frozenset[int] = frozenset()) -> Plan:
        """The plan for a request. ``passable`` are functions whose calls need not be reported."""
        target = self._target
        if request.kind is ResumeKind.RANGE:
            target.code_at(target.pc, request.end - target.pc)  # all of it in one read
        request, interrupted = world.whole_line(request, target.pc, self._length_at), target.interrupted
        target.show_interrupted(None)
        around = world.function_at(request.start) if request.kind is ResumeKind.RANGE else range(0)
        return plan_for(request, self._arch, target.thread, interrupted, around, passable)

    def _length_at(self, address: int) -> int:
        here = self._arch.instructions.decode(self._target.code_at(address), address)
        return here.length if here is not None else 0

    def _passable(self, client: str, request: Resume, stop: Stop) -> frozenset[int]:
        last, target = self._runner.plan, self._target
        call = last.called if isinstance(last, RangePlan) and stop.reason is StopReason.STEP else None
        matters = call is not None or self.passed_calls.is_on_its_way
        standing = Standing(stop.reason, target.thread, target.pc, target.own_sp if matters else 0, call)
        stops = call is not None and client in self._table.owners(call.returns_to)
        own = self._table.addresses(client)
        return self.passed_calls.resumed(client, request, standing, has_stop_at_return=stops, stops_at=own)
