# SPDX-License-Identifier: Apache-2.0
"""A program's breakpoints on one session, and what it sees at a stop."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import drgn

from nullmodem.api import places
from nullmodem.api.inspection import Inspection, over
from nullmodem.errors import BreakpointRefused, NullmodemError, StateError, UsageError
from nullmodem.frontends.python.breakpoint import execution
from nullmodem.frontends.python.controller import Controller, Verdict
from nullmodem.frontends.python.frame import Frames
from nullmodem.session.model import StopReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.machine import Machine
    from nullmodem.frontends.python.breakpoint import Breakpoint
    from nullmodem.frontends.python.controller import Arrival
    from nullmodem.frontends.python.frame import Frame
    from nullmodem.session import breakpoints, model
    from nullmodem.session.session import Session

_AT_BREAKPOINT = (StopReason.BREAKPOINT, StopReason.HARDWARE_BREAKPOINT)


class Debugger:
    """What the objects of a program share: the session, its client in it, its breakpoints, drgn's view.

    Attributes:
        machine: the machine, as every front end has it.
        controller: the client.
        inspection: drgn's program.
        breakpoints: those of the program, in the order they were made.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.live = machine.live
        self.inspection = Inspection(machine.live)
        self.breakpoints: list[Breakpoint] = []
        self._lock = threading.Lock()
        self.controller = Controller(machine.live, self._judge, self._plant)
        self._warm = threading.Thread(target=self._prepare, name="nullmodem-symbols", daemon=True)
        self._warm.start()

    def close(self) -> None:
        """Leave the session. Safe to call twice."""
        self.controller.close()
        self._warm.join()

    def _prepare(self) -> None:
        with contextlib.suppress(NullmodemError):  # who needs it will be told
            self.inspection.prepare()

    # -- breakpoints ---------------------------------------------------------------------------------------------

    def add(self, breakpoint_: Breakpoint) -> None:
        """Arm it where it is in memory, now and at every load of a module.

        Raises BreakpointRefused, and nothing of it stays; WaitTimeout when the target does not stand still for it.
        """
        with self._lock:
            self.breakpoints.append(breakpoint_)
        try:
            if breakpoint_.points or self._wanted(breakpoint_):
                self.controller.while_still(lambda: self._arm(breakpoint_))
        except BaseException:
            self.remove(breakpoint_)
            raise

    def remove(self, breakpoint_: Breakpoint) -> None:
        """Take it back. Safe to call twice, and when the target is gone."""
        with self._lock:
            if breakpoint_ not in self.breakpoints:
                return
            self.breakpoints.remove(breakpoint_)
        armed, breakpoint_.armed = breakpoint_.armed, frozenset()
        others = {point for other in self.breakpoints for point in other.armed}
        for point in armed - others:
            # The session lifts it when the target is next set going; until then a hit of it is passed over.
            with contextlib.suppress(NullmodemError):
                self.live.remove(self.controller.client, point)

    def _wanted(self, breakpoint_: Breakpoint) -> frozenset[breakpoints.Breakpoint]:
        if breakpoint_.place is None:
            return frozenset()
        length = self.live.arch.breakpoint_length
        return frozenset(execution(address, length) for address in places.addresses(self.live, breakpoint_.place))

    def _arm(self, breakpoint_: Breakpoint) -> None:
        """Make the session's breakpoints those it has to have now. The target stands still."""
        wanted = breakpoint_.points or self._wanted(breakpoint_)
        breakpoint_.armed = breakpoint_.armed & wanted  # what the session lifted with a module is gone
        for point in sorted(wanted):
            self.live.insert(self.controller.client, point)
            breakpoint_.armed = breakpoint_.armed | {point}

    def _plant(self) -> None:
        """Modules have come or gone."""
        with self._lock:
            present = tuple(self.breakpoints)
        for breakpoint_ in present:
            try:
                self._arm(breakpoint_)
            except BreakpointRefused as error:
                self.live.say(f"{breakpoint_.where} is not armed: {error.message}")

    # -- stops ---------------------------------------------------------------------------------------------------

    def _judge(self, stop: model.Stop) -> Verdict:
        """What a stop is to the program. Raises what a condition raises."""
        if stop.reason is StopReason.WATCHPOINT and stop.watched is not None:
            places_hit = {stop.watched.address}
        elif stop.reason in _AT_BREAKPOINT:
            places_hit = {stop.pc}
        else:
            return Verdict(shown=True)
        with self._lock:
            here = [b for b in self.breakpoints if any(point.address in places_hit for point in b.armed)]
        if not here:
            return Verdict(shown=self.is_anothers(stop))
        frame: list[Frame] = []

        def innermost() -> Frame:
            if not frame:
                frame.append(self.frames(stop, lambda: None)[0])
            return frame[0]

        hits = tuple([b for b in here if b.holds(innermost)])
        return Verdict(bool(hits), hits)

    def is_anothers(self, stop: model.Stop) -> bool:
        """Whether a stop at none of the program's breakpoints is another client's, and not at one just taken back."""
        if stop.reason is StopReason.WATCHPOINT:
            return True
        return bool(self.live.look_into(lambda session: session.table.owners(stop.pc)) - {self.controller.client})

    def is_present(self, arrival: Arrival) -> bool:
        """Whether the target still stands where a program was told it stands."""
        return self.controller.arrival is arrival and self.live.is_stopped

    def frames_of(self, arrival: Arrival) -> Frames:
        """The stack of the thread that stopped. Raises StopOver, KernelDataError."""

        def require() -> None:
            if not self.is_present(arrival):
                raise self.stop_over()

        return self.frames(arrival.stop, require)

    def frames(self, stop: model.Stop, require: Callable[[], None]) -> Frames:
        """The same for a stop that may not be shown; ``require`` raises when it is over."""
        try:
            registers = self.live.registers().as_dict()
            trace = self.inspection.trace(registers)
        except StateError as error:
            raise over(error) from None
        return Frames(trace, require, self._line_at(stop.pc), self._module_of)

    def stop_over(self) -> StateError:
        """The error for what belongs to a stop that is over."""
        return over(StateError("", state="at another stop" if self.live.is_stopped else self.live.state.value))

    def _line_at(self, address: int) -> tuple[str, int] | None:
        """The line as a debugger that reads the line table sees it; None in the kernel itself, where drgn answers."""

        def look(session: Session) -> tuple[str, int] | None:
            module = session.world.modules.containing(address)
            line = session.world.lines.line_at(module, address) if module is not None else None
            return (line.file, line.line) if line is not None else None

        return self.live.look_into(look)

    def _module_of(self, address: int) -> str:
        module = self.live.look_into(lambda session: session.world.modules.containing(address))
        return module.name if module is not None else ""

    # -- memory --------------------------------------------------------------------------------------------------

    def write(self, object_: drgn.Object, value: object) -> None:
        """Write a variable. Raises UsageError, MemoryFault, LeaseError."""
        address, bits = object_.address_, object_.bit_field_size_
        if address is None or bits is not None:
            what = "a bit field" if bits is not None else "a value, and stands at no address of the target's memory"
            raise UsageError(f"this object cannot be written: it is {what}", hint="A variable in a register cannot be.")
        try:
            data = drgn.Object(object_.prog_, object_.type_, value).to_bytes_()
        except (TypeError, ValueError, OverflowError, drgn.ObjectAbsentError) as error:
            raise UsageError(f"{value!r} is no value for {object_.type_.type_name()}: {error}") from None
        self.live.write_memory(self.controller.client, address, data)
