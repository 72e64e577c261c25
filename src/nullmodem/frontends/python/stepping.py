# SPDX-License-Identifier: Apache-2.0
"""Stepping by source line, with the choices that gdb makes (process_event_stop_test in its infrun.c).

A line is the code of a row of the line table. A step runs until the processor leaves that: into a function that was
called (`next` comes back from it with a breakpoint where it returns to), back to a caller, into or out of code that was
inlined, or to another line, where it ends if a statement begins there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nullmodem.errors import KernelDataError, WaitTimeout
from nullmodem.frontends.python.breakpoint import execution
from nullmodem.session.model import Resume, ResumeKind, StopReason

if TYPE_CHECKING:
    from collections.abc import Iterable

    import drgn

    from nullmodem.api.code import Inlined, Span
    from nullmodem.frontends.python.controller import Arrival
    from nullmodem.frontends.python.debugger import Debugger


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a thread stands, as a step sees it.

    ``frame`` and ``caller`` tell calls apart: the stack pointer a call returns with, and the function. ``returns_to``
    is the caller's place. ``inlined`` are the inlined calls it stands in; of these the innermost ``entered`` begin just
    here, and are not shown yet.
    """

    pc: int
    frame: tuple[int, int]
    caller: tuple[int, int]
    returns_to: int
    span: Span | None
    inlined: tuple[Inlined, ...]
    entered: int

    @property
    def shown(self) -> tuple[Inlined, ...]:
        """The inlined calls that are shown as frames."""
        return self.inlined[: len(self.inlined) - self.entered]

    @property
    def line(self) -> tuple[str, int]:
        """The line a debugger shows: of the code, or of the outermost call that begins here."""
        if self.entered:
            call = self.inlined[-self.entered]
            return call.file, call.line
        return (self.span.file, self.span.line) if self.span is not None else ("", 0)


@dataclass(slots=True)
class _Origin:
    """What a step compares with: the frame and the line it steps through, as code and as shown."""

    frame: tuple[int, int]
    shown: tuple[Inlined, ...]
    line: tuple[str, int]
    start: int
    end: int


