# SPDX-License-Identifier: Apache-2.0
"""One cable: text out equals text in, whatever the text is, and only a stub that answers is believed."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from nullmodem.wire.splitter import CHALLENGE_SECONDS, CHALLENGES, KNOCK_SECONDS, SplitState, Splitter
from support.one_cable import FORGED, STOP, Bench, packets

# What a kernel may print: anything at all, and often things that look like packets and their parts.
pieces = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [FORGED, FORGED[:-1], STOP, b"$T05#b9", b"$S05#b8", b"+", b"-", b"$", b"$T", b"#", b"\r\n", b"thread:",
         FORGED + FORGED, b"+$OK#9a", b"$E22#a9", b"$W00#b7", b"\x03", b"$OK#9a", b"target:~# "]
    ),
)  # fmt: skip
lines = st.lists(pieces, max_size=8).map(lambda parts: b"".join(parts) + b"\r\n")
# Between packets, while the machine stands still, the stub's own context may print whole lines; a packet it is not.
still_lines = st.sampled_from([b"", b"\r\n[  1.5] Timed out waiting for secondary CPUs.\r\n", b"KGDB: cost 5$ + 3\r\n"])
# What only the stub does, at the moment at which it does it: a stop straight after the word to go on, and once more.
SAID_TWICE = re.compile(rb"(\$(?:T[0-9a-f]{2}thread:[0-9a-f]{1,16};|[SE][0-9a-f]{2})#[0-9a-f]{2})\1")
LONG = 200.0
"""Seconds in which every packet of a reboot that is only text has been waited for, however many were printed."""
cuts = st.lists(st.integers(1, 9), max_size=400)


@given(st.lists(st.tuples(lines, lines, still_lines), min_size=1, max_size=5), cuts)
@example([(4 * b"$W00#b7" + b"\r\n", b"$T05th" + b"x" * 4 + b"\r\n", b"")], [])  # still held when it stops
@example([(4 * b"$W00#b7" + b"\r\n", b"$\r\n", b"")], [])
def test_text_out_is_text_in_and_the_packets_are_the_stubs(
    rounds: list[tuple[bytes, bytes, bytes]], places: list[int]
) -> None:
    assume(not any(SAID_TWICE.match(torn[len(torn) // 2 :]) for _before, torn, _still in rounds))
    bench = Bench(cut=places)
    kernel = bench.kernel
    for before, torn, still in rounds:
        bench.comes(kernel.prints(before))
        # Its processor is stopped in the middle of a line; the rest comes when it goes on.
        half = len(torn) // 2
        bench.comes(kernel.prints(torn[:half]))
        bench.waits(20.0)
        bench.comes(kernel.stops())
        bench.waits(20.0)
        assert bench.splitter.state is SplitState.STOPPED
        bench.asks(b"+$g#67")
        bench.comes(kernel.prints(still))
        bench.asks(b"+$m1,2#fc")
        bench.asks(b"+$c#63")
        assert bench.splitter.state is not SplitState.STOPPED
        bench.comes(kernel.prints(torn[half:]))
        bench.waits(LONG)
    assert bytes(bench.text) == bytes(kernel.printed)
    assert kernel.requests == [b"g", b"m1,2", b"c"] * len(rounds)
    expected = [STOP[1:], b"0011#c2"] * len(rounds)
    assert packets(bytes(bench.protocol)) == expected


@given(lines, cuts)
def test_nothing_that_is_printed_stops_a_debugger(text: bytes, places: list[int]) -> None:
    bench = Bench(cut=places)
    bench.comes(bench.kernel.prints(text))
    bench.waits(LONG)
    assert bench.splitter.state is SplitState.RUNNING
    assert bytes(bench.text) == text
    assert bench.protocol == b""


@given(lines)
def test_a_line_that_is_printed_in_one_go_types_nothing(text: bytes) -> None:
    bench = Bench()
    bench.comes(bench.kernel.prints(text))
    bench.waits(LONG)
    assert bench.kernel.typed == b""


def test_a_forged_stop_without_a_line_end_is_found_out_and_what_that_typed_is_erased() -> None:
    bench = Bench()
    bench.comes(bench.kernel.prints(FORGED))
    assert bench.text == b""
    bench.waits(LONG)
    assert bench.text == FORGED
    assert bench.kernel.typed == b"-" * CHALLENGES + b"\x7f" * CHALLENGES
    assert bench.splitter.state is SplitState.RUNNING


def test_an_echo_finds_out_a_forged_stop_at_once() -> None:
    bench = Bench()
    bench.comes(bench.kernel.prints(FORGED))
    bench.waits(0.1)
    assert bench.kernel.typed == b"-"
    bench.comes(bench.kernel.prints(b"-"))
    assert bench.text == FORGED + b"-"
    assert bench.kernel.typed == b"-\x7f"


def test_a_stop_is_passed_on_once_and_only_when_the_stub_has_said_it_again() -> None:
    bench = Bench()
    bench.splitter.received(bench.kernel.stops(), 0.0)
    assert bench.splitter.take() == (b"", b"", b"")
    bench.splitter.tick(1.0)
    text, protocol, line = bench.splitter.take()
    assert (text, protocol, line) == (b"", b"", b"-")
    bench.comes(bench.kernel.takes(line))
    assert bench.protocol == STOP
    assert bench.text == b""


@pytest.mark.parametrize("place", range(len(STOP)))
@pytest.mark.parametrize("change", ["drop", "flip", "double", "insert"])
def test_one_wrong_byte_in_a_stop_is_no_lost_stop(place: int, change: str) -> None:
    wrong = {
        "drop": STOP[:place] + STOP[place + 1 :],
        "flip": STOP[:place] + bytes((STOP[place] ^ 0x08,)) + STOP[place + 1 :],
        "double": STOP[: place + 1] + STOP[place:],
        "insert": STOP[:place] + b"\xa5" + STOP[place:],
    }[change]
    bench = Bench()
    bench.kernel.stops()
    bench.comes(bench.kernel.prints(b"some text\r\n") + wrong)
    bench.waits(LONG)
    assert bench.splitter.state is SplitState.STOPPED
    assert bench.protocol == STOP


@given(st.integers(0, len(STOP) - 1), st.integers(1, 255), st.integers(0, len(STOP) - 1), st.integers(1, 255))
def test_a_wrong_byte_in_the_second_copy_too_is_no_lost_stop(at: int, flip: int, again: int, twist: int) -> None:
    bench = Bench()
    bench.kernel.stops()
    damaged = bytearray(STOP)
    damaged[at] ^= flip
    bench.splitter.received(bytes(damaged), 0.0)
    second = bytearray(STOP)
    second[again] ^= twist
    if b"\n" in damaged or b"\n" in second:
        return  # that looks like the end of a printed line, and is believed to be
    while bench.splitter.deadline is not None and b"-" not in bench.splitter.take()[2]:
        bench.now = bench.splitter.deadline
        bench.splitter.tick(bench.now)
    bench.splitter.received(bytes(second), bench.now)
    bench.settle()
    bench.waits(30.0)
    if bench.splitter.state is SplitState.RUNNING:  # both copies ruined beyond telling: the user's break-in is next
        bench.comes(bench.kernel.takes(b"-"))
        bench.waits(30.0)
    assert bench.splitter.state is SplitState.STOPPED
    assert bench.protocol == STOP


def test_while_it_runs_nothing_of_the_debuggers_goes_out() -> None:
    bench = Bench()
    bench.asks(b"+$g#67-$m0,1#fa")
    bench.waits()
    assert bench.kernel.typed == b""


def test_a_target_that_is_stopped_already_is_asked_after_a_silence() -> None:
    bench = Bench()
    bench.kernel.stopped = True
    bench.asks(b"$?#3f")
    assert bench.kernel.requests == []
    bench.waits(2 * KNOCK_SECONDS)
    assert bench.kernel.requests == [b"?"]
    assert bench.protocol == b"+$S05#b8"
    assert bench.splitter.state is SplitState.STOPPED


def test_a_target_that_still_waits_for_an_acknowledgement_is_asked_again() -> None:
    """The debugger before was killed and had not acknowledged the last reply: the stub takes our dollar for it."""
    splitter = Splitter()
    splitter.sent(b"$?#3f", 0.0)
    splitter.tick(KNOCK_SECONDS)
    assert splitter.take() == (b"", b"", b"$?#3f")
    splitter.received(b"-", KNOCK_SECONDS)
    assert splitter.take() == (b"", b"", b"$?#3f")
    splitter.received(b"+$S05#b8", KNOCK_SECONDS)
    assert splitter.take() == (b"", b"+$S05#b8", b"")
    assert splitter.state is SplitState.STOPPED


def test_a_target_that_prints_is_not_asked() -> None:
    bench = Bench()
    bench.asks(b"$?#3f")
    for _ in range(20):
        bench.waits(0.5)
        bench.comes(bench.kernel.prints(b"tick\r\n"))
    assert bench.kernel.typed == b""
    assert bench.text == b"tick\r\n" * 20


@pytest.mark.parametrize(
    "words", [b"\r\n[    4.5] Entering KGDB\r\n", b"KGDB or $3#33 for KDB\r\n", b"Entering kdb ...\r\n[0]kdb> "]
)
def test_a_kernel_that_says_it_enters_the_debugger_is_asked_at_once(words: bytes) -> None:
    bench = Bench()
    bench.asks(b"$?#3f")
    bench.kernel.prints(words)
    bench.kernel.stopped = True
    bench.cut = [3] * len(words)
    bench.comes(words)
    assert bench.kernel.requests == [b"?"]
    assert bench.splitter.state is SplitState.STOPPED
    assert bench.text == words


def test_a_terminal_that_echoes_the_question_has_it_wiped() -> None:
    bench = Bench()
    bench.asks(b"$?#3f")
    bench.waits(1.2 * KNOCK_SECONDS)
    assert bench.kernel.typed == b"$?#3f"
    bench.comes(bench.kernel.prints(b"$?#3f"))
    assert bench.kernel.typed == b"$?#3f\x15"
    assert bench.text == b"$?#3f"
    assert bench.splitter.state is SplitState.RUNNING


def test_a_question_that_meets_a_stop_gets_its_answer() -> None:
    bench = Bench()
    bench.asks(b"$?#3f")
    bench.comes(bench.kernel.stops())
    bench.waits(0.5)
    assert bench.protocol == b"+$S05#b8"


def test_copies_without_end_are_text_and_hold_nothing_up() -> None:
    bench = Bench()
    flood = FORGED * 200
    for number in range(20):
        bench.comes(bench.kernel.prints(flood))
        assert len(bench.text) >= number * len(flood)
    assert len(bench.kernel.printed) - len(bench.text) < 2048
    bench.comes(bench.kernel.prints(b"\r\n") + bench.kernel.stops())
    bench.waits(1.0)
    assert bench.text == bench.kernel.printed
    assert bench.protocol == STOP


def test_a_stop_that_was_typed_at_without_end_is_found_all_the_same() -> None:
    bench = Bench()
    bench.comes(bench.kernel.stops())
    for _ in range(300):
        bench.comes(bench.kernel.takes(b"x"))
    bench.waits(1.0)
    assert bench.splitter.state is SplitState.STOPPED
    assert bench.protocol == STOP


def test_a_refused_resume_leaves_it_stopped() -> None:
    bench = Bench()
    bench.stop()
    bench.splitter.sent(b"+$c#63", bench.now)
    bench.splitter.take()
    bench.splitter.received(b"+$E22#a9", bench.now)
    assert bench.splitter.take() == (b"", b"+", b"-")
    bench.splitter.received(b"$E22#a9", bench.now)
    assert bench.splitter.take()[1] == b"$E22#a9"
    assert bench.splitter.state is SplitState.STOPPED


def test_a_step_is_believed_without_waiting_first() -> None:
    bench = Bench()
    bench.stop()
    before = bench.now
    bench.splitter.sent(b"+$s#73", bench.now)
    bench.kernel.takes(bench.splitter.take()[2])
    bench.comes(b"+" + bench.kernel.stops())
    assert bench.splitter.state is SplitState.STOPPED
    assert bench.now == before


def test_a_detach_ends_with_the_acknowledgement_of_its_answer() -> None:
    bench = Bench()
    bench.stop()
    bench.splitter.sent(b"+$D#44", bench.now)
    bench.splitter.received(b"+$OK#9a", bench.now)
    assert bench.splitter.state is SplitState.STOPPED
    bench.splitter.take()
    bench.splitter.sent(b"+", bench.now)
    assert bench.splitter.take()[2] == b"+"
    assert bench.splitter.state is SplitState.RUNNING


@pytest.mark.parametrize(("words", "believed"), [(b"reboot: Restarting system\r\n", True), (b"just text\r\n", False)])
def test_a_reboot_is_believed_when_the_kernel_says_so_too(words: bytes, believed: bool) -> None:
    bench = Bench()
    bench.comes(b"going down\r\n$W00#b7" + words)
    bench.waits(CHALLENGE_SECONDS + 10)
    assert bench.protocol == (b"$W00#b7" if believed else b"")
    assert bench.text == b"going down\r\n" + (b"" if believed else b"$W00#b7") + words


def test_a_lost_acknowledgement_does_not_lose_the_next_stop() -> None:
    bench = Bench()
    bench.stop()
    bench.splitter.sent(b"+$c#63", bench.now)
    bench.kernel.takes(bench.splitter.take()[2])
    bench.comes(bench.kernel.prints(b"no plus, but text\r\n") + bench.kernel.stops())
    bench.waits()
    assert bench.protocol == STOP + b"+" + STOP
