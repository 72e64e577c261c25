# SPDX-License-Identifier: Apache-2.0
"""A program's breakpoints on one session, and what it sees at a stop."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import drgn

from nullmodem.api import places
from nullmodem.api.code import Code
from nullmodem.api.inspection import Inspection, over
from nullmodem.errors import MemoryFault, NullmodemError, StateError, UsageError
from nullmodem.frontends.python.breakpoint import Breakpoint, execution
from nullmodem.frontends.python.controller import Controller, Verdict
from nullmodem.frontends.python.frame import Frames
from nullmodem.frontends.python.results import return_type, returned
from nullmodem.frontends.python.stacks import Stacks
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session import breakpoints as session
from nullmodem.session.model import Resume, StopReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.machine import Machine
    from nullmodem.frontends.python.breakpoint import Condition
    from nullmodem.frontends.python.controller import Arrival
    from nullmodem.frontends.python.frame import Frame
    from nullmodem.frontends.python.target import Target
    from nullmodem.session import model

STACK_AHEAD = 256
"""Bytes of stack read at once: the frames that are looked at are near each other."""
_ACCESS = {"write": BreakpointKind.WRITE, "access": BreakpointKind.ACCESS}
_AT_BREAKPOINT = (StopReason.BREAKPOINT, StopReason.HARDWARE_BREAKPOINT)


class Debugger:
    """What the objects of a program share: the session, its client in it, its breakpoints, drgn's view.

    Attributes:
        machine: the machine, as every front end has it.
        controller: the client.
        inspection: drgn's program.
        breakpoints: those of the program, in the order they were made.
    """

    def __init__(
        self, machine: Machine, name: str = "python", *, watching: bool = False, joining: bool = False
    ) -> None:
        """``name`` is what other clients are told; ``joining``: it begins at the stop that the target stands at, which
        another may look at; ``watching``: so, and it is shown every stop, whoever it is of."""
        self.machine = machine
        self.live = machine.live
        self.inspection = Inspection(machine.live)
        self.code = Code(machine.live, self.inspection)
        self.stacks = Stacks(self)
        self.breakpoints: list[Breakpoint] = []
        self._lock = threading.Lock()
        self._watching = watching
        self.controller = Controller(machine.live, self._judge, self._plant, name, joining=watching or joining)
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
            if self._wanted(breakpoint_):
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

    def place(self, where: str | int, module: str = "", *, pending: bool = False) -> places.Place:
        """What is meant by a place. Raises UsageError, UnknownPlace; not of one that may be ``pending``."""
        place = places.parse_place(where, module)
        return place if pending else places.require_known(self.live, place, self.machine.known_files, self.code)

    def present_addresses(self, where: str | int) -> tuple[int, ...]:
        """Where a place is in memory now. Raises UsageError, UnknownPlace; UsageError when it is not loaded."""
        place = self.place(where)
        found = places.addresses(self.live, place, self.code)
        if not found:
            raise UsageError(f"{where} is in a module that is not loaded")
        return found

    def _wanted(self, breakpoint_: Breakpoint) -> frozenset[session.Breakpoint]:
        place, length = breakpoint_.place, self.live.arch.breakpoint_length
        if place is None:  # data, which is gone for good with the module it was in
            here = self.module_instance(next(iter(breakpoint_.points)).address)
            return breakpoint_.points if here == breakpoint_.module_instance else frozenset()
        return frozenset(execution(at, length) for at in places.addresses(self.live, place, self.code))

    def watchpoint(
        self, target: Target, object_: drgn.Object, access: str, condition: Condition | str | None
    ) -> Breakpoint:
        """One on a variable, not armed yet. Raises UsageError."""
        if access not in _ACCESS:
            raise UsageError(f"nothing can be watched for {access!r}", hint=f"Accesses: {', '.join(_ACCESS)}.")
        _require_object(object_)
        address = object_.address_
        if address is None or object_.bit_field_size_ is not None:
            raise UsageError("this object cannot be watched: it stands at no address of the target's memory")
        point = session.Breakpoint(_ACCESS[access], address, drgn.sizeof(object_))
        where = f"{access} of {object_.type_.type_name()} at {address:#x}"
        watchpoint = Breakpoint(target, where, None, condition, frozenset({point}))
        watchpoint.module_instance = self.module_instance(address)
        return watchpoint

    def module_instance(self, address: int) -> object:
        """What tells one load of the module that holds an address from another; None where no module does."""
        module = self.live.look_into(lambda known: known.world.modules.containing(address))
        return None if module is None else (module.loaded.address, module.instance)

    def _arm(self, breakpoint_: Breakpoint) -> None:
        """Make the session's breakpoints those it has to have now. The target stands still."""
        wanted = self._wanted(breakpoint_)
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
            except NullmodemError as error:
                self.live.say(f"{breakpoint_.where} is not armed: {error.message}")

    # -- stops ---------------------------------------------------------------------------------------------------

    def _judge(self, stop: model.Stop) -> Verdict:
        """What a stop is to the program."""
        if stop.reason is StopReason.WATCHPOINT and stop.watched is not None:
            places_hit = {stop.watched.address}
        elif stop.reason in _AT_BREAKPOINT or stop.reason is StopReason.STEP:
            places_hit = {stop.pc}  # a step that ends where a breakpoint is has come to it, too
        else:
            return Verdict(shown=True)
        with self._lock:
            here = [b for b in self.breakpoints if any(point.address in places_hit for point in b.armed)]
        stepped = stop.reason is StopReason.STEP
        if not here:
            # A debugger takes its breakpoints out when it stops: whose this was may not be told any more.
            return Verdict(shown=stepped or self._watching or self.is_anothers(stop))
        frame: list[Frame] = []

        def innermost() -> Frame:
            if not frame:
                frame.append(self.frames(stop, lambda: None)[0])
            return frame[0]

        hits, errors = [], []
        for breakpoint_ in here:
            try:
                if breakpoint_.holds(innermost):
                    hits.append(breakpoint_)
            except Exception as error:  # a condition is a program's own code; the others count all the same
                errors.append(error)
        shown = stepped or bool(hits or errors) or (self._watching and self.is_anothers(stop))
        return Verdict(shown, tuple(hits), errors[0] if errors else None)

    def is_anothers(self, stop: model.Stop) -> bool:
        """Whether a stop at none of the program's breakpoints is another client's, and not at one just taken back."""
        if stop.reason is StopReason.WATCHPOINT:
            return True
        return bool(self.live.look_into(lambda known: known.table.owners(stop.pc)) - {self.controller.client})

    def go_on(self) -> None:
        """Let the target run from where it stands. A fault it stands at is the kernel's: it would stop there again."""
        arrival = self.controller.arrival
        faulty = arrival is not None and arrival.stop.reason is StopReason.FAULT
        self.controller.go(Resume(deliver=faulty))

    def is_present(self, arrival: Arrival) -> bool:
        """Whether the target still stands where a program was told it stands."""
        return self.controller.arrival is arrival and self.live.is_stopped

    def frames_of(self, arrival: Arrival, hidden: int) -> Frames:
        """The stack of the thread that stopped, without its innermost ``hidden`` inlined calls.

        Raises StopOver, KernelDataError.
        """
        return self.frames(arrival.stop, self.requirement(arrival), hidden)

    def requirement(self, arrival: Arrival) -> Callable[[], None]:
        """What raises StopOver as soon as the target does not stand there any more."""

        def require() -> None:
            if not self.is_present(arrival):
                raise self.stop_over()

        return require

    def frames(self, stop: model.Stop, require: Callable[[], None], hidden: int = 0) -> Frames:
        """The same for a stop that may not be shown; ``require`` raises when it is over."""
        span = self.code.span_at(stop.pc)
        innermost = (span.file, span.line) if span is not None else None
        return Frames(self.trace(), require, innermost, self.module_of, hidden)

    def trace(self, ahead: int = STACK_AHEAD) -> drgn.StackTrace:
        """drgn's trace of the thread that stopped, with so many bytes of its stack read at once.

        Raises StopOver, KernelDataError.
        """
        try:
            registers = self.live.registers()
            with contextlib.suppress(MemoryFault):
                self.live.read_memory(registers.sp, ahead)
        except StateError as error:
            raise over(error) from None
        return self.inspection.trace(registers.as_dict())

    def trace_of_caller(self) -> drgn.StackTrace:
        """The trace from where the function that the thread has just been called in returns to: for code that drgn
        cannot unwind from. Raises KernelDataError, MemoryFault."""
        registers, arch = self.live.registers().as_dict(), self.live.arch
        sp = registers[arch.sp]
        returns_to = int.from_bytes(self.live.read_memory(sp, arch.word), "little")
        return self.inspection.trace({**registers, arch.pc: returns_to, arch.sp: sp + arch.word})

    def entered_at(self, arrival: Arrival) -> int:
        """How many inlined calls begin where the thread stands and were not asked for by name."""
        stop = arrival.stop
        places_ = [hit.place for hit in arrival.verdict.hits if hit.place is not None]
        if any(place.file or place.address is not None for place in places_):
            return 0
        return self.code.entered_at(stop.pc, tuple(place.function for place in places_))

    def stop_over(self) -> StateError:
        """The error for what belongs to a stop that is over."""
        return over(StateError("", state="at another stop" if self.live.is_stopped else self.live.state.value))

    def module_of(self, address: int) -> str:
        """The module that holds an address, or an empty string."""
        module = self.live.look_into(lambda known: known.world.modules.containing(address))
        return module.name if module is not None else ""

    def result_of(self, arrival: Arrival, hidden: int) -> Callable[[], drgn.Object] | None:
        """What reads the result of the function that is shown innermost, once it has returned; None without one."""
        frame = self.frames_of(arrival, hidden)[0]
        if frame.inlined or frame.function is None:
            return None
        kind = return_type(self.inspection.program().drgn, frame.function, frame.file)
        return None if kind is None else lambda: returned(self.live, kind)

    # -- memory --------------------------------------------------------------------------------------------------

    def write(self, object_: drgn.Object, value: object) -> None:
        """Write a variable. Raises UsageError, MemoryFault, LeaseError."""
        _require_object(object_)
        address, bits = object_.address_, object_.bit_field_size_
        if address is None or bits is not None:
            what = "a bit field" if bits is not None else "a value, and stands at no address of the target's memory"
            raise UsageError(f"this object cannot be written: it is {what}", hint="A variable in a register cannot be.")
        try:
            data = as_bytes(object_, value)
        except (TypeError, ValueError, OverflowError, drgn.ObjectAbsentError) as error:
            raise UsageError(f"{value!r} is no value for {object_.type_.type_name()}: {error}") from None
        self.live.write_memory(self.controller.client, address, data)


def as_bytes(object_: drgn.Object, value: object) -> bytes:
    """The memory of an object that has this value. Raises TypeError, ValueError, OverflowError: it is none for it."""
    made = drgn.Object(object_.prog_, object_.type_, value)
    if isinstance(value, int) and made.value_() != value:  # drgn cuts it off, as C does
        raise ValueError("it does not fit")
    data: bytes = made.to_bytes_()
    return data


def _require_object(object_: object) -> None:
    if not isinstance(object_, drgn.Object):
        hint = 'Objects are what a frame and a program give: frame["name"], stop.prog["name"].'
        raise UsageError(f"{object_!r} is no object of drgn", hint=hint)
