# SPDX-License-Identifier: Apache-2.0
"""Which of the clients' breakpoints at a place count, and what becomes of what cannot be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import RemoteProtocolError
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.conditions import Conditions, Terms, terms_of
from nullmodem.stub.x86_64 import X86_64
from support.minicpu import INC, STACK, STACK_SIZE, TEXT, MiniCpus, machine
from support.runner import track_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.runner import Track

HERE = Breakpoint(BreakpointKind.SOFTWARE, TEXT, 1)
RAX_IS_7 = b"\x26\x00\x00\x22\x07\x13\x27"
WORD_IS_0 = b"\x26\x00\x07\x1a\x0e\x27"  # that at the stack pointer
WORD_AT_1 = b"\x22\x01\x1a\x27"
PRINT = b"\x26\x00\x00\x22\x00\x22\x00\x34\x01\x00\x07rax=%d\x00\x27"


class Heard:
    """The terms of breakpoints on a target, and what was heard of them."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self.printed: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.conditions = Conditions(track.target, X86_64, lambda *what: self.printed.append(what), self.said.append)

    def set(self, client: str, conditions: tuple[bytes, ...] = (), commands: tuple[bytes, ...] = ()) -> None:
        self.conditions.set(client, HERE, terms_of(X86_64, conditions, commands))

    def stops(self, *clients: str) -> bool:
        return self.conditions.stops({(client, HERE) for client in clients})


@pytest.fixture
def heard() -> Iterator[Heard]:
    cpu = machine(INC)
    cpu.cpus[0].registers["rax"] = 7
    assert cpu.cpus[0].registers["rsp"] == STACK + STACK_SIZE // 2
    with track_on(cpu, MiniCpus(cpu)) as track:
        yield Heard(track)


def test_it_stops_for_who_has_no_terms_or_whose_condition_holds(heard: Heard) -> None:
    assert heard.stops("plain")
    heard.set("gdb", (RAX_IS_7,))
    assert heard.stops("gdb")
    heard.track.target.set_registers({"rax": 8})
    assert not heard.stops("gdb")
    assert heard.stops("gdb", "plain")
    heard.set("gdb", (RAX_IS_7, WORD_IS_0))  # any of them
    assert heard.stops("gdb")
    heard.set("gdb")
    assert heard.stops("gdb")


def test_a_condition_reads_what_it_names_and_no_more(heard: Heard) -> None:
    heard.set("gdb", (RAX_IS_7,))
    before = len(heard.track.fake.requests)
    assert heard.stops("gdb")
    assert heard.track.fake.requests[before:] == [b"p0"]
    assert heard.stops("gdb")
    assert len(heard.track.fake.requests) == before + 1


def test_commands_print_for_their_client_and_stop_nobody(heard: Heard) -> None:
    heard.set("gdb", (RAX_IS_7,), (PRINT,))
    heard.set("other", (), (PRINT, WORD_AT_1))
    assert not heard.stops("gdb", "other")
    assert heard.printed[:2] == [("gdb", "rax=7"), ("other", "rax=7")]
    client, text = heard.printed[2]
    assert (client, text[:20]) == ("other", "<cannot be printed: ")
    heard.track.target.set_registers({"rax": 8})
    assert not heard.stops("gdb")
    assert len(heard.printed) == 3


def test_what_cannot_be_told_is_shown_and_said(heard: Heard) -> None:
    heard.set("gdb", (WORD_AT_1,))
    assert heard.stops("gdb")
    assert f"{TEXT:#x}" in heard.said[0]
    heard.set("gdb", (b"\x29\x27",))
    assert heard.stops("gdb")
    assert "empty stack" in heard.said[1]


def test_terms_go_with_their_breakpoint(heard: Heard) -> None:
    heard.set("gdb", (WORD_AT_1,), (PRINT,))
    heard.conditions.keep_only(lambda client, _breakpoint: client != "gdb")
    assert heard.stops("gdb")
    assert heard.printed == []
    assert heard.said == []


def test_bytecode_is_checked_when_it_is_set() -> None:
    assert terms_of(X86_64, (), ()) is None
    assert isinstance(terms_of(X86_64, (RAX_IS_7,), ()), Terms)
    for code in (b"\x26\x01\x00\x27", b"\xff", b"\x22"):
        with pytest.raises(RemoteProtocolError):
            terms_of(X86_64, (code,), ())
        with pytest.raises(RemoteProtocolError):
            terms_of(X86_64, (), (code,))
