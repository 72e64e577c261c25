# SPDX-License-Identifier: Apache-2.0
"""What a page looks at while the target stands: threads, stacks, variables, registers, sources.

Everything goes through the session, which reads at one stop nothing twice: what gdb has looked at costs the wire
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.api.records import Address
from nullmodem.errors import StateError, UsageError
from nullmodem.frontends.web.protocol import FrameView, RegisterView, ThreadView
from nullmodem.frontends.web.values import Variables

if TYPE_CHECKING:
    from nullmodem.frontends.python.controller import Arrival
    from nullmodem.frontends.python.frame import Frame, Frames
    from nullmodem.frontends.python.target import Target
    from nullmodem.frontends.web.protocol import FileView, Instruction, NoSource, Source, Variable
    from nullmodem.frontends.web.sources import Sources
    from nullmodem.frontends.web.timeline import Seen


class Looking:
    """One page's view of the present stop. Used by one thread at a time.

    Every method raises StateError while the target runs, UsageError for what there is not at this stop, and what
    reading the target raises.
    """

    def __init__(self, target: Target, sources: Sources, seen: Seen, page: int) -> None:
        self._target = target
        self._live = target.machine.live
        self._sources = sources
        self._seen = seen
        self._page = page
        self._arrival: Arrival | None = None
        self._variables = Variables()
        self._stacks: dict[int, Frames] = {}

    def threads(self, *, tasks: bool) -> tuple[ThreadView, ...]:
        """The processors, and with ``tasks`` what sleeps."""
        current = self._present().stop.thread
        return tuple(
            ThreadView(
                thread.id,
                thread.name,
                thread.cpu,
                thread.name,
                thread.pid,
                "stopped" if thread.stands else "running",
                thread.id == current,
            )
            for thread in self._live.threads(every_task=tasks)
        )

    def stack(self, thread: int) -> tuple[FrameView, ...]:
        """The frames of a thread."""
        arrival = self._present()
        frames = tuple(_frame_view(level, frame) for level, frame in enumerate(self._frames(arrival, thread)))
        for frame in frames:
            self._sources.note(frame.file, int(frame.pc))
        if thread == arrival.stop.thread:
            self._seen.stack(arrival.stop.number, frames)
        return frames

    def locals(self, thread: int, level: int) -> tuple[Variable, ...]:
        """The variables of a frame."""
        arrival = self._present()
        found = self._variables.of(self._frame(arrival, thread, level).locals.items())
        if thread == arrival.stop.thread:
            self._seen.variables(arrival.stop.number, level, self._page, found)
        return found

    def children(self, ref: int) -> tuple[Variable, ...]:
        """What is in a variable."""
        arrival = self._present()
        found = self._variables.children(ref)
        self._seen.children(arrival.stop.number, self._page, ref, found)
        return found

    def registers(self, thread: int, level: int) -> tuple[RegisterView, ...]:
        """Those that are known in a frame."""
        frame = self._frame(self._present(), thread, level)
        return tuple(RegisterView(name, Address(value)) for name, value in frame.registers.items())

    def source(self, file: str) -> Source | NoSource:
        """A file, or the code where the target stands. Of files alone, so that the target may run."""
        arrival = self._target.debugger.controller.arrival
        pc = arrival.stop.pc if arrival is not None and self._live.is_stopped else None
        return self._sources.source(file, pc)

    def files(self) -> tuple[FileView, ...]:
        """The sources of the modules that are loaded."""
        return self._sources.files()

    def disassembly(self, thread: int, level: int) -> tuple[Instruction, ...]:
        """The function of a frame."""
        return self._sources.disassembly(self._frame(self._present(), thread, level).pc)

    def _present(self) -> Arrival:
        arrival = self._target.debugger.controller.arrival
        if arrival is None or not self._live.is_stopped:
            hint = "Pause it first."
            raise StateError("the target runs: there is nothing to look at", state="running", hint=hint)
        if arrival is not self._arrival:
            self._arrival = arrival
            self._variables, self._stacks = Variables(), {}
        return arrival

    def _frame(self, arrival: Arrival, thread: int, level: int) -> Frame:
        frames = self._frames(arrival, thread)
        if not 0 <= level < len(frames):
            raise UsageError(f"the stack of this thread has {len(frames)} frames, and no frame {level}")
        return frames[level]

    def _frames(self, arrival: Arrival, thread: int) -> Frames:
        if thread not in self._stacks:
            self._stacks[thread] = self._trace(arrival, thread)
        return self._stacks[thread]

    def _trace(self, arrival: Arrival, thread: int) -> Frames:
        if thread == arrival.stop.thread:
            stop = self._target.stop
            if stop is not None:
                return stop.stack
        debugger = self._target.debugger
        require = debugger.requirement(arrival)
        known = {each.id: each for each in self._live.threads(names=False)}
        if thread in known and known[thread].cpu is not None:
            return debugger.stacks.of_processor(known[thread].cpu or 0, arrival.stop, require)
        return debugger.stacks.of_task(thread, arrival.stop, require)


def _frame_view(level: int, frame: Frame) -> FrameView:
    return FrameView(
        level,
        frame.function or f"{frame.pc:#x}",
        frame.module,
        frame.file or "",
        frame.line or 0,
        Address(frame.pc),
        frame.inlined,
    )
