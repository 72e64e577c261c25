# SPDX-License-Identifier: Apache-2.0
"""A target whose session was killed: taken over again, freed of what that session had armed, and handed on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.api.live import LiveSession
from nullmodem.api.records import Address
from nullmodem.errors import NullmodemError, UsageError, WireTimeout
from nullmodem.kbuild import cache_root
from nullmodem.session.events import EventBus
from nullmodem.session.journal import Journal, JournaledStub
from nullmodem.session.recovery import Residue, look_over, stand_back
from nullmodem.session.session import Session
from nullmodem.session.world import Files
from nullmodem.stub.arch import by_elf_machine
from nullmodem.stub.client import KgdbStub
from nullmodem.symbols.finder import ModuleFinder
from nullmodem.symbols.for_gdb import vmlinux_for_gdb
from nullmodem.symbols.store import ModuleStore
from nullmodem.symbols.types import TypeInfo
from nullmodem.symbols.vmlinux import Vmlinux
from nullmodem.wire.opening import open_wire
from nullmodem.wire.spec import parse_wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.session.breakpoints import Breakpoint
    from nullmodem.session.journal import JournalHead
    from nullmodem.wire.streams import ByteStream

STOP_IT: Final = "Stop it on its console, or in a shell on it with `echo g > /proc/sysrq-trigger`, and try again."
ANSWER_SECONDS: Final = 3.0
"""A target that stands still answers within a moment, whatever state its line was left in."""


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """Where a breakpoint had been armed, and what stands there now."""

    address: Address
    where: str
    found: str


@dataclass(frozen=True, slots=True)
class RecoveryFacts:
    """``state`` is how the target was found: stopped or running. ``where`` it stands; ``left`` counts traps that nobody
    can lift; ``released``: it was left running, without a debugger.
    """

    state: str
    where: str
    places: tuple[PlaceFacts, ...]
    left: int
    released: bool = False


class Recovered:
    """A target that stands still under a session of this process; nothing is armed in it.

    ``live`` is the session, ``facts`` what was found. `release` lets the target run; `close` ends it either way.
    """

    def __init__(self, live: LiveSession, stream: ByteStream, facts: RecoveryFacts) -> None:
        self.live = live
        self.facts = facts
        self._stream = stream

    def release(self, wait: float) -> None:
        """Let the target run without a debugger. One that runs must stop once more for that, within ``wait`` seconds.

        Raises WireTimeout when it does not: it runs on, armed.
        """
        if self.live.is_running:
            self.live.interrupt()
            self.live.wait_for_stop(wait)
        self.live.close(release=True)

    def close(self) -> None:
        """Let go of the line. Safe to call twice."""
        self.live.close(release=False)
        self._stream.close()


def recover(
    head: JournalHead,
    armed: tuple[Breakpoint, ...],
    workdir: Path,
    *,
    wait: float,
    journal: Path | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> Recovered:
    """Take over the target of a killed session, whether it stands or runs.

    A line that can carry a BREAK stops one that runs; on another it is waited for, ``wait`` seconds, until it stops at
    a breakpoint of the killed session's or is stopped from outside. ``journal`` is where to keep a journal anew.

    Raises:
        UsageError, WireError: the line cannot be opened.
        WireTimeout: the target does not stop, or does not answer.
        IdentityError: it is another kernel by now.
    """
    files = _files(head, workdir)
    progress(f"opening {head.wire}")
    stream = open_wire(parse_wire(head.wire))
    try:
        stub = KgdbStub(stream, by_elf_machine(files.vmlinux.machine))
        session = Session(stub, files, EventBus())
        if journal is not None:
            kept = Journal(journal, head)
            session.table.send_through(lambda inserter: JournaledStub(inserter, kept))
        live, state = _take(session, stream, wait, progress)
        facts = live.look_into(lambda session: _examine(session, armed, state))
    except BaseException:
        stream.close()
        raise
    return Recovered(live, stream, facts)


def _files(head: JournalHead, workdir: Path) -> Files:
    vmlinux = Vmlinux.open(Path(head.vmlinux))
    finder = ModuleFinder([Path(place) for place in head.search], machine=vmlinux.machine)
    for_gdb = vmlinux_for_gdb(vmlinux, cache_root() / "vmlinux")
    return Files(vmlinux, for_gdb, TypeInfo.open(vmlinux.path), finder, ModuleStore(workdir / "modules"))


def _take(
    session: Session, stream: ByteStream, wait: float, progress: Callable[[str], None]
) -> tuple[LiveSession, str]:
    """Returns how the target was found, too."""
    standing = LiveSession(session, lambda: None)
    try:
        standing.start(ANSWER_SECONDS)
    except WireTimeout:
        progress("the target runs; waiting for it to stop")
    else:
        return standing, "stopped"
    running = LiveSession(session, lambda: _break_in(stream))
    try:
        running.start(wait)
    except WireTimeout as error:
        raise WireTimeout(
            f"the target runs, or is gone: it did not stop within {wait:.0f} s",
            hint=STOP_IT,
        ) from error
    return running, "running"


def _break_in(stream: ByteStream) -> None:
    try:
        stream.send_break()
    except UsageError:
        return  # this line has none: somebody else will stop the target, or a breakpoint
    stream.write(b"g")


def _examine(session: Session, armed: tuple[Breakpoint, ...], state: str) -> RecoveryFacts:
    try:
        stand_back(session, armed)
    except NullmodemError as error:
        session.say(f"whether the target stands at a breakpoint cannot be told: {error.message}")
    places = look_over(session, armed)
    left = sum(place.residue is Residue.TRAP for place in places)
    facts = tuple(PlaceFacts(Address(p.address), p.where, p.residue.value) for p in places)
    return RecoveryFacts(state, session.world.describe(session.target.registers.pc), facts, left)
