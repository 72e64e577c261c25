# SPDX-License-Identifier: Apache-2.0
"""Invariant: whatever one fault does to any one byte of a session, in either direction, every answer is the right one,
or a ``WireTimeout`` for a request that acts; nothing is done twice; nothing harmful reaches the stub; it always ends.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fuzz.line import Exchanger, NeverEndsError
from nullmodem.errors import WireTimeout
from nullmodem.testing.fakemachine import Cpu, Machine, Region, Task, Trace
from nullmodem.testing.fakestub import FakeKgdb
from nullmodem.testing.line import ModelledLine, Strike, clean

TEXT, DATA = 0xFFFFFFFF81000000, 0xFFFFFFFF82000000
ASKING = frozenset(b"?gpmqHT")
SESSION = [
    b"?",
    b"qfThreadInfo",
    b"qsThreadInfo",
    b"qsThreadInfo",
    b"mffffffff81000000,8",
    b"Z0,ffffffff81000004,1",
    b"Z0,ffffffff81000009,1",
    b"c",
    b"p10",
    b"P10=04000081ffffffff",
    b"z0,ffffffff81000004,1",
    b"s",
    b"s",
    b"p10",
    b"Mffffffff82000000,2:beef",
    b"Xffffffff82000002,2:ab",
    b"mffffffff82000000,8",
    b"Hg2",
    b"p7",
]


Change = Callable[[bytes], bytes]  # what becomes of one byte


def insert(extra: bytes) -> Change:
    return lambda byte: extra + byte


def flip(bit: int) -> Change:
    return lambda byte: bytes((byte[0] ^ 1 << bit,))


FAULTS: dict[str, Change] = {
    "lost": lambda byte: b"",
    "doubled": lambda byte: byte * 2,
    **{f"bit {bit} flipped": flip(bit) for bit in range(8)},
    **{f"{extra!r} before it": insert(extra) for extra in (b"\0", b"$", b"#", b"+", b"-")},
}
NUL_BEFORE = f"{bytes(1)!r} before it"


def a_fake() -> FakeKgdb:
    machine = Machine()
    machine.memory[TEXT] = Region(bytearray(range(64)), executable=True)
    machine.memory[DATA] = Region(bytearray(8), writable=True)
    machine.cpus[0] = Cpu(2, {"rip": TEXT, "rsp": DATA})
    machine.tasks = {pid: Task(f"task{pid}") for pid in range(1, 20)}
    return FakeKgdb(machine, Trace([TEXT, TEXT + 4, TEXT + 7, TEXT + 9, TEXT + 12]))


def session(outward: Strike | None = None, inward: Strike | None = None) -> Exchanger:
    return Exchanger(ModelledLine(a_fake(), outward=outward or clean, inward=inward or clean))


def run(line: Exchanger) -> list[bytes | None]:
    """The answers of the session, None for a request that was given up; it ends at the first of these."""
    answers: list[bytes | None] = []
    for payload in SESSION:
        try:
            answers.append(line.exchange(payload))
        except WireTimeout:
            assert payload[0] not in ASKING or payload == b"qsThreadInfo", payload
            answers.append(None)
            # Wherever the stub was left, in a half packet or before one, the line works again.
            assert line.exchange(b"mffffffff81000000,8") == b"0001020304050607"
            break
    return answers


CLEAN_LINE = session()
CLEAN = run(CLEAN_LINE)


def test_the_session_without_faults_does_what_it_should() -> None:
    assert CLEAN_LINE.deadlines == 0
    assert None not in CLEAN
    assert CLEAN_LINE.line.fake.requests == SESSION
    assert CLEAN_LINE.line.fake.machine.violations == []
    assert CLEAN[SESSION.index(b"mffffffff82000000,8")] == b"beef6162" + b"00" * 4


def strike(place: int, fault: Change, *, outward: bool) -> tuple[bool, bool]:
    """Run the session with one fault and check everything.

    Return whether the checksum noticed the fault on its way out, and whether a request was given up. A checksum is a
    sum of 8 bits: it does not notice a NUL, nor one fault in 256 of another kind. Then the stub acts on what
    nobody sent, and no client can know.
    """
    exchanger = session(**{"outward" if outward else "inward": Strike(place, fault)})
    fake = exchanger.line.fake
    try:
        answers = run(exchanger)
    except NeverEndsError:
        answers = []
    done = fake.requests
    if not set(done) <= set(SESSION):
        assert outward
        return False, False
    assert answers, "it did not end"
    given_up = answers[-1] is None
    assert answers[: len(answers) - given_up] == CLEAN[: len(answers) - given_up]
    assert fake.machine.violations == []
    assert len(fake.typed) < 64
    for payload in set(SESSION):
        if payload[0] not in ASKING:
            assert done.count(payload) <= SESSION.count(payload), f"{payload!r} was carried out too often"
    return True, given_up


@pytest.mark.parametrize("name", FAULTS)
def test_no_fault_on_its_way_out_harms(name: str) -> None:
    results = [strike(place, FAULTS[name], outward=True) for place in range(CLEAN_LINE.line.sent)]
    unnoticed = [noticed for noticed, _ in results].count(False)
    if name != NUL_BEFORE:
        assert unnoticed <= 2


@pytest.mark.parametrize("name", FAULTS)
def test_no_fault_on_its_way_in_harms(name: str) -> None:
    results = [strike(place, FAULTS[name], outward=False) for place in range(CLEAN_LINE.line.arrived)]
    assert not any(given_up for _, given_up in results), "the stub keeps its reply until it is acknowledged"
