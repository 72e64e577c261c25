# SPDX-License-Identifier: Apache-2.0
"""Fixtures and words for tests of a session whose line goes away and comes back, for a test's module to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.session import reboot, reconnection
from nullmodem.session.model import Said, State
from support.cable import Cable
from support.rig import PID, Arrival, next_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.rig import Gdb, Rig


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake answers at once or never."""
    for name in ("REPEAT_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(reconnection, name, 0.05)
    monkeypatch.setattr(reboot, "ANSWER_SECONDS", 0.05)


@pytest.fixture
def cable(rig: Rig) -> Iterator[Cable]:
    cable = Cable(rig)
    yield cable
    rig.live.close(release=False)
    cable.close()


def code(rig: Rig) -> int:
    return rig.kernel.symbol("do_init_module") + 4


def said(rig: Rig, words: str) -> str:
    """Wait until something with these words is said."""
    while True:
        event = next_event(rig.events, Said)
        assert isinstance(event, Said)
        if words in event.text:
            return event.text


def stopped_gdb(rig: Rig) -> Gdb:
    """A gdb that has stopped the target in ``code``, with a breakpoint there."""
    gdb = rig.gdb()
    gdb.attach()
    assert gdb.ask(b"Z0,%x,1" % code(rig)) == b"OK"
    run(rig, gdb)
    rig.happen(Arrival(code(rig)))
    assert gdb.stop().thread == PID
    return gdb


def run(rig: Rig, gdb: Gdb) -> None:
    gdb.send(b"vCont;c")
    rig.until(State.RUNNING)
