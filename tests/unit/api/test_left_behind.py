# SPDX-License-Identifier: Apache-2.0
"""What attaching leaves behind: nothing when the target was freed, else the journal, with which it is taken over."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.api import recovery
from nullmodem.api.attach import AttachOptions, ConsoleAt, attach, look_at_files
from nullmodem.errors import WireTimeout
from nullmodem.frontends.gdb.server import listen_unix
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.journal import read_journal
from nullmodem.session.model import Policy, State
from nullmodem.waiting import wait_readable
from nullmodem.wire.spec import parse_wire
from support.fakekernel import FakeKernel
from support.rig import PATIENCE_SECONDS, Arrival, Rig
from support.rigged import kernel_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nullmodem.api.machine import Machine

__all__ = ["kernel_file"]


class Board:
    """A fake kernel that stands still, at a socket that anybody may connect to, one after the other."""

    def __init__(self, kernel: Path, directory: Path) -> None:
        self.rig = Rig(FakeKernel(kernel), directory, Policy.RELEASE)
        self.fake = self.rig.fake
        self.path = directory / "line"
        self.work = directory / "work"
        self.work.mkdir()
        self.journal = directory / "journal"
        self.options = AttachOptions(parse_wire(f"unix:{self.path}"), kernel, ConsoleAt.NONE, ways=())
        self._listener = listen_unix(self.path)
        self._peer: socket.socket | None = None
        self._lock = threading.Lock()
        self._runs = threading.Event()
        self._stops = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def attach(self) -> Machine:
        machine = attach("board", self.options, look_at_files(self.options), self.work, journal=self.journal)
        assert self._runs.wait(PATIENCE_SECONDS)
        return machine

    def happens(self, arrival: Arrival) -> None:
        """A processor of the running machine comes to a place."""
        with self._lock:
            self.rig.story.to_come.append(arrival)
            stop = self.rig.story(self.rig.machine, False)  # noqa: FBT003
            assert stop is not None
            self._send(self.fake.stop(stop))

    def reboot(self) -> None:
        with self._lock:
            self._send(self.fake.reboot())

    def unplug(self) -> None:
        """Whoever is connected hears that the line is gone."""
        assert self._peer is not None
        self._peer.shutdown(socket.SHUT_RDWR)

    def stop_for_the_next(self) -> None:
        """Have the machine stopped by the time somebody else is connected."""
        self._stops = True

    def _send(self, data: bytes) -> None:
        assert self._peer is not None
        self._peer.sendall(data)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut down
            while True:
                peer, _address = self._listener.accept()
                if self._stops:
                    self.fake.typed.clear()  # what was asked while it ran
                    self.fake.stop()
                self._peer = peer
                with peer, contextlib.suppress(OSError):  # it hung up
                    while data := peer.recv(4096):
                        with self._lock:
                            peer.sendall(self.fake.receive(data))
                        if self.fake.running:
                            self._runs.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # a test that failed has left it open
            self.unplug()
        self._thread.join(PATIENCE_SECONDS)
        self._listener.close()
        self.rig.close()


@pytest.fixture
def board(kernel_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path / "cache"))
    made = Board(kernel_file, tmp_path)
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
