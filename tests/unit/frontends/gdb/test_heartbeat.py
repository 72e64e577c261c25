# SPDX-License-Identifier: Apache-2.0
"""A gdb whose answer takes long waits for it, and one that gets none is sent away: it would wait for ever."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import UsageError
from nullmodem.frontends.gdb.heartbeat import Heartbeat
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.rsp.framing import Ack, Packet
from nullmodem.testing.gdb import Gdb
from nullmodem.waiting import wait_readable
from support.gdb import wheel
from support.rig import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.rig import Rig

LONGER_THAN_GDB_WAITS = 3.5
"""Seconds, for one that is told ``set remotetimeout 1``: it waits three times."""


def test_it_beats_while_an_answer_is_made_and_not_after() -> None:
    beats = threading.Semaphore(0)
    heartbeat = Heartbeat(beats.release, 0.01)
    try:
        for _ in range(2):
            with heartbeat.while_answering():
                assert beats.acquire(timeout=PATIENCE_SECONDS)
                assert beats.acquire(timeout=PATIENCE_SECONDS)
            while beats.acquire(blocking=False):
                pass
            assert not beats.acquire(timeout=0.05)
    finally:
        heartbeat.close()
        heartbeat.close()


def test_many_short_answers_are_none_that_takes_long() -> None:
    beats: list[None] = []
    heartbeat = Heartbeat(lambda: beats.append(None), 10.0)
    for _ in range(1000):
        with heartbeat.while_answering():
            pass
    heartbeat.close()
    assert beats == []


def test_it_ends_while_an_answer_is_made() -> None:
    heartbeat = Heartbeat(lambda: None, 60.0)
    with heartbeat.while_answering():
        pass
    heartbeat.close()


def test_signs_of_life_come_before_an_answer_that_takes_long(rig: Rig) -> None:
    gdb, works, seen = rig.gdb(), rig.live._break_in, threading.Event()

    def slow() -> None:
        assert seen.wait(PATIENCE_SECONDS)
        works()

    rig.live._break_in = slow
    assert gdb.ask(b"QStartNoAckMode") == b"OK"
    gdb.raw(b"+")
    gdb.send(b"?")
    assert isinstance(gdb.frame(), Ack)
    seen.set()
    assert gdb.stop().thread
    assert gdb.ask(b"qAttached") == b"1"


def test_one_that_acknowledges_packets_gets_none_that_it_would_count(rig: Rig) -> None:
    gdb, works = rig.gdb(), rig.live._break_in

    def slow() -> None:
        assert not wait_readable([gdb.socket], 1.2)
        works()

    assert gdb.ask(b"qAttached") == b"1"
    rig.live._break_in = slow
    gdb.send(b"?")
    frames = [gdb.frame(), gdb.frame()]
    assert isinstance(frames[0], Ack)
    assert isinstance(frames[1], Packet)


@contextlib.contextmanager
def served(rig: Rig, directory: Path) -> Iterator[str]:
    server = GdbServer(rig.live, listen_unix(directory / "gdb.sock"))
    with contextlib.closing(server):
        yield server.address


@pytest.mark.gdb
def test_a_real_gdb_waits_for_an_answer_that_takes_longer_than_it_would(rig: Rig, tmp_path: Path) -> None:
    works = rig.live._break_in

    def slow() -> None:
        wait_readable([], LONGER_THAN_GDB_WAITS)
        works()

    rig.live._break_in = slow
    with served(rig, tmp_path) as address, Gdb(wheel(), str(rig.kernel.path), "-iex", "set remotetimeout 1") as gdb:
        assert "kgdb_breakpoint () at" in gdb(f"target remote {address}")
        assert f"{rig.break_pc:#x}" in gdb("info registers rip")
        gdb("detach")


@pytest.mark.gdb
def test_a_real_gdb_whose_target_cannot_be_stopped_is_sent_away(rig: Rig, tmp_path: Path) -> None:
    works = rig.live._break_in

    def fail() -> None:
        raise UsageError("no way in")

    rig.live._break_in = fail
    with served(rig, tmp_path) as address, Gdb(wheel(), str(rig.kernel.path)) as gdb:
        assert "Target disconnected" in gdb(f"target remote {address}")
        assert any("gdb is turned away: no way in" in text for _when, text in rig.live.events.said)
        rig.live._break_in = works
        assert "kgdb_breakpoint () at" in gdb(f"target remote {address}")
        gdb("detach")
