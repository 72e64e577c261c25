# SPDX-License-Identifier: Apache-2.0
"""What a session is doing, at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nullmodem.session.cache import CacheStatistics
    from nullmodem.session.model import Client, State, Stop
    from nullmodem.session.session import Session
    from nullmodem.wire.meter import Use


@dataclass(frozen=True, slots=True)
class Status:
    """What a session is doing. ``wire`` and ``cache`` count since it began; ``said`` is what it had to say last, and
    when (seconds since 1970)."""

    state: State
    stop: Stop | None
    where: str
    resumes: int
    clients: tuple[Client, ...]
    modules: int
    processors: int
    slide: int
    vmlinux: str
    wire: Use
    cache: CacheStatistics
    said: tuple[tuple[int, str], ...]


def status_of(session: Session) -> Status:
    """The status of a session; in the engine's thread."""
    stop = session.stop
    return Status(
        state=session.state,
        stop=stop,
        where=session.world.describe(stop.pc) if stop is not None and session.still else "",
        resumes=session.standing.resumes,
        clients=session.clients.all,
        modules=len(session.world.modules.all),
        processors=session.world.threads.processors,
        slide=session.world.kernel.slide,
        vmlinux=str(session.files.for_gdb),
        wire=session.stub.meter.use(session.planner.command_began, session.stub.baud),
        cache=session.target.cache_statistics,
        said=session.bus.said,
    )
