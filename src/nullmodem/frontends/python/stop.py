# SPDX-License-Identifier: Apache-2.0
"""A target that stands still: what is known of it, and how it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.session.model import Resume

if TYPE_CHECKING:
    import drgn

    from nullmodem.frontends.python.breakpoint import Breakpoint
    from nullmodem.frontends.python.controller import Arrival
    from nullmodem.frontends.python.debugger import Debugger
    from nullmodem.frontends.python.frame import Frame, Frames
    from nullmodem.session import model
    from nullmodem.session.model import StopReason


class Stop:
    """The target standing still, and the thread that stopped it.

    `step`, `next`, `finish`, `until` and `step_instruction` take it along: when they return, it is where the thread has
    come, and frames of before are over. `continue_` ends it. Whatever is asked of a stop that is over raises StopOver.

    Objects of drgn are references to the target's memory, as in C: one that is kept reads what is there *now*, and
    raises StopOver while the target runs. ``int(object)`` and ``object.read_()`` keep a value.
    """

    def __init__(self, debugger: Debugger, arrival: Arrival) -> None:
        self._debugger = debugger
        self._arrival = arrival
        self._frames: Frames | None = None

    def __repr__(self) -> str:
        if not self.is_current:
            return f"<Stop {self._stop.number}, over>"
        return f"<Stop {self._stop.number}: {self.reason.value} at {self.describe()}>"

    @property
    def _stop(self) -> model.Stop:
        return self._arrival.stop

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
        """Why the target stands."""
        return self._stop.reason

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
            self._frames = self._debugger.frames_of(self._arrival)
        return self._frames

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
        """Let the target run. The stop is over."""
        self._require()
        self._debugger.controller.go(Resume())

    def _require(self) -> None:
        if not self.is_current:
            raise self._debugger.stop_over()