class Stepper:
    """One command at a stop: the moves, each a run of the target, until it is done.

    ``into``: calls of functions with lines are entered. Every method returns where the thread has come, with how many
    inlined calls are entered there and not shown. All of them raise WaitTimeout when the target runs on after
    ``timeout`` seconds, StopOver, TargetLost; and end early at a breakpoint, or whatever else stops the target.
    """

    def __init__(self, debugger: Debugger, arrival: Arrival, timeout: float) -> None:
        self._debugger = debugger
        self._controller = debugger.controller
        self._arrival = arrival
        self._thread = arrival.stop.thread
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout

    # -- the commands --------------------------------------------------------------------------------------------

    def line(self, entered: int, *, into: bool) -> tuple[Arrival, int]:
        """``step`` or ``next`` from where ``entered`` inlined calls begin."""
        here = replace(self._standing(()), entered=entered)
        if into and here.entered:
            return self._arrival, here.entered - 1  # gdb: "Step at an inlined function behaves like down"
        start, end = (here.span.start, here.span.end) if here.span is not None else self._function(here.pc)
        origin = _Origin(here.frame, here.shown, here.line, start, end)
        return self._through(origin, into=into)

    def out(self, entered: int) -> tuple[Arrival, int]:
        """``finish``: until the frame that is shown has returned."""
        here = replace(self._standing(()), entered=entered)
        if here.shown:  # an inlined call: the frame it is in is stepped through, whatever the line
            origin = _Origin(here.frame, here.shown[:-1], ("", 0), here.pc, here.pc)
            return self._through(origin, into=False)
        self._return(here)
        return self._arrival, self._entered_here()

    def instruction(self) -> tuple[Arrival, int]:
        """One instruction."""
        self._move(Resume(ResumeKind.STEP))
        return self._arrival, 0

    def until(self, addresses: Iterable[int]) -> tuple[Arrival, int]:
        """Until one of the places is reached, or the present function has returned."""
        here = self._standing(())
        self._run_to({*addresses, here.returns_to}, {here.returns_to: here.frame[0]})
        return self._arrival, self._entered_here()

    # -- one line ------------------------------------------------------------------------------------------------

    def _through(self, origin: _Origin, *, into: bool) -> tuple[Arrival, int]:
        self._move_in(origin)
        while self._goes_on:
            here = self._standing(())
            if origin.start <= here.pc < origin.end:
                self._move_in(origin)
            elif self._is_call(origin, here):
                if into and self._enters(here):
                    return self._arrival, here.entered
                self._return(here)
            elif here.span is None or self._ends(origin, here, into=into):
                goes_in = into and here.entered and self._is_same_frame(origin, here) and here.line == origin.line
                return self._arrival, here.entered - 1 if goes_in else here.entered
            else:
                self._move_in(origin)
        return self._arrival, self._entered_here()

    @staticmethod
    def _is_call(origin: _Origin, here: Standing) -> bool:
        return here.frame != origin.frame and here.caller == origin.frame

    def _enters(self, here: Standing) -> bool:
        """Whether the function just called has lines, so that a user wants to see it."""
        return here.span is not None

    @staticmethod
    def _is_same_frame(origin: _Origin, here: Standing) -> bool:
        return here.frame == origin.frame and here.shown == origin.shown

    def _ends(self, origin: _Origin, here: Standing, *, into: bool) -> bool:
        """Whether the step is over here, outside of the code it steps through. If not, that is other code now."""
        assert here.span is not None
        same_frame = self._is_same_frame(origin, here)
        if same_frame and here.entered:
            if into or here.line != origin.line:
                return True
            origin.start, origin.end = here.span.start, here.span.end
            return False
        depth = len(origin.shown)
        deeper = here.frame == origin.frame and len(here.shown) > depth and here.shown[:depth] == origin.shown
        if deeper:
            origin.start, origin.end = here.span.start, here.span.end
            return into
        line = (here.span.file, here.span.line)
        refresh = True
        if here.pc == here.span.start and line != origin.line:
            if here.span.statement:
                return True
            if same_frame:
                refresh = False
            else:
                line = ("", 0)
        origin.start, origin.end = here.span.start, here.span.end
        if refresh:
            origin.frame, origin.shown, origin.line = here.frame, here.shown, line
        return False

    # -- moves ---------------------------------------------------------------------------------------------------

    @property
    def _goes_on(self) -> bool:
        """Whether the last move has ended as it should, and nothing else has stopped the target."""
        arrival = self._arrival
        reason = arrival.stop.reason
        mine = arrival.stop.thread == self._thread and not arrival.verdict.hits and arrival.error is None
        return mine and reason in (StopReason.STEP, StopReason.BREAKPOINT)

    def _move_in(self, origin: _Origin) -> None:
        if origin.end > origin.start:
            self._move(Resume(ResumeKind.RANGE, origin.start, origin.end))
        else:
            self._move(Resume(ResumeKind.STEP))

    def _return(self, here: Standing) -> None:
        self._run_to({here.returns_to}, {here.returns_to: here.frame[0]})

    def _run_to(self, addresses: set[int], stack: dict[int, int]) -> None:
        """Run to one of the addresses; where ``stack`` has one, with the stack pointer it has there."""
        live, client, length = self._debugger.live, self._controller.client, self._debugger.live.arch.breakpoint_length
        own = {point for b in self._debugger.breakpoints for point in b.armed}
        points = {execution(address, length) for address in addresses} - own
        for point in sorted(points):
            live.insert(client, point)
        try:
            while True:
                self._move(Resume())
                pc, thread = self._arrival.stop.pc, self._arrival.stop.thread
                if not self._goes_on and not self._passes_by(addresses):
                    return
                if thread == self._thread and pc in addresses and self._has_stack(stack.get(pc)):
                    return
        finally:
            for point in points:
                live.remove(client, point)

    def _has_stack(self, sp: int | None) -> bool:
        """Whether the stack pointer is the one that is waited for; a deeper turn of a recursion has another."""
        live = self._debugger.live
        return sp is None or live.register(live.arch.sp) == sp

    def _passes_by(self, addresses: set[int]) -> bool:
        """Whether another thread has come to a place that only this one is to stop at."""
        arrival = self._arrival
        nobodys = not arrival.verdict.hits and arrival.error is None and arrival.stop.reason is StopReason.BREAKPOINT
        return nobodys and arrival.stop.thread != self._thread and arrival.stop.pc in addresses

    def _move(self, request: Resume) -> None:
        before = self._arrival.number
        self._controller.go(request, stepping=True)
        remaining = self._deadline - time.monotonic()
        try:
            self._arrival = self._controller.await_arrival(before, max(0.0, remaining), "stepping")
        except WaitTimeout:
            self._controller.abandon_step()
            raise WaitTimeout(
                f"the step has not ended within {self._timeout:g} s, and the target runs",
                hint="It waits for something, perhaps. `interrupt` stops it; `timeout=` gives a step more time.",
            ) from None

    # -- where it stands -----------------------------------------------------------------------------------------

    def _standing(self, stands_in: tuple[str, ...]) -> Standing:
        live, code = self._debugger.live, self._debugger.code
        pc = self._arrival.stop.pc
        calls = [frame for frame in self._debugger.trace() if not frame.is_inline]
        if len(calls) < 2:  # assembly, such as a thunk for indirect calls: perhaps it has just been called
            calls = [*calls, *(frame for frame in self._debugger.trace_of_caller() if not frame.is_inline)]
        if len(calls) < 2:
            raise KernelDataError(f"cannot step at {live.describe(pc)}: its caller cannot be found on the stack")
        sps = [frame.sp for frame in calls[1:3]] + [0]
        return Standing(
            pc=pc,
            frame=(sps[0], _function_of(calls[0])),
            caller=(sps[1], _function_of(calls[1])),
            returns_to=calls[1].pc,
            span=code.span_at(pc),
            inlined=code.inlined_at(pc),
            entered=code.entered_at(pc, stands_in),
        )

    def _entered_here(self) -> int:
        return self._debugger.entered_at(self._arrival)

    def _function(self, pc: int) -> tuple[int, int]:
        function = self._debugger.live.look_into(lambda session: session.world.function_at(pc))
        return function.start, function.stop


def _function_of(frame: drgn.StackFrame) -> int:
    try:
        return int(frame.symbol().address)
    except LookupError:
        return 0
