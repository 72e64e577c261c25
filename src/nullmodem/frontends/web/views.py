# SPDX-License-Identifier: Apache-2.0
"""What the session knows, as the page is told it. Nothing here reads the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.api.records import Address
from nullmodem.errors import NullmodemError
from nullmodem.frontends.web.protocol import (
    KernelView,
    Modules,
    ModuleView,
    Place,
    SectionView,
    SessionView,
    StopView,
    UseView,
    Wire,
)
from nullmodem.session.model import ModuleProblem

if TYPE_CHECKING:
    from nullmodem.api.machine import Machine
    from nullmodem.api.status import Status
    from nullmodem.frontends.python.controller import Arrival
    from nullmodem.frontends.python.debugger import Debugger
    from nullmodem.session.model import Module
    from nullmodem.session.session import Session

_EXECUTABLE_KINDS: Final = {"text": "text", "rodata": "rodata", "ro_after_init": "rodata", "data": "data"}


def session_view(machine: Machine) -> SessionView:
    """What does not change."""

    def look(session: Session) -> tuple[str, int | None]:
        return str(session.files.vmlinux.path), session.stub.baud

    kernel, baud = machine.live.look_into(look)
    wire = f"{baud} baud" if baud is not None else ""
    return SessionView(machine.name, machine.name, kernel, machine.live.arch.name, wire)


def place_of(debugger: Debugger, pc: int) -> Place:
    """Where an address is, from files alone."""
    live = debugger.live
    span = debugger.code.span_at(pc)
    module, _, where = live.describe(pc).partition(" ")[0].rpartition(":")
    inlined = debugger.code.inlined_at(pc) if span is not None else ()
    function = inlined[-1].function if inlined else where.partition("+")[0]
    return Place(function, module, span.file if span else "", span.line if span else 0, Address(pc))


def stop_view(debugger: Debugger, arrival: Arrival, reason: str = "") -> StopView:
    """A stop with its place. ``reason``: where it is known better."""
    stop = arrival.stop
    error = arrival.error
    says = error.message if isinstance(error, NullmodemError) else error
    note = f"the breakpoint's condition: {says}" if error is not None else stop.note
    return StopView(stop.number, reason or stop.reason.value, stop.thread, place_of(debugger, stop.pc), note)


def modules_view(machine: Machine) -> Modules:
    """The loaded modules, section by section, and where the kernel is."""

    def image(session: Session) -> tuple[int, int]:
        kernel = session.world.kernel
        return kernel.vmlinux.image.start + kernel.slide, kernel.vmlinux.image.end + kernel.slide

    start, end = machine.live.look_into(image)
    modules = tuple(_module_view(module) for module in machine.live.modules())
    return Modules(modules, KernelView(Address(start), Address(end)), machine.known)


def _module_view(module: Module) -> ModuleView:
    stale = module.problem not in (ModuleProblem.NONE, ModuleProblem.NO_FILE)
    sections = [
        SectionView(
            section.section.name,
            Address(section.address),
            section.section.size,
            _kind(section.section.name, executable=section.section.executable, writable=section.section.writable),
            freed=not module.in_memory(section),
        )
        for section in module.sections
        if section.present and section.section.size
    ]
    if not sections:
        sections = [
            SectionView(
                region.kind.value,
                Address(region.range.start),
                region.range.size,
                "init" if region.kind.is_init else _EXECUTABLE_KINDS.get(region.kind.value, "other"),
                freed=any(region.range.start in freed for freed in module.freed),
            )
            for region in module.loaded.regions
        ]
    load = (
        module.instance.parent.name if module.instance is not None else ""
    )  # a directory that nobody was given before
    return ModuleView(module.name, module.loaded.state.name.lower(), stale, tuple(sections), load)


def _kind(name: str, *, executable: bool, writable: bool) -> str:
    if name.startswith(".init"):
        return "init"
    if executable:
        return "text"
    if name.startswith((".note", ".gnu", "__", ".modinfo")):
        return "other"
    return "data" if writable else "rodata"


def wire_view(status: Status, before: Status, command: str) -> Wire:
    """What the wire was used for; ``command`` began when it was as it was ``before``."""
    total, hits = status.wire.total, status.cache.hits
    last = total - before.wire.total
    return Wire(
        UseView(command, last.bytes_out, last.bytes_in, last.round_trips, max(0, hits - before.cache.hits)),
        UseView("", total.bytes_out, total.bytes_in, total.round_trips, hits),
        status.wire.utilisation,
    )
