# SPDX-License-Identifier: Apache-2.0
"""What a session tells of itself, in plain values: what `--json` prints and what crosses to other processes.

Everything here is a string, a number, or a tuple of such records, so that a reader needs nothing of nullmodem's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.api.records import Address

if TYPE_CHECKING:
    from nullmodem.api.live import LiveSession
    from nullmodem.api.status import Status
    from nullmodem.session.model import Module, Stop
    from nullmodem.wire.meter import Use


@dataclass(frozen=True, slots=True)
class StopFacts:
    """One stop: why and where. ``where`` is ``function+0x12`` or ``module:function+0x12``."""

    number: int
    reason: str
    signal: int
    thread: int
    pc: Address
    where: str


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """Somebody attached. ``waiting``: it has let the target run; ``holds``: nobody else may do that now; ``seen``:
    the number of the last stop that it was told of.
    """

    id: str
    name: str
    waiting: bool
    holds: bool
    seen: int


@dataclass(frozen=True, slots=True)
class CommandFacts:
    """What one command used the wire for."""

    round_trips: int
    bytes_out: int
    bytes_in: int


@dataclass(frozen=True, slots=True)
class WireFacts:
    """What the wire was used for since the session began, and for the last ``command`` that had the target run, with
    what was looked at since. ``utilisation`` is the part of the time in which answers were waited for that bytes were
    on the line, in percent; None where the line has no rate.
    """

    round_trips: int
    bytes_out: int
    bytes_in: int
    command: CommandFacts
    baud: int | None
    utilisation: int | None


@dataclass(frozen=True, slots=True)
class CacheFacts:
    """Reads answered without the wire, and with it; bytes given to who asked, and bytes read for that."""

    hits: int
    misses: int
    bytes_served: int
    bytes_fetched: int


@dataclass(frozen=True, slots=True)
class SaidFacts:
    """A line that the session had to say to whoever listens; ``when`` in seconds since 1970."""

    when: int
    text: str


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """The target and its clients. ``stop`` is None unless it stands still now; ``resumes`` counts how often it has
    gone on from where clients knew it to stand, ``modules`` the loaded ones; ``said`` is what the session had to say
    last, oldest first.
    """

    state: str
    stop: StopFacts | None
    resumes: int
    clients: tuple[ClientFacts, ...]
    modules: int
    processors: int
    slide: Address
    vmlinux: str
    wire: WireFacts
    cache: CacheFacts
    said: tuple[SaidFacts, ...]

    @property
    def holder(self) -> str:
        """The name of the client that may run the target, or an empty string."""
        return next((client.name for client in self.clients if client.holds), "")


@dataclass(frozen=True, slots=True)
class RegionFacts:
    """A piece of memory the kernel gave a module: ``kind`` as the kernel calls it, ``size`` in bytes."""

    kind: str
    address: Address
    size: int


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """A loaded module. ``text`` is None for one without code, ``file`` is empty when there is a ``problem`` with it."""

    name: str
    state: str
    text: Address | None
    size: int
    file: str
    problem: str
    explanation: str


@dataclass(frozen=True, slots=True)
class SectionFacts:
    """A section of a module's file. ``address`` is None when it is not in memory; sizes in bytes."""

    name: str
    size: int
    address: Address | None
    alignment: int


@dataclass(frozen=True, slots=True)
class LoadMapFacts:
    """Where a module is. ``sections`` is empty when no file of it was verified."""

    module: ModuleFacts
    sections: tuple[SectionFacts, ...]
    regions: tuple[RegionFacts, ...]


def stop_facts(live: LiveSession, stop: Stop) -> StopFacts:
    """``where`` is looked up while the target stands there; empty when it has gone on."""
    where = live.describe(stop.pc) if live.is_stopped else ""
    return _stop(stop, where)


def _stop(stop: Stop, where: str) -> StopFacts:
    return StopFacts(stop.number, stop.reason.value, stop.signal, stop.thread, Address(stop.pc), where)


def _wire(use: Use) -> WireFacts:
    total, command = use.total, use.command
    return WireFacts(
        total.round_trips,
        total.bytes_out,
        total.bytes_in,
        CommandFacts(command.round_trips, command.bytes_out, command.bytes_in),
        use.baud,
        None if use.utilisation is None else round(100 * use.utilisation),
    )


def target_facts(status: Status) -> TargetFacts:
    stop = status.stop
    return TargetFacts(
        state=status.state.value,
        stop=_stop(stop, status.where) if stop is not None and status.where else None,
        resumes=status.resumes,
        clients=tuple(ClientFacts(c.id, c.name, c.waiting, c.holds_lease, c.seen_stop) for c in status.clients),
        modules=status.modules,
        processors=status.processors,
        slide=Address(status.slide),
        vmlinux=status.vmlinux,
        wire=_wire(status.wire),
        cache=CacheFacts(status.cache.hits, status.cache.misses, status.cache.bytes_served, status.cache.bytes_fetched),
        said=tuple(SaidFacts(when, text) for when, text in status.said),
    )


def module_facts(module: Module) -> ModuleFacts:
    regions = module.loaded.regions
    text = next((region.range.start for region in regions if region.kind.is_text and not region.kind.is_init), None)
    return ModuleFacts(
        name=module.name,
        state=module.loaded.state.value.lower(),
        text=None if text is None else Address(text),
        size=sum(region.range.size for region in regions),
        file=str(module.file.path) if module.file else "",
        problem=module.problem.value,
        explanation=module.explanation,
    )


def load_map_facts(module: Module) -> LoadMapFacts:
    sections = tuple(
        SectionFacts(
            name=section.section.name,
            size=section.section.size,
            address=Address(section.address) if module.in_memory(section) else None,
            alignment=section.section.alignment,
        )
        for section in module.sections
    )
    regions = tuple(
        RegionFacts(region.kind.value, Address(region.range.start), region.range.size)
        for region in module.loaded.regions
    )
    return LoadMapFacts(module_facts(module), sections, regions)
