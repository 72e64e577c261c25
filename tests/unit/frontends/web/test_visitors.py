# SPDX-License-Identifier: Apache-2.0
"""Pages that come and go when nobody waits for them any more: none of them may stay a client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.machine import Machine
from nullmodem.frontends.python.controller import Controller, Verdict
from nullmodem.frontends.web.hub import Hub
from nullmodem.frontends.web.outbox import Outbox
from nullmodem.frontends.web.visitor import Visitor
from nullmodem.frontends.web.visitors import Visitors
from support.descriptors import descriptors, room_for
from support.pages import FakeTarget

if TYPE_CHECKING:
    from collections.abc import Iterator
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
