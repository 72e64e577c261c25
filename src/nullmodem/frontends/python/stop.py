# SPDX-License-Identifier: Apache-2.0
"""A target that stands still: what is known of it, and how it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from nullmodem.errors import UsageError
from nullmodem.frontends.python.stepping import Stepper
from nullmodem.session.model import StopReason

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import drgn

    from nullmodem.frontends.python.breakpoint import Breakpoint
    from nullmodem.frontends.python.controller import Arrival
    from nullmodem.frontends.python.debugger import Debugger
    from nullmodem.frontends.python.frame import Frame, Frames
    from nullmodem.session import model


class Stop:
    """The target standing still, and the thread that stopped it.

    `step`, `next`, `finish`, `until` and `step_instruction` take it along: when they return, it is where the thread has
    come, and frames of before are over. `continue_` ends it, and so does the end of a ``with`` block, unless an
    exception ends that: the target then stays for whoever looks at what went wrong. Whatever is asked of a stop that is
    over raises StopOver.

    Objects of drgn are references to the target's memory, as in C: one that is kept reads what is there *now*, and
    raises StopOver while the target runs. ``int(object)`` and ``object.read_()`` keep a value.
    """

    def __init__(self, debugger: Debugger, arrival: Arrival) -> None:
        self._debugger = debugger
        self._arrival = arrival
        self._entered: int | None = None
        self._stepped = False
        self._frames: Frames | None = None
        self._returned: drgn.Object | None = None

    def __repr__(self) -> str:
        if not self.is_current:
            return f"<Stop {self._stop.number}, over>"
        return f"<Stop {self._stop.number}: {self.reason.value} at {self.describe()}>"

    @property
    def _stop(self) -> model.Stop:
        return self._arrival.stop

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The target runs on, unless the stop is over already, or an exception leaves the block."""
        if error is None and self.is_current:
            self.continue_()

    def is_at(self, arrival: Arrival) -> bool:
        """Whether this is the stop a program was told of by ``arrival``."""
        return self._arrival is arrival

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """Whether the target stands at it still."""
        return self._debugger.is_present(self._arrival)

    @property
    def reason(self) -> StopReason:
        """Why the target stands. STEP after a step that nothing has cut short, and that has come to no breakpoint."""
        reason = self._stop.reason
        if self._stepped and reason is StopReason.BREAKPOINT and not self.hits:
            return StopReason.STEP  # where a call has returned to, by a breakpoint of the step itself
        return StopReason.BREAKPOINT if reason is StopReason.STEP and self.hits else reason

    @property
    def hits(self) -> tuple[Breakpoint, ...]:
        """The program's breakpoints that the target stands at, with a condition that holds."""
        return self._arrival.verdict.hits

    @property
    def pc(self) -> int:
        """The address the stopped thread goes on from."""
        return self._stop.pc

    @property
    def thread(self) -> int:
        """The pid of the task that stopped, or 8000000 + the number of the processor whose idle task it is."""
        return self._stop.thread

    @property
    def watched(self) -> int | None:
        """The address of the watched data that was touched, at a watchpoint."""
        return self._stop.watched.address if self._stop.watched is not None else None

    def describe(self) -> str:
        """``function+0x12``, or ``module:function+0x12 (file.c:34)``."""
        return self._debugger.live.describe(self._stop.pc)

    # -- what can be looked at -----------------------------------------------------------------------------------

    @property
    def frame(self) -> Frame:
        """The innermost frame: where the thread stands. Raises KernelDataError when the stack cannot be followed."""
        return self.stack[0]

    @property
    def stack(self) -> Frames:
        """The frames of the thread that stopped, the innermost first; as many as can be followed, inlined ones too."""
        self._require()
        if self._frames is None:
            self._frames = self._debugger.frames_of(self._arrival, self._hidden)
        return self._frames

    @property
    def _hidden(self) -> int:
        if self._entered is None:
            self._entered = self._debugger.entered_at(self._arrival)
        return self._entered

    def stack_of(self, *, cpu: int | None = None, pid: int | None = None) -> Frames:
        """The frames of what another processor was doing when the target stopped, or of a task, sleeping or not.

        Raises UsageError for what there is not, and unless one of the two is given; KernelDataError when the stack
        cannot be followed.
        """
        self._require()
        if (cpu is None) == (pid is None):
            raise UsageError("stack_of needs cpu= or pid=, and one of them")
        require = self._debugger.requirement(self._arrival)
        if cpu is not None:
            return self._debugger.stacks.of_processor(cpu, self._stop, require)
        assert pid is not None
        return self._debugger.stacks.of_task(pid, self._stop, require)

    @property
    def processors(self) -> dict[int, str]:
        """What each processor runs: the name of its task, by number."""
        self._require()
        return {t.cpu: t.name for t in self._debugger.live.threads(names=True) if t.cpu is not None}

    @property
    def prog(self) -> drgn.Program:
        """drgn's program of the kernel and every module whose file is known: objects, types, helpers."""
        self._require()
        return self._debugger.inspection.program().drgn

    def write(self, object_: drgn.Object, value: object) -> None:
        """Change a variable in the target's memory: ``stop.write(stop.prog["simple_count"], 7)``.

        Args:
            object_: a reference (a global, a member, an element); whole structures too.
            value: what drgn takes for an object of that type.

        Raises:
            UsageError: it is no variable in memory, or the value does not fit its type.
            MemoryFault: the memory cannot be written.
            LeaseError: another client holds the target.
        """
        self._require()
        self._debugger.write(object_, value)

    # -- going on ------------------------------------------------------------------------------------------------

    def continue_(self) -> None:
        """Let the target run. The stop is over. After a fault the kernel is given it, and oopses."""
        self._require()
        self._debugger.go_on()

    def step(self, *, timeout: float = 60.0) -> Stop:
        """Go on to another line, into functions that are called. ``timeout`` in seconds.

        As all of them do, it ends early where a breakpoint is hit: see `hits` and `reason`.

        Raises WaitTimeout: the target runs, and the stop is over; KernelDataError; StopOver; TargetLost.
        """
        return self._along(lambda stepper: stepper.line(self._hidden, into=True), timeout)

    def next(self, *, timeout: float = 60.0) -> Stop:
        """Go on to another line of this function or, when it returns, of its caller. Raises what `step` does."""
        return self._along(lambda stepper: stepper.line(self._hidden, into=False), timeout)

    def finish(self, *, timeout: float = 60.0) -> Stop:
        """Go on until the innermost frame has returned: see `returned`. Raises what `step` does."""
        result = self._debugger.result_of(self._arrival, self._hidden) if self.is_current else None
        before = self.frame.sp
        self._along(lambda stepper: stepper.out(self._hidden), timeout)
        if result is not None and not self.hits and self.is_current and self.frame.sp > before:
            self._returned = result()
        return self

    @property
    def returned(self) -> drgn.Object | None:
        """What the function returned that `finish` came back from; None when it is void, or not in a register."""
        self._require()
        return self._returned

    def step_instruction(self, *, timeout: float = 60.0) -> Stop:
        """Execute one instruction. Raises what `step` does."""
        return self._along(lambda stepper: stepper.instruction(), timeout)

    def until(self, where: str | int, *, timeout: float = 60.0) -> Stop:
        """Go on to a place, or until the present function has returned, whichever comes first.

        Raises UnknownPlace, UsageError as `Target.break_at` does; what `step` does.
        """
        self._require()
        addresses = self._debugger.present_addresses(where)
        return self._along(lambda stepper: stepper.until(addresses), timeout)

    def _along(self, go: Callable[[Stepper], tuple[Arrival, int]], timeout: float) -> Stop:
        self._require()
        self._arrival, self._entered = go(Stepper(self._debugger, self._arrival, timeout))
        self._frames = self._returned = None
        self._stepped = True
        if self._arrival.error is not None:
            raise self._arrival.error
        return self

    def _require(self) -> None:
        if not self.is_current:
            raise self._debugger.stop_over()
