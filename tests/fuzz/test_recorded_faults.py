# SPDX-License-Identifier: Apache-2.0
"""Invariant: one fault anywhere in what real kernels and real sessions have said to each other changes no answer, and
has nothing done twice. The kernel's part is its recording, behind kgdb's own way with a line.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fuzz.line import NeverEndsError
from fuzz.recorded import ACTING, LONGEST, PATIENCE
from fuzz.test_session_faults import TRIES, change
from nullmodem.errors import StubError, WireTimeout
from nullmodem.rsp import replies, requests
from nullmodem.stub.exchange import Exchange
from nullmodem.stub.recorded import is_resuming, stop_payload
from nullmodem.stub.replay import Replay
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing.fakemachine import Machine, Stop
from nullmodem.testing.fakestub import FakeKgdb
from nullmodem.testing.line import ModelledLine, Strike, clean
from nullmodem.wire.recording import Direction, Recording, read_recording

if TYPE_CHECKING:
    from collections.abc import Generator

FILES = sorted((Path(__file__).parents[1] / "recordings").glob("*.rec"))
KINDS = ("drop", "flip", "double", "insert")
SLICE, SOAK_SLICE = 3000, 29


def asked(recording: Recording) -> list[bytes]:
    """The requests of a recorded session, in order, up to the last that was answered."""
    data = b"".join(entry.data for entry in recording.entries if entry.direction is Direction.TO_TARGET)
    found = [piece.partition(b"#")[0] for piece in data.split(b"$")[1:]]
    return found[: max(at for at, payload in enumerate(found) if not is_resuming(payload)) + 1]


class RecordedKgdb(FakeKgdb):
    """kgdb's framing, acknowledgements and repetitions; the answers and the stops are a recording's."""

    def __init__(self, recording: Recording) -> None:
        self.replay = Replay(recording, X86_64)
        self._next = b""
        super().__init__(Machine())

    def _serve_stop(self, _stop: Stop, *, in_kdb: bool) -> Generator[None, int, None]:
        assert not in_kdb
        if self._next:
            yield from self._put_packet(self._next)
        while True:
            packet = yield from self._get_packet()
            self.requests.append(packet)
            if is_resuming(packet):
                return
            for reply in self.replay._answer(packet):
                yield from self._put_packet(reply)

    def _resume(self) -> Stop | None:
        if self.replay._resume():
            self._next = stop_payload(self.replay.stop)
            return Stop()
        return None


class Talk:
    """Asks what the recorded session asked, and keeps the answers."""

    def __init__(self, line: ModelledLine) -> None:
        self._line = line
        self._exchange = Exchange(line, patience=PATIENCE, clock=line.clock, wait=line.wait)
        self.answers: list[bytes] = []

    def run(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            if is_resuming(payload):
                self._exchange.run(payload)
                self.answers.append(self._stop())
            else:
                self.answers.append(self._ask(payload))

    def _ask(self, payload: bytes) -> bytes:
        try:
            return self._exchange.ask(requests.parse_request(payload), characters=1024)
        except StubError as error:
            return b"E%02d" % error.errno

    def _stop(self) -> bytes:
        while True:
            payload = self._exchange.take()
            if payload is not None and isinstance(replies.parse_stop_reply(payload), replies.StopReply):
                self._exchange.running = False
                return payload
            assert payload is None, payload
            if self._line.clock.now >= LONGEST:
                raise NeverEndsError("the session waits for a stop")
            patience = self._exchange.patience()
            if not self._line.wait(self._line, LONGEST if patience is None else patience) and patience is not None:
                with contextlib.suppress(WireTimeout):
                    self._exchange.overdue()


def talk(recording: Recording, *, outward: Strike | None = None, inward: Strike | None = None) -> tuple[Talk, FakeKgdb]:
    fake = RecordedKgdb(recording)
    talk = Talk(ModelledLine(fake, outward=outward or clean, inward=inward or clean))
    talk.run(asked(recording))
    return talk, fake


def strike_all(path: Path, kind: str, start: int, step: int) -> int:
    """As in `test_session_faults`; returns how many faults there were."""
    recording = read_recording(path)
    clean_talk, done = talk(recording)
    wanted, count, unnoticed = asked(recording), 0, 0
    line = clean_talk._line
    for direction, length in (("outward", line.sent), ("inward", line.arrived)):
        for place in range(start, length, step):
            count += 1
            fault = Strike(place, change(kind, f"{path.stem} {kind} {direction} {place}"))
            struck, fake = talk(recording, **{direction: fault})
            if not set(fake.requests) <= set(wanted):
                unnoticed += not all(payload[:1] in (b"m", b"p", b"q") for payload in set(fake.requests) - set(wanted))
                continue
            assert struck.answers == clean_talk.answers, (direction, place)
            for payload in set(wanted):
                times, due = fake.requests.count(payload), done.requests.count(payload)
                allowed = TRIES if payload[0] not in ACTING else int(payload[:1] in (b"Z", b"z"))
                assert due <= times <= due + allowed, (direction, place, payload)
    assert unnoticed <= 2
    return count


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_without_faults_a_recorded_session_is_had_again(path: Path) -> None:
    recording = read_recording(path)
    said, fake = talk(recording)
    assert fake.requests == asked(recording)
    assert len(said.answers) > 50
    assert said._line.clock.now == 0, "no deadline passed"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_fault_in_what_a_real_kernel_said_changes_anything(path: Path, kind: str) -> None:
    assert strike_all(path, kind, 7, SLICE) >= 5


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_fault_in_what_a_real_kernel_said_changes_anything_in_thousands_of_places(path: Path, kind: str) -> None:
    assert strike_all(path, kind, 0, SOAK_SLICE) > 500
