# SPDX-License-Identifier: Apache-2.0
"""The engine's thread: everything asked is answered, whatever goes wrong, and it leaves nothing behind."""

from __future__ import annotations

import gc
import os
import threading
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import NullmodemError, RemoteProtocolError, StateError, UsageError, WireClosed, WireTimeout
from nullmodem.session.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 5.0


class Wire:
    """`engine.Driven`: one byte written to it is one arrival, of which ``arrive`` makes something."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self.arrive: Callable[[bytes], None] = lambda _byte: None
        self.overdue: Callable[[], None] = lambda: None
        self.trouble: Callable[[NullmodemError], None] = lambda _error: None
        self.owed: float | None = None
        self.lost: list[str] = []
        self.troubles: list[str] = []
        self.threads: set[str] = set()
        self.happened = threading.Event()
        self.is_away = self.returns = False

    def on_away(self) -> bool:
        self.is_away = self.returns
        return self.is_away

    def send(self, byte: bytes = b"x") -> None:
        os.write(self._writer, byte)

    def fileno(self) -> int:
        return self._reader

    def on_wire(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.arrive(os.read(self._reader, 1))

    def patience(self) -> float | None:
        return self.owed

    def on_overdue(self) -> None:
        self.overdue()

    def on_lost(self, error: WireClosed) -> None:
        self.lost.append(error.message)
        self.happened.set()

    def on_trouble(self, error: NullmodemError) -> None:
        self.troubles.append(error.message)
        self.trouble(error)
        self.happened.set()

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


@pytest.fixture
def engine(wire: Wire) -> Iterator[Engine]:
    engine = Engine(wire)
    engine.start()
    yield engine
    engine.stop()


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_arguments: object) -> None:
        raise error

    return fail


def test_functions_run_in_its_thread_in_the_order_they_come(engine: Engine) -> None:
    done: list[int] = []
    futures = [engine.submit(lambda n=n: (done.append(n), threading.current_thread().name)) for n in range(50)]
    assert {future.result(PATIENCE)[1] for future in futures} == {"nullmodem-engine"}
    assert done == list(range(50))


def test_what_a_function_raises_goes_to_whoever_asked(engine: Engine, wire: Wire) -> None:
    for error in (UsageError("no"), ValueError("ours"), WireTimeout("late"), KeyError("k")):
        with pytest.raises(type(error)):
            engine.call(raising(error), PATIENCE)
    assert engine.call(lambda: 1, PATIENCE) == 1
    assert wire.lost == []


def test_a_call_from_its_own_thread_runs_at_once(engine: Engine) -> None:
    assert engine.call(lambda: engine.call(lambda: 7), PATIENCE) == 7


def test_arrivals_are_served_in_its_thread(engine: Engine, wire: Wire) -> None:
    got: list[bytes] = []
    seen = threading.Event()
    wire.arrive = lambda byte: (got.append(byte), seen.set() if byte == b"3" else None)
    for byte in (b"1", b"2", b"3"):
        wire.send(byte)
    assert seen.wait(PATIENCE)
    assert got == [b"1", b"2", b"3"]
    assert wire.threads == {"nullmodem-engine"}


def test_a_closed_wire_is_told_once_and_the_engine_still_answers(engine: Engine, wire: Wire) -> None:
    wire.arrive = raising(WireClosed("gone"))
    wire.send()
    assert wire.happened.wait(PATIENCE)
    wire.send()  # nobody listens any more
    for _ in range(3):
        with pytest.raises(WireClosed):
            engine.call(raising(WireClosed("still gone")), PATIENCE)
    assert engine.call(lambda: 5, PATIENCE) == 5
    assert wire.lost == ["gone"]


def test_a_wire_that_is_closed_under_it_does_not_end_it(wire: Wire) -> None:
    class Closed(Wire):
        def fileno(self) -> int:
            return -1 if self.lost else super().fileno()

    closed = Closed()
    engine = Engine(closed)
    engine.start()
    with pytest.raises(WireClosed):
        engine.call(raising(WireClosed("gone")), PATIENCE)
    assert engine.call(lambda: 5, PATIENCE) == 5
    assert engine.call(lambda: 6, PATIENCE) == 6
    engine.stop()
    closed.close()


def test_a_command_that_finds_the_wire_closed_loses_the_target(engine: Engine, wire: Wire) -> None:
    with pytest.raises(WireClosed):
        engine.call(raising(WireClosed("gone")), PATIENCE)
    assert wire.lost == ["gone"]
    assert engine.call(lambda: 5, PATIENCE) == 5


def test_trouble_on_the_wire_is_told_and_is_not_the_end(engine: Engine, wire: Wire) -> None:
    wire.arrive = raising(RemoteProtocolError("nonsense"))
    wire.send()
    assert wire.happened.wait(PATIENCE)
    assert engine.call(lambda: 5, PATIENCE) == 5
    assert (wire.troubles, wire.lost) == (["nonsense"], [])


@pytest.mark.parametrize("error", [ValueError("a mistake"), WireTimeout("silent"), WireClosed("gone")])
def test_trouble_in_dealing_with_trouble_is_the_end_and_is_told(
    engine: Engine, wire: Wire, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    wire.arrive = raising(RemoteProtocolError("nonsense"))
    wire.trouble = raising(error)
    wire.send()
    assert engine.call(lambda: 5, PATIENCE) == 5
    engine.stop()
    assert len(wire.lost) == 1
    assert ("the engine failed" in caplog.text) == (not isinstance(error, WireClosed))


def test_a_mistake_of_ours_does_not_end_the_thread_in_silence(
    engine: Engine, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.arrive = raising(ZeroDivisionError("oops"))
    wire.send()
    assert wire.happened.wait(PATIENCE)
    assert "oops" in wire.lost[0]
    assert engine.call(lambda: 5, PATIENCE) == 5
    assert "the engine failed" in caplog.text


def test_what_is_owed_and_does_not_come_is_asked_for(wire: Wire) -> None:
    asked = threading.Event()
    wire.owed = 0.01
    wire.overdue = asked.set
    engine = Engine(wire)
    engine.start()
    assert asked.wait(PATIENCE)
    wire.owed = None
    engine.stop()


def test_stopping_serves_what_is_queued_and_refuses_what_comes_after(engine: Engine) -> None:
    gate = threading.Event()
    first = engine.submit(lambda: gate.wait(PATIENCE))
    queued = [engine.submit(lambda n=n: n) for n in range(20)]
    stopper = threading.Thread(target=engine.stop)
    stopper.start()
    gate.set()
    stopper.join(PATIENCE)
    assert first.result(0)
    assert [future.result(0) for future in queued] == list(range(20))
    with pytest.raises(StateError, match="ended"):
        engine.submit(lambda: 1)


def test_no_call_is_left_unanswered_by_a_stop_at_the_same_moment(wire: Wire) -> None:
    for _ in range(50):
        engine = Engine(wire)
        engine.start()
        futures: list[Future[int]] = []

        def ask(engine: Engine = engine, futures: list[Future[int]] = futures) -> None:
            try:
                while True:
                    futures.append(engine.submit(lambda: 1))
            except StateError:
                return

        asker = threading.Thread(target=ask)
        asker.start()
        engine.stop()
        asker.join(PATIENCE)
        assert all(future.result(PATIENCE) == 1 for future in futures)


def test_stopping_twice_and_from_within_is_harmless(wire: Wire) -> None:
    engine = Engine(wire)
    engine.start()
    engine.call(engine.stop, PATIENCE)
    engine.stop()
    engine.stop()


def test_a_cancelled_future_is_not_served(engine: Engine) -> None:
    gate = threading.Event()
    engine.submit(lambda: gate.wait(PATIENCE))
    ran: list[int] = []
    future = engine.submit(lambda: ran.append(1))
    assert future.cancel()
    gate.set()
    engine.call(lambda: None, PATIENCE)
    assert ran == []
    with pytest.raises(CancelledError):
        future.result(0)


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("start", [True, False], ids=["started", "never started"])
def test_it_leaves_no_thread_and_no_descriptor(start: bool) -> None:
    before, threads = descriptors(), threading.active_count()
    for _ in range(5):
        wire = Wire()
        engine = Engine(wire)
        if start:
            engine.start()
            engine.call(lambda: None, PATIENCE)
        engine.stop()
        wire.close()
    # Not more: what another test has left may end meanwhile.
    assert threading.active_count() <= threads
    assert descriptors() <= before
