# SPDX-License-Identifier: Apache-2.0
"""Invariant: whatever one fault does to one byte of a session, every answer is the right one, nothing is done twice,
nothing harmful reaches the stub, and it ends. A slice of the places here, all of them in the soak.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from fuzz.line import NeverEndsError
from fuzz.recorded import ACTING, LONGEST, Session, a_fake
from nullmodem.errors import NullmodemError
from nullmodem.testing.line import ModelledLine, Noise, Strike, clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.testing.fakestub import FakeKgdb

SLICE = 16
RUNNING = (b"c", b"s")
EEXIST = 17
REQUESTS = 40
"""Times that the client of the session writes."""
TRIES = 9  # the first, four after a silence, four after a -


@dataclass
class Burst:
    """Of the ``chunk``-th thing that is said in one go the first ``length`` bytes are lost: a USB packet, say.

    With ``last`` it is the last ones.
    """

    chunk: int
    length: int
    last: bool = False
    chunks: int = 0

    def __call__(self, _place: int, data: bytes) -> bytes:
        self.chunks += bool(data)
        if not data or self.chunks != self.chunk:
            return data
        return data[: -self.length] if self.last else data[self.length :]


def run(outward: Strike | Noise | None = None, inward: Strike | Noise | None = None, **line: float) -> Session:
    session = Session(ModelledLine(a_fake(), outward=outward or clean, inward=inward or clean, **line))  # type: ignore[arg-type]
    session.run()
    return session


CLEAN = run()
SENT, ARRIVED = CLEAN.line.sent, CLEAN.line.arrived
DONE = CLEAN.line.fake.requests


def change(kind: str, seed: str) -> Callable[[bytes], bytes]:
    """One fault of its kind. A NUL is not inserted: the checksum is a sum, and nobody can notice it."""
    rng = random.Random(seed)
    bit, extra = rng.randrange(8), bytes((rng.randrange(1, 256),))
    return {
        "drop": lambda _byte: b"",
        "flip": lambda byte: bytes((byte[0] ^ 1 << bit,)),
        "double": lambda byte: byte * 2,
        "insert": lambda byte: extra + byte,
    }[kind]


def check(session: Session) -> None:
    """It was the clean session, as far as anybody can tell from the answers and from what the machine did."""
    fake = session.line.fake
    assert session.answers == CLEAN.answers
    assert fake.machine.violations == []
    assert set(fake.requests) - set(DONE) <= verifying(fake)
    assert set(DONE) <= set(fake.requests)
    assert fake.machine.software == CLEAN.line.fake.machine.software
    for payload in set(DONE):
        count, wanted = fake.requests.count(payload), DONE.count(payload)
        if payload[:1] in (b"Z", b"z"):  # the second time it is refused, which proves the first
            assert wanted <= count <= wanted + 1, payload
        else:
            assert count == wanted if payload[0] in ACTING else count <= wanted + TRIES, payload
    assert set(fake.typed) <= set(b"+-")


def verifying(fake: FakeKgdb) -> set[bytes]:
    """What asks whether a write was carried out, of a stub that was not heard to say so."""
    writes = [payload for payload in DONE if payload[:1] in (b"M", b"P")]
    asked = {b"m" + payload[1:].partition(b":")[0] for payload in writes if payload[:1] == b"M"}
    asked |= {b"p" + payload[1:].partition(b"=")[0] for payload in writes if payload[:1] == b"P"}
    return asked & set(fake.requests)


def forgive_the_second_insert(session: Session) -> None:
    """What is inserted where it is already, and is in doubt, is asked for again: whose breakpoint is there cannot be
    told. That it is there is what was wanted."""
    at = CLEAN.answers.index(EEXIST)
    session.answers[at] = session.answers[at] or EEXIST


def strike_all(kind: str, start: int, step: int) -> int:
    """One session for every ``step``-th place of each direction; returns how many there were.

    The checksum is a sum of 8 bits: one fault in some thousands makes another good packet of a request, and the stub
    acts on what nobody sent. No client can know.
    """
    count = unnoticed = 0
    for direction, length in (("outward", SENT), ("inward", ARRIVED)):
        for place in range(start, length, step):
            strike = Strike(place, change(kind, f"{kind} {direction} {place}"))
            fake = a_fake()
            session = Session(ModelledLine(fake, **{direction: strike}))
            count += 1
            try:
                session.run()
            except NullmodemError:
                if set(fake.requests) <= set(DONE) | verifying(fake):
                    raise
            if set(fake.requests) <= set(DONE) | verifying(fake):
                forgive_the_second_insert(session)
                check(session)
            else:
                assert direction == "outward"
                unnoticed += 1
    assert unnoticed <= 2
    return count


def test_the_session_without_faults_does_what_it_should() -> None:
    assert CLEAN.line.clock.now == 0, "no deadline passed"
    assert CLEAN.line.fake.machine.violations == []
    assert DONE.count(b"c") == 2
    assert DONE.count(b"s") == 3


@pytest.mark.parametrize("kind", ["drop", "flip", "double", "insert"])
def test_no_fault_changes_what_a_session_answers_or_does(kind: str) -> None:
    assert strike_all(kind, 5, SLICE) > 200


@pytest.mark.parametrize("length", [2, 4, 8, 16, 64, 2048])
def test_a_burst_that_is_lost_on_its_way_here_has_nothing_run_twice(length: int) -> None:
    """It may end a session with an error, or hide a stop; but the machine runs as the clean session's did."""
    count = Burst(0, 0)
    Session(ModelledLine(a_fake(), inward=count)).run()
    wanted = [request for request in DONE if request in RUNNING]
    for chunk in range(1, count.chunks + 1):
        session = Session(ModelledLine(a_fake(), inward=Burst(chunk, length)))
        with contextlib.suppress(NullmodemError, NeverEndsError):
            session.run()
        done = [request for request in session.line.fake.requests if request in RUNNING]
        assert done == wanted[: len(done)], chunk
        assert session.line.fake.machine.violations == [], chunk


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("length", [2, 4, 8, 16, 64, 2048])
def test_a_burst_that_is_lost_on_its_way_there_changes_nothing(length: int, last: bool) -> None:
    """Also where it was a whole request behind ``OK``, for which the stub says ``OK`` once more."""
    count = Burst(0, 0)
    Session(ModelledLine(a_fake(), outward=count)).run()
    assert count.chunks == REQUESTS
    for chunk in range(1, count.chunks + 1):
        session = Session(ModelledLine(a_fake(), outward=Burst(chunk, length, last)))
        session.run()
        forgive_the_second_insert(session)
        check(session)


