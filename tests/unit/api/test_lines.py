# SPDX-License-Identifier: Apache-2.0
"""Lines of an attached target that go and come back, as users have them: a socket, ser2net, a terminal, a console."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.lines import ConsoleAt
from nullmodem.session.model import Said, State, StopReason
from nullmodem.waiting import wait_readable
from nullmodem.wire.recording import Direction, read_recording
from support.board import Board
from support.lines import SECONDS, Ser2net, device, program, running, until
from support.rig import Arrival
from support.rigged import kernel_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from nullmodem.api.machine import Machine
    from nullmodem.session.events import Subscription

__all__ = ["kernel_file"]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path / "cache"))


def wait_for(events: Subscription, words: str) -> None:
    """Until something with these words has been said."""
    while True:
        event = events.get()
        if isinstance(event, Said) and words in event.text:
            return
        if event is None:
            assert wait_readable([events], SECONDS), f"nobody said {words!r}"


@contextlib.contextmanager
def attached(board: Board) -> Iterator[Machine]:
    """A session on the board, which runs, until the end of the block."""
    machine = board.attach()
    try:
        yield machine
    finally:
        machine.live.close(release=False)
        machine.close()


def check(board: Board, pull: Callable[[], None], plug: Callable[[], None]) -> None:
    """A stop that comes while the line is away is shown when it is back; a target that stands is found to stand."""
    trap = board.rig.kernel.symbol("kgdb_breakpoint") + 1
    with attached(board) as machine:
        events = machine.live.subscribe(tells_of_stops=True)
        pull()
        wait_for(events, "the line to the target is gone")
        assert machine.live.state is State.DISCONNECTED
        board.happens(Arrival(trap, traps=True))
        plug()
        wait_for(events, "it had stopped meanwhile")
        stop = machine.live.wait_for_stop(SECONDS, after=1)
        assert (stop.reason, stop.pc) == (StopReason.TRAP, trap)
        resumed = board.fake.requests.count(b"c")
        pull()
        wait_for(events, "the line to the target is gone")
        plug()
        wait_for(events, "stands where it stood")
        assert machine.live.state is State.STOPPED
        assert board.fake.requests.count(b"c") == resumed
        machine.live.go()
        assert machine.live.state is State.RUNNING
        assert board.rig.machine.software
        events.close()


class Cable:
    """What is between a session and the board, and can be taken away and put back: what ``make`` makes."""

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        self._make = make
        self._stack = contextlib.ExitStack()
        self.plug()

    def plug(self) -> None:
        self._stack.enter_context(self._make())

    def pull(self) -> None:
        self._stack.close()


@contextlib.contextmanager
def adapter(directory: Path) -> Iterator[None]:
    """A terminal at ``directory``/tty with the board behind it."""
    link = directory / "tty"
    with running(program("socat"), f"pty,raw,echo=0,link={link}", f"unix-connect:{directory}/line"):
        until(link.exists, "socat's pseudo terminal")
        yield
    link.unlink(missing_ok=True)


def test_a_socket_that_is_reset_is_connected_again(kernel_file: Path, tmp_path: Path) -> None:
    with contextlib.closing(Board(kernel_file, tmp_path)) as board:
        check(board, board.unplug, lambda: None)


def test_a_terminal_that_goes_away_is_opened_again_where_it_was(kernel_file: Path, tmp_path: Path) -> None:
    with contextlib.closing(Board(kernel_file, tmp_path, wire=f"pty:{tmp_path}/tty")) as board:
        cable = Cable(lambda: adapter(tmp_path))
        try:
            check(board, cable.pull, cable.plug)
        finally:
            cable.pull()


@pytest.mark.parametrize(
    ("accepter", "scheme"), [("tcp", "tcp"), ("telnet,tcp", "telnet"), ("telnet(rfc2217),tcp", "rfc2217")]
)
def test_a_ser2net_that_is_ended_and_started_again_is_connected_to_again(
    kernel_file: Path, tmp_path: Path, accepter: str, scheme: str
) -> None:
    server = Ser2net(tmp_path)
    port = server.add(device(f"{tmp_path}/tty"), accepter)
    board = Board(kernel_file, tmp_path, wire=f"{scheme}:127.0.0.1:{port}")
    with contextlib.closing(board), adapter(tmp_path):
        held = os.open(tmp_path / "tty", os.O_RDWR | os.O_NOCTTY)  # without a user socat's terminal would end
        cable = Cable(server.run)
        try:
            check(board, cable.pull, cable.plug)
        finally:
            cable.pull()
            os.close(held)


def test_a_console_on_the_same_line_stays_and_loses_no_text_that_came(kernel_file: Path, tmp_path: Path) -> None:
    board = Board(kernel_file, tmp_path, console=ConsoleAt.SAME)
    board.options = replace(board.options, record=tmp_path / "recording")
    with contextlib.closing(board), attached(board) as machine:
        console = machine.target.console  # type: ignore[attr-defined]
        events = machine.live.subscribe(tells_of_stops=True)
        board.prints(b"before $ ")  # a prompt, which may be the beginning of a packet
        board.unplug()
        wait_for(events, "the line to the target is gone")
        console.wait(r"before \$ ", SECONDS)
        board.happens(Arrival(board.rig.kernel.symbol("kgdb_breakpoint") + 1, traps=True))
        stop = machine.live.wait_for_stop(SECONDS, after=1)
        assert stop.reason is StopReason.TRAP
        machine.live.go()
        until(lambda: board.fake.running, "the machine runs, and has said so")
        board.prints(b"and after\r\n")
        console.wait("and after", SECONDS)
        events.close()
    log = (board.work / "console.log").read_bytes()
    own = re.sub(rb"\r\nnullmodem: [^\r]*\r\n", b"", log)
    assert own == b"before $ and after\r\n", "no packet, and not a byte lost"
    entries = read_recording(tmp_path / "recording").entries
    assert entries[-1].direction is not Direction.EVENT


def test_every_packet_of_an_attached_session_is_in_its_log_over_one_line_and_the_next(
    kernel_file: Path, tmp_path: Path
) -> None:
    board = Board(kernel_file, tmp_path)
    board.options = replace(board.options, wire_log=tmp_path / "packets")
    with contextlib.closing(board):
        with attached(board) as machine:
            events = machine.live.subscribe()
            board.unplug()
            wait_for(events, "is taken to run on")
            events.close()
        sent = [
            packet
            for _seconds, way, packet, _cause in (
                line.split("\t") for line in (tmp_path / "packets").read_text(encoding="utf-8").splitlines()[1:]
            )
            if way == "->"
        ]
    assert sent[0] == "?"
    assert sent.count("c") == 1
    assert {packet.encode() for packet in sent} == {*board.fake.requests, b"qC"}
