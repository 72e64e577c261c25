# SPDX-License-Identifier: Apache-2.0
"""A target whose session was killed: taken over again, freed of what that session had armed, and handed on."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.api.attach import AttachOptions, connect, parse_console
from nullmodem.api.live import LiveSession
from nullmodem.api.records import Address
from nullmodem.api.ways import parse_ways
from nullmodem.errors import NullmodemError, WireTimeout
from nullmodem.session.recovery import Residue, look_over, stand_back, stand_others_back
from nullmodem.wire.spec import parse_wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.attach import Connection
    from nullmodem.session.breakpoints import Breakpoint
    from nullmodem.session.journal import JournalHead
    from nullmodem.session.session import Session

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

    def __init__(self, live: LiveSession, connection: Connection, facts: RecoveryFacts) -> None:
        self.live = live
        self.facts = facts
        self._connection = connection

    def release(self, wait: float) -> None:
        """Let the target run without a debugger. One that runs must stop once more for that, within ``wait`` seconds.

        Raises WireTimeout when it does not: it runs on, armed.
        """
        if self.live.is_running:
            with contextlib.suppress(NullmodemError):  # somebody else may stop it
                self.live.interrupt()
            self.live.wait_for_stop(wait)
        self.live.close(release=True)

    def close(self) -> None:
        """Let go of the line. Safe to call twice."""
        self.live.close(release=False)
        self._connection.resources.close()


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

    One that runs is stopped by the ways to break in that the session had; when none works it is waited for, ``wait``
    seconds, until it comes to a breakpoint of the killed session's or is stopped from outside. ``journal`` is where to
    go on keeping a journal; what is ``armed`` stays in it.

    Raises:
        UsageError, WireError: the line cannot be opened.
        WireTimeout: the target does not stop, or does not answer.
        IdentityError: it is another kernel by now.
    """
    options = AttachOptions(
        parse_wire(head.wire), Path(head.vmlinux), parse_console(head.console), ways=parse_ways(head.ways)
    )
    progress(f"opening {head.wire}")
    made = connect(options, tuple(Path(place) for place in head.search), workdir, journal, armed)
    with made.resources as stack:
        live, state = _take(made, wait, progress)
        facts = live.look_into(lambda session: _examine(session, armed, state))
        resources = stack.pop_all()
    return Recovered(live, replace(made, resources=resources), facts)


def _take(made: Connection, wait: float, progress: Callable[[str], None]) -> tuple[LiveSession, str]:
    """Returns how the target was found, too."""
    standing = LiveSession(made.session, lambda: made.ways() if made.session.stop is not None else None)
    made.ways.stopped = standing.stopped_within
    try:
        standing.start(ANSWER_SECONDS)
    except WireTimeout:
        progress("the target runs; waiting for it to stop")
    else:
        return standing, "stopped"
    tried = ""

    def break_in() -> None:
        nonlocal tried
        try:
            made.ways()
        except NullmodemError as error:  # somebody else may stop it, or a breakpoint
            tried = f"\n{error.message}"

    running = LiveSession(made.session, break_in)
    made.ways.stopped = running.stopped_within
    try:
        running.start(wait)
    except WireTimeout as error:
        raise WireTimeout(
            f"the target runs, or is gone: it did not stop within {wait:.0f} s{tried}", hint=STOP_IT
        ) from error
    if not (made.session.break_ins.works or tried):  # a breakpoint came before it
        running.look_into(lambda session: session.break_ins.sent())
    return running, "running"


def _examine(session: Session, armed: tuple[Breakpoint, ...], state: str) -> RecoveryFacts:
    for look in (stand_others_back, stand_back):
        try:
            look(session, armed)
        except (NullmodemError, LookupError) as error:
            session.say(f"whether the target stands at a breakpoint cannot be told: {error}")
    places = look_over(session, armed)
    left = sum(place.residue is Residue.TRAP for place in places)
    facts = tuple(PlaceFacts(Address(p.address), p.where, p.residue.value) for p in places)
    return RecoveryFacts(state, session.world.describe(session.target.registers.pc), facts, left)
