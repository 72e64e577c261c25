# SPDX-License-Identifier: Apache-2.0
"""Answers that may be the last one once more: what is asked then, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import StubError
from nullmodem.rsp import requests
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.stub.doubt import Unconfirmed, settle

if TYPE_CHECKING:
    from nullmodem.rsp.requests import Request

AT = 0xFFFFFFFF81000000


class Stub:
    """Answers what it was told to, in turn."""

    def __init__(self, *answers: bytes | int, stands: bool = True) -> None:
        self._answers = list(answers)
        self._stands = stands
        self.asked: list[bytes] = []

    def settle(self, request: Request, reply: bytes = b"OK") -> bytes:
        return settle(request, reply, self._ask, lambda: self._stands)

    def _ask(self, request: Request) -> bytes:
        self.asked.append(request.encode())
        answer = self._answers.pop(0)
        if isinstance(answer, int):
            raise StubError(f"E{answer}", errno=answer)
        return answer


INSERT = requests.InsertBreakpoint(BreakpointKind.SOFTWARE, AT, 1)
REMOVE = requests.RemoveBreakpoint(BreakpointKind.SOFTWARE, AT, 1)


@pytest.mark.parametrize(("request_", "done"), [(INSERT, 17), (REMOVE, 2)])
def test_a_breakpoint_that_is_so_already_was_set_so(request_: Request, done: int) -> None:
    assert Stub(done).settle(request_) == b"OK"
    assert Stub(b"OK").settle(request_) == b"OK"


@pytest.mark.parametrize(("request_", "other"), [(INSERT, 22), (REMOVE, 1)])
def test_another_refusal_is_one(request_: Request, other: int) -> None:
    with pytest.raises(StubError) as refused:
        Stub(other).settle(request_)
    assert refused.value.errno == other


def test_a_refusal_that_is_said_again_stays_one() -> None:
    with pytest.raises(StubError):
        Stub(17).settle(INSERT, b"E17")


def test_memory_is_written_again_only_where_it_differs() -> None:
    write = requests.WriteMemory(AT, b"\xca\xfe")
    same, other = Stub(b"cafe"), Stub(b"0000", b"OK")
    assert same.settle(write) == other.settle(write) == b"OK"
    assert same.asked == [b"mffffffff81000000,2"]
    assert other.asked == [b"mffffffff81000000,2", b"Mffffffff81000000,2:cafe"]


def test_a_register_is_written_again_only_where_it_differs() -> None:
    write = requests.WriteRegister(16, b"\x01" + bytes(7))
    same, other = Stub(b"0100000000000000"), Stub(b"0200000000000000", b"OK")
    assert same.settle(write) == other.settle(write) == b"OK"
    assert same.asked == [b"p10"]
    assert other.asked == [b"p10", b"P10=0100000000000000"]


def test_a_target_that_still_stands_was_not_let_go() -> None:
    stands, runs = Stub(b"OK"), Stub(stands=False)
    assert stands.settle(requests.Detach()) == runs.settle(requests.Detach()) == b"OK"
    assert stands.asked == [b"D"]
    assert runs.asked == []


@pytest.mark.parametrize(
    "request_",
    [
        requests.InsertBreakpoint(BreakpointKind.HARDWARE, AT, 1),
        requests.RemoveBreakpoint(BreakpointKind.WRITE, AT, 8),
        requests.Monitor("ps"),
        requests.ThreadInfoNext(),
    ],
)
def test_what_would_happen_twice_is_not_asked_again(request_: Request) -> None:
    stub = Stub()
    with pytest.raises(Unconfirmed):
        stub.settle(request_)
    assert stub.asked == []


def test_what_only_asks_is_asked_again() -> None:
    assert Stub(b"QC2").settle(requests.CurrentThread(), b"QC1") == b"QC2"
