# SPDX-License-Identifier: Apache-2.0
"""What the client makes of a stub's answers: stops, silence, and nonsense."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nullmodem.errors import NullmodemError, RemoteProtocolError, WireClosed, WireTimeout
from nullmodem.rsp.replies import StopReply
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.stub.client import KgdbStub, Patience
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing.fakemachine import Machine, Region, Stop
from support.runner import PATIENCE, stub_on
from support.scripted import ScriptedLine

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT, DATA = 0xFFFF_FFFF_8100_0000, 0xFFFF_FFFF_8200_0000
SOFTWARE = BreakpointKind.SOFTWARE
SOON = Patience(answer=0.02)


def a_machine() -> Machine:
    machine = Machine()
    machine.memory[TEXT] = Region(bytearray(4096), executable=True)
    machine.cpus[0].pid = 42
    return machine


def stub_with(answer: Callable[[bytes], bytes | None] | bytes, patience: Patience = SOON) -> KgdbStub:
    answers = answer if callable(answer) else lambda _payload: answer
    return KgdbStub(ScriptedLine(answers), X86_64, patience=patience)


def test_a_stop_is_taken_once() -> None:
    with stub_on(a_machine()) as (stub, fake, line):
        stub.halt_reason()
        stub.resume()
        assert stub.take_stop() is None
        line.deliver(fake.stop(Stop(signal=11)))
        stop = stub.take_stop()
        assert isinstance(stop, StopReply)
        assert (stop.signal, stop.thread) == (11, 42)
        assert stub.is_stopped
        assert stub.take_stop() is None


def test_a_reboot_is_the_end() -> None:
    with stub_on(a_machine()) as (stub, fake, line):
        stub.halt_reason()
        stub.resume()
        line.deliver(fake.reboot())
        with pytest.raises(WireClosed, match="reboots"):
            stub.take_stop()


def test_a_stop_without_a_thread_is_nonsense() -> None:
    line = ScriptedLine(lambda _payload: None)
    stub = KgdbStub(line, X86_64, patience=SOON)
    stub.resume()
    line.deliver(b"$S05#b8")
    with pytest.raises(RemoteProtocolError, match="without a thread"):
        stub.take_stop()
    assert stub.is_stopped


def test_console_text_goes_to_whoever_listens() -> None:
    said: list[bytes] = []
    line = ScriptedLine(lambda payload: b"OK" if payload == b"D" else None)
    stub = KgdbStub(line, X86_64, patience=SOON, on_text=said.append)
    stub.resume()
    line.deliver(b"Linux version 6.1\r\n")
    assert stub.take_stop() is None
    assert b"".join(said) == b"Linux version 6.1\r\n"


def test_a_stop_that_comes_twice_is_no_answer_to_the_next_question() -> None:
    line = ScriptedLine(lambda payload: {b"c": None, b"m10,1": b"2a"}.get(payload, b"OK"))
    stub = KgdbStub(line, X86_64, patience=PATIENCE)
    stub.resume()
    stub.take_stop()
    line.deliver(b"$T05thread:2a;#39$T0bthread:2b;#67")
    assert isinstance(stub.take_stop(), StopReply)
    assert stub.read_memory(0x10, 1) == b"*"


def test_bytes_that_come_while_the_target_stands_are_no_stop() -> None:
    line = ScriptedLine(lambda _payload: b"OK")
    stub = KgdbStub(line, X86_64, patience=PATIENCE)
    line.deliver(b"$T05thread:2a;#39")
    assert stub.take_stop() is None
    assert stub.is_stopped


# -- deadlines -------------------------------------------------------------------------------------------------------


def test_silence_ends_in_a_timeout_that_says_what_was_asked() -> None:
    stub = stub_with(lambda _payload: None)
    with pytest.raises(WireTimeout, match="ReadRegisters"):
        stub.read_registers()


def test_waiting_for_a_target_to_stop_takes_as_long_as_was_said() -> None:
    now = 0.0

    class Silent(ScriptedLine):
        pass

    def clock() -> float:
        nonlocal now
        now += 0.01
        return now

    stub = KgdbStub(Silent(lambda _payload: None), X86_64, patience=Patience(answer=5.0), clock=clock)
    with pytest.raises(WireTimeout, match="HaltReason"):
        stub.halt_reason(timeout=0.05)
    assert now < 0.2


def test_a_deadline_grows_with_what_travels_at_the_lines_speed() -> None:
    assert Patience(answer=1.0).seconds(10_000) == 1.0
    assert Patience(answer=1.0, baud=115200).seconds(1152) == pytest.approx(1.1)


def test_a_running_target_owes_an_ack_and_then_nothing() -> None:
    with stub_on(a_machine()) as (stub, _fake, _line):
        assert stub.patience() is None
        stub.resume()
        stub.take_stop()
        assert stub.patience() is None
    silent = KgdbStub(Mute(), X86_64, patience=SOON)
    silent.resume()
    assert silent.patience() == SOON.seconds(0)
    with pytest.raises(WireTimeout):
        silent.overdue()
    assert silent.patience() is None
    assert not silent.is_stopped


class Mute(ScriptedLine):
    """A line that swallows everything, acknowledgements included."""

    def __init__(self) -> None:
        super().__init__(lambda _payload: None)

    def write(self, data: bytes) -> None:
        pass


def test_the_end_of_the_line_is_not_waited_for() -> None:
    line = ScriptedLine(lambda _payload: None)
    stub = KgdbStub(line, X86_64, patience=PATIENCE)
    line.end()
    with pytest.raises(WireClosed):
        stub.read_registers()
    with pytest.raises(WireClosed):
        stub.take_stop()


# -- nonsense --------------------------------------------------------------------------------------------------------

NONSENSE = [
    ("registers, too short", lambda s: s.read_registers(), b"00" * 155),
    ("registers, too long", lambda s: s.read_registers(), b"00" * 157),
    ("registers, unavailable", lambda s: s.read_registers(), b"xx" * 156),
    ("registers, empty", lambda s: s.read_registers(), b""),
    ("memory, too short", lambda s: s.read_memory(TEXT, 8), b"00" * 7),
    ("memory, too long", lambda s: s.read_memory(TEXT, 8), b"00" * 9),
    ("memory, not hex", lambda s: s.read_memory(TEXT, 2), b"zzzz"),
    ("memory, OK", lambda s: s.read_memory(TEXT, 2), b"OK"),
    ("a write's answer", lambda s: s.write_memory(DATA, b"x"), b"00"),
    ("a breakpoint's answer", lambda s: s.insert(SOFTWARE, TEXT, 1), b""),
    ("the current thread", lambda s: s.current_thread(), b"OK"),
    ("the current thread, huge", lambda s: s.current_thread(), b"QC123456789a"),
    ("a thread list", lambda s: s.threads(), b"OK"),
    ("a thread list, huge ids", lambda s: s.threads(), b"m1,123456789abc"),
    ("a stop", lambda s: s.halt_reason(), b"OK"),
    ("a stop, an end", lambda s: s.halt_reason(), b"W00"),
    ("a stop, broken", lambda s: s.halt_reason(), b"T0"),
    ("a stop, registers twice", lambda s: s.halt_reason(), b"T0500:00;00:00;"),
]


@pytest.mark.parametrize(("ask", "answer"), [n[1:] for n in NONSENSE], ids=[n[0] for n in NONSENSE])
def test_nonsense_is_told_from_an_answer(ask: Callable[[KgdbStub], object], answer: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        ask(stub_with(answer, PATIENCE))


def test_a_thread_list_without_an_end_is_given_up() -> None:
    count = 0

    def answer(_payload: bytes) -> bytes:
        nonlocal count
        count += 1000
        return b"m" + b",".join(b"%x" % (count + n) for n in range(1000))

    with pytest.raises(RemoteProtocolError, match="goes on after"):
        stub_with(answer, PATIENCE).threads()


def test_a_thread_list_that_repeats_itself_ends() -> None:
    assert stub_with(b"mfffffffe,01,01,02", PATIENCE).threads() == (-2, 1, 2)


@settings(max_examples=60)
@given(st.binary(max_size=40), st.binary(max_size=20))
def test_whatever_the_stub_answers_is_an_answer_or_one_of_our_errors(answer: bytes, noise: bytes) -> None:
    for ask in (
        lambda s: s.read_registers(),
        lambda s: s.read_memory(TEXT, 8),
        lambda s: s.threads(),
        lambda s: s.current_thread(),
        lambda s: s.halt_reason(),
        lambda s: s.insert(SOFTWARE, TEXT, 1),
    ):
        line = ScriptedLine(lambda _payload: answer)
        stub = KgdbStub(line, X86_64, patience=Patience(answer=0.0))
        with contextlib.suppress(NullmodemError):
            ask(stub)
        line.deliver(noise)
        stub.take_stop()


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=30), max_size=4))
def test_whatever_a_running_target_sends_is_a_stop_or_one_of_our_errors(pieces: list[bytes]) -> None:
    line = ScriptedLine(lambda _payload: None)
    stub = KgdbStub(line, X86_64, patience=SOON)
    stub.resume()
    for piece in pieces:
        line.deliver(piece)
        line.deliver(b"$%b#%02x" % (piece.translate(None, b"$#}*"), sum(piece.translate(None, b"$#}*")) & 0xFF))
        with contextlib.suppress(NullmodemError):
            stub.take_stop()