def test_two_requests_in_a_row_that_are_lost_whole_change_nothing() -> None:
    for chunk in range(1, REQUESTS):
        bursts = Burst(chunk, 2048), Burst(chunk + 1, 2048)
        session = Session(ModelledLine(a_fake(), outward=lambda at, data, b=bursts: b[1](at, b[0](at, data) or b"")))  # type: ignore[misc]
        session.run()
        forgive_the_second_insert(session)
        assert session.answers == CLEAN.answers
        assert session.line.fake.machine.violations == []
        assert session.line.fake.machine.software == CLEAN.line.fake.machine.software


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["drop", "flip", "double", "insert"])
def test_no_fault_anywhere_changes_what_a_session_answers_or_does(kind: str) -> None:
    assert strike_all(kind, 0, 1) == SENT + ARRIVED > 10_000 / 4, "with all four kinds more than 10,000"


@pytest.mark.parametrize("seed", range(20))
def test_a_noisy_line_at_115200_baud_changes_nothing(seed: int) -> None:
    """Ten times the noise of a bad line: one byte in a thousand."""
    noise = Noise(seed, one_in=1000), Noise(seed + 1000, one_in=1000)
    session = run(*noise, baud=115200)
    check(session)
    assert session.line.clock.now < LONGEST


def test_noise_is_the_same_again_with_the_same_seed() -> None:
    data = bytes(1000)
    one, again, other = Noise(1, 50), Noise(1, 50), Noise(2, 50)
    assert one(0, data) == again(0, data) != other(0, data)
    assert one.struck == again.struck > 0
