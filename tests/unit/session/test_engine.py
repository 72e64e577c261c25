# SPDX-License-Identifier: Apache-2.0
"""The engine: whatever happens in its thread, nobody waits for it for ever."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import NullmodemError, RemoteProtocolError, StateError, WireClosed, WireTimeout
from nullmodem.session.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 10.0


class Driven:
    """`engine.Driven` that does what a test says when its wire brings something."""

    def __init__(self) -> None:
        self.wire = os.eventfd(0, os.EFD_NONBLOCK)
        self.arrival: Callable[[], None] = lambda: None
        self.trouble: Callable[[NullmodemError], None] = lambda _error: None
        self.lost: Future[WireClosed] = Future()

    def fileno(self) -> int:
        return self.wire

    def on_wire(self) -> None:
        os.eventfd_read(self.wire)
        self.arrival()

    def patience(self) -> float | None:
        return None

    def on_overdue(self) -> None: ...

    def on_lost(self, error: WireClosed) -> None:
        self.lost.set_result(error)

    def on_trouble(self, error: NullmodemError) -> None:
        self.trouble(error)


@pytest.fixture
def driven() -> Iterator[Driven]:
    driven = Driven()
    yield driven
    os.close(driven.wire)


@pytest.fixture
def engine(driven: Driven) -> Iterator[Engine]:
    engine = Engine(driven)
    engine.start()
    yield engine
    engine.stop()


def failing(error: Exception) -> Callable[..., None]:
    def fail(*_arguments: object) -> None:
        raise error

    return fail


def test_trouble_is_handed_on_and_the_thread_goes_on(driven: Driven, engine: Engine) -> None:
    told: Future[NullmodemError] = Future()
    driven.arrival, driven.trouble = failing(RemoteProtocolError("what?")), told.set_result
    os.eventfd_write(driven.wire, 1)
    assert told.result(SECONDS).message == "what?"
    assert engine.call(lambda: 1, SECONDS) == 1


@pytest.mark.parametrize("second", [WireClosed("gone"), WireTimeout("silent"), KeyError("a mistake")])
def test_trouble_in_dealing_with_trouble_is_the_end_and_everybody_hears_of_it(
    driven: Driven, engine: Engine, second: Exception
) -> None:
    driven.arrival, driven.trouble = failing(RemoteProtocolError("what?")), failing(second)
    os.eventfd_write(driven.wire, 1)
    assert isinstance(driven.lost.result(SECONDS), WireClosed)
    assert engine.call(lambda: 1, SECONDS) == 1


def test_a_mistake_is_the_end_and_everybody_hears_of_it(driven: Driven, engine: Engine) -> None:
    driven.arrival = failing(KeyError("a mistake"))
    os.eventfd_write(driven.wire, 1)
    assert "a mistake" in str(driven.lost.result(SECONDS))
    assert engine.call(lambda: 1, SECONDS) == 1


def test_what_is_accepted_is_answered_though_the_engine_ends() -> None:
    for _attempt in range(50):
        driven = Driven()
        engine = Engine(driven)
        engine.start()
        accepted: list[Future[int]] = []

        def ask(engine: Engine = engine, accepted: list[Future[int]] = accepted) -> None:
            try:
                while True:
                    accepted.append(engine.submit(lambda: 1))
            except StateError:
                return

        asking = threading.Thread(target=ask)
        asking.start()
        engine.stop()
        asking.join(SECONDS)
        assert [future.result(SECONDS) for future in accepted] == [1] * len(accepted)
        os.close(driven.wire)
