# SPDX-License-Identifier: Apache-2.0
"""What happens in a session, told to another process as it happens."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nullmodem.api.control_protocol import Happened, SessionEvent
from nullmodem.api.facts import stop_facts
from nullmodem.session.model import Lost, ModulesChanged, Resumed, Said, Stopped
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.live import LiveSession
    from nullmodem.session.model import Event
    from nullmodem.waiting import HasFileno


def watch(live: LiveSession, send: Callable[[SessionEvent], None], until: HasFileno) -> None:
    """Hand over every event until ``until`` is readable. Raises what ``send`` does when nobody is there any more."""
    with contextlib.closing(live.subscribe()) as events:
        send(SessionEvent(Happened.WATCHING.value))
        while until not in wait_readable([until, events]):
            while (event := events.get()) is not None:
                told = _told(live, event)
                if told is not None:
                    send(told)


def _told(live: LiveSession, event: Event) -> SessionEvent | None:
    match event:
        case Stopped(stop):
            return SessionEvent(Happened.STOPPED.value, stop=stop_facts(live, stop))
        case Resumed(number):
            return SessionEvent(Happened.RESUMED.value, resumes=number)
        case ModulesChanged():
            return SessionEvent(Happened.MODULES.value)
        case Said(text):
            return SessionEvent(Happened.SAID.value, text=text)
        case Lost(reason):
            return SessionEvent(Happened.LOST.value, text=reason)
        case _:
            return None  # what a breakpoint printed is for its client alone
