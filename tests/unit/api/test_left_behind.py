# SPDX-License-Identifier: Apache-2.0
"""What attaching leaves behind: nothing when the target was freed, else the journal, with which it is taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.api import recovery
from nullmodem.errors import WireTimeout
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.journal import read_journal
from nullmodem.session.model import State
from nullmodem.waiting import wait_readable
from support.board import Board
from support.rig import PATIENCE_SECONDS, Arrival
from support.rigged import kernel_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nullmodem.api.machine import Machine

__all__ = ["kernel_file"]


@pytest.fixture
def board(kernel_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path / "cache"))
    made = Board(kernel_file, tmp_path, away=0)
    yield made
    made.close()


def lose(machine: Machine) -> None:
    """Wait until the session knows that its line is gone."""
    events = machine.live.subscribe()
    while machine.live.state is not State.LOST:
        assert wait_readable([events], PATIENCE_SECONDS)
        events.get()
    events.close()
    machine.close()


def test_a_target_that_was_freed_leaves_no_journal(board: Board) -> None:
    machine = board.attach()
    assert {b.address for b in read_journal(board.journal)[1]} == board.rig.machine.software
    machine.live.look_into(lambda session: session.break_ins.want(""))
    board.happens(Arrival(board.rig.kernel.symbol("kgdb_breakpoint") + 1, traps=True))
    machine.live.wait_for_stop(PATIENCE_SECONDS)
    machine.close()
    assert board.fake.running
    assert not board.journal.exists()


def test_a_line_that_fails_leaves_the_journal_and_who_takes_over_goes_on_with_it(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = board.attach()
    head, armed = read_journal(board.journal)
    board.unplug()
    lose(machine)
    assert read_journal(board.journal) == (head, armed)
    monkeypatch.setattr(recovery, "ANSWER_SECONDS", 0.1)
    with pytest.raises(WireTimeout):
        recovery.recover(head, armed, board.work, wait=0.1, journal=board.journal)
    assert read_journal(board.journal) == (head, armed)
    board.stop_for_the_next()
    monkeypatch.setattr(recovery, "ANSWER_SECONDS", PATIENCE_SECONDS)
    again = recovery.recover(head, armed, board.work, wait=PATIENCE_SECONDS, journal=board.journal)
    another = Breakpoint(BreakpointKind.SOFTWARE, board.rig.kernel.symbol("kgdb_breakpoint"), 1)
    again.live.insert(again.live.attach("test"), another)
    assert set(read_journal(board.journal)[1]) == {*armed, another}
    again.close()


def test_a_target_that_rebooted_leaves_no_journal(board: Board) -> None:
    machine = board.attach()
    board.reboot()
    lose(machine)
    assert not board.journal.exists()
