# SPDX-License-Identifier: Apache-2.0
"""A processor that did not stop with the others: nobody is shown registers that it has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import StateError
from nullmodem.session.model import Said, State
from nullmodem.session.threads import PROCESSOR_BASE
from support.rig import PATIENCE_SECONDS
from support.rigged import kernel_file, rig

if TYPE_CHECKING:
    from support.rig import Rig

__all__ = ["kernel_file", "rig"]

RECORD = 40
"""Bytes of the fake kernel's struct debuggerinfo_struct."""


def rounded_up(rig: Rig, *processors: int) -> None:
    """Let the kernel say that it stands on processor 0, and that these have come to it."""
    rig.kernel.poke(rig.memory, rig.kernel.symbol("kgdb_active"), 0, 4)
    for number in range(4):
        there = 0xFFFF_C900_0000_1000 if number in processors else 0
        rig.kernel.poke(rig.memory, rig.kernel.symbol("kgdb_info") + number * RECORD, there)


def stop(rig: Rig) -> None:
    rig.live.interrupt()
    rig.live.wait_for_stop(PATIENCE_SECONDS)


def test_it_is_shown_as_running_its_registers_are_refused_and_that_is_said_once(rig: Rig) -> None:
    rounded_up(rig, 0)
    stop(rig)
    one = PROCESSOR_BASE + 1
    threads = rig.live.threads(names=True)
    assert [(thread.id, thread.stands) for thread in threads if thread.id >= PROCESSOR_BASE] == [(one, False)]
    with pytest.raises(StateError, match="processor 1 did not stop with the others"):
        rig.live.registers(one)
    said = []
    while (event := rig.events.get()) is not None:
        if isinstance(event, Said) and "did not stop" in event.text:
            said.append(event.text)
    assert said == ["processor 1 did not stop with the others, and runs on: what it works on may change"]
    assert rig.live.registers().pc, "the one that stopped is read as ever"


def test_gdb_is_told_that_nothing_of_it_is_known(rig: Rig) -> None:
    rounded_up(rig, 0)
    stop(rig)
    gdb = rig.gdb()
    gdb.attach()
    assert gdb.ask(b"Hg%x" % (PROCESSOR_BASE + 1)) == b"OK"
    assert set(gdb.ask(b"g")) == set(gdb.ask(b"p10")) == set(b"x")
    assert b"did not stop" in bytes.fromhex(gdb.ask(b"qThreadExtraInfo,%x" % (PROCESSOR_BASE + 1)).decode())


def test_one_that_came_late_is_shown_at_the_next_stop(rig: Rig) -> None:
    rounded_up(rig, 0)
    stop(rig)
    assert not rig.live.threads(names=True)[-1].stands
    rounded_up(rig, 0, 1)
    rig.live.go()
    rig.until(State.RUNNING)
    stop(rig)
    assert all(thread.stands for thread in rig.live.threads(names=True))
    assert rig.live.registers(PROCESSOR_BASE + 1).pc == rig.kernel.symbol("do_init_module")
