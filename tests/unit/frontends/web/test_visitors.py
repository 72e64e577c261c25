# SPDX-License-Identifier: Apache-2.0
"""Pages that come and go when nobody waits for them any more: none of them may stay a client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.machine import Machine
from nullmodem.frontends.python.controller import Controller, Verdict
from nullmodem.frontends.web import requests
from nullmodem.frontends.web.hub import Hub
from nullmodem.frontends.web.outbox import Outbox
from nullmodem.frontends.web.protocol import MOST_UNREAD
from nullmodem.frontends.web.visitor import Visitor
from nullmodem.frontends.web.visitors import Visitors
from nullmodem.session.model import State
from support.descriptors import descriptors, room_for
from support.pages import SECONDS, FakeTarget, web_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from support.rig import Rig


@pytest.fixture
def hub(rig: Rig, tmp_path: Path) -> Iterator[Hub]:
    target = FakeTarget(tmp_path)
    hub = Hub(Machine("fake", rig.live, target, None, tmp_path))  # type: ignore[arg-type]
    yield hub
    hub.close()
    target.close()


def outbox() -> Outbox:
    return Outbox(lambda: None)


@pytest.mark.parametrize("room", range(8))
def test_a_page_that_finds_no_descriptors_leaves_no_client(rig: Rig, hub: Hub, room: int) -> None:
    before = descriptors()
    with room_for(room), pytest.raises(OSError, match="Too many open files"):
        Visitor(hub, outbox(), 1)
    assert rig.live.clients() == ()
    assert descriptors() == before


@pytest.mark.parametrize("room", range(4))
def test_a_client_that_finds_no_descriptors_is_none(rig: Rig, room: int) -> None:
    before = descriptors()
    with room_for(room), pytest.raises(OSError, match="Too many open files"):
        Controller(rig.live, lambda _stop: Verdict(shown=True), lambda: None)
    assert rig.live.clients() == ()
    assert descriptors() == before


def test_a_page_that_nobody_waits_for_is_closed_with_the_server(rig: Rig, hub: Hub) -> None:
    visitors = Visitors(hub)

    async def hurry() -> None:
        coming = asyncio.create_task(visitors.come(outbox()))
        await asyncio.sleep(0)
        coming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await coming

    asyncio.run(hurry())
    visitors.close()
    assert rig.live.clients() == ()


def test_a_page_goes_though_the_loop_ends_at_once(rig: Rig, hub: Hub) -> None:
    visitors = Visitors(hub)

    async def visit() -> None:
        visitor = await visitors.come(outbox())
        assert len(rig.live.clients()) == 1
        visitors.go(visitor).cancel()

    asyncio.run(visit())
    visitors.close()
    assert rig.live.clients() == ()


def test_a_page_that_is_there_when_the_server_ends_goes_with_it(rig: Rig, hub: Hub) -> None:
    visitors = Visitors(hub)
    asyncio.run(visitors.come(outbox()))
    assert len(rig.live.clients()) == 1
    visitors.close()
    assert rig.live.clients() == ()


# -- what one is told, and in which order ------------------------------------------------------------------------------


@pytest.fixture
def visitor(hub: Hub) -> Iterator[Visitor]:
    visitor = Visitor(hub, outbox(), 1)
    yield visitor
    visitor.close()


@contextlib.contextmanager
def busy(visitor: Visitor, pool: ThreadPoolExecutor, threads: int) -> Iterator[None]:
    """So many threads of a page's have something to wait for."""
    over, begun = threading.Event(), threading.Semaphore(0)

    def wait() -> None:
        begun.release()
        over.wait()

    for _ in range(threads):
        assert visitor._submit(pool, wait)
    try:
        for _ in range(threads):
            assert begun.acquire(timeout=SECONDS)
        yield
    finally:
        over.set()


def test_a_page_is_told_once_of_all_that_happens_while_it_looks(visitor: Visitor) -> None:
    with busy(visitor, visitor._in_turn, 1):
        for _ in range(50):
            visitor._tell_soon()
        assert visitor._in_turn._work_queue.qsize() == 1


def test_a_pause_waits_for_no_module(rig: Rig, visitor: Visitor) -> None:
    with busy(visitor, visitor._at_once, 4):
        visitor.ask(1, requests.Pause())
        rig.until(State.STOPPED)


def kinds(outbox: Outbox) -> list[str]:
    found = []
    while (message := outbox.take()) is not None:
        found.append(json.loads(message[1]).get("type", ""))
    return found


def test_a_snapshot_tells_again_what_was_told_while_it_was_made(rig: Rig, tmp_path: Path) -> None:
    class Meddled(Hub):
        meddle = staticmethod(lambda: None)

        def snapshot(self, outbox: Outbox) -> None:
            self.meddle()
            super().snapshot(outbox)

    with contextlib.ExitStack() as made:
        target = FakeTarget(tmp_path)
        made.callback(target.close)
        hub = Meddled(Machine("fake", rig.live, target, None, tmp_path))  # type: ignore[arg-type]
        made.callback(hub.close)
        box = outbox()
        visitor = Visitor(hub, box, 1)
        made.callback(visitor.close)
        hub.meddle = visitor._tell_all  # type: ignore[assignment]
        visitor.snapshot()
        visitor._in_turn.submit(lambda: None).result(SECONDS)  # what was to be told soon has been
        told = kinds(box)
    assert {"state", "breakpoints"} <= set(told[len(told) - told[::-1].index("hello") :])


def test_what_is_printed_while_a_snapshot_is_made_comes_behind_it(hub: Hub) -> None:
    class Printing:
        thread: threading.Thread

        def text(self) -> str:
            self.thread = threading.Thread(target=hub._printed, args=(b"now",))
            self.thread.start()
            self.thread.join(0.3)  # as long as it takes without a lock
            return ""

    box, hub.console = outbox(), Printing()  # type: ignore[assignment]
    hub.join(box, lambda: None)
    hub.console.thread.join()  # type: ignore[union-attr]
    told = kinds(box)
    assert told.index("hello") < told.index("console")


@pytest.mark.parametrize(("ping_seconds", "requests"), [(0.3, 0), (60.0, MOST_UNREAD + 1)])
def test_who_reads_nothing_any_more_does_not_keep_the_target(
    rig: Rig, tmp_path: Path, ping_seconds: float, requests: int
) -> None:
    """Its answers wait in the server's buffers, which are never empty again."""
    (tmp_path / "deaf").mkdir()
    with web_on(rig.live, tmp_path / "deaf", ping_seconds=ping_seconds) as web:
        small = socket.socket()
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        small.connect(("127.0.0.1", web.server.key.port))
        deaf = web.page(sock=small, max_queue=1, close_timeout=0.1)
        assert deaf.receive()["type"] == "hello"
        rig.break_in()
        rig.until(State.STOPPED)
        text = b"x" * (1 << 16)
        for _ in range(300):
            web.target.line.sendall(text)
        for _ in range(requests):
            deaf.socket.send("x")
        rig.until(State.RUNNING)
        assert rig.live.clients() == ()
