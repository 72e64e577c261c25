# SPDX-License-Identifier: Apache-2.0
"""What a splitter makes of a target that was told to go on and whose acknowledgement was lost."""

from __future__ import annotations

import pytest

from nullmodem.rsp.framing import encode_packet
from nullmodem.wire.splitter import CHALLENGE_SECONDS, QUIET_SECONDS, SplitState, Splitter

FIRST, NEXT = encode_packet(b"T05thread:1f;"), encode_packet(b"T05thread:07;")


@pytest.fixture
def resumed() -> Splitter:
    """Stopped, asked for its registers, and told to go on; its last answer is ``$0011#c2``."""
    splitter = Splitter()
    splitter.received(FIRST, 0.0)
    splitter.tick(QUIET_SECONDS)
    splitter.received(FIRST, CHALLENGE_SECONDS)
    splitter.sent(b"+$g#67", CHALLENGE_SECONDS)
    splitter.received(b"+$0011#c2", CHALLENGE_SECONDS)
    splitter.sent(b"+$c#63", CHALLENGE_SECONDS)
    splitter.take()
    return splitter


def stop_is_asked_for_and_told(splitter: Splitter) -> None:
    """A stop has come: it is believed when it has come again, and what is asked of it is answered."""
    assert splitter.take() == (b"", b"", b"-")
    splitter.received(NEXT, 2.0)
    assert splitter.take() == (b"", b"+" + NEXT, b"")
    assert splitter.state is SplitState.STOPPED
    splitter.sent(b"+$g#67", 2.0)
    splitter.received(b"+$0022#c4", 2.0)
    assert splitter.take() == (b"", b"+$0022#c4", b"+$g#67")


def test_a_stop_behind_a_lost_acknowledgement_is_a_stop(resumed: Splitter) -> None:
    resumed.received(NEXT, 2.0)
    stop_is_asked_for_and_told(resumed)


def test_a_stop_that_was_lost_with_the_acknowledgement_comes_when_the_debugger_asks(resumed: Splitter) -> None:
    resumed.sent(b"-", 2.0)
    assert resumed.take() == (b"", b"", b"-")
    resumed.received(NEXT, 2.0)
    stop_is_asked_for_and_told(resumed)


def test_a_running_targets_echo_of_a_question_does_not_hide_its_next_stop(resumed: Splitter) -> None:
    resumed.sent(b"-$qC#b4", 2.0)
    resumed.received(b"-$qC#b4", 2.0)
    assert resumed.take() == (b"", b"-$qC#b4", b"-$qC#b4")
    resumed.received(NEXT, 2.0)
    stop_is_asked_for_and_told(resumed)


def test_nothing_that_asks_is_typed_once_the_target_has_printed(resumed: Splitter) -> None:
    resumed.received(b"[    1.0] it runs\r\n", 2.0)
    resumed.sent(b"-", 2.0)
    assert resumed.take() == (b"[    1.0] it runs\r\n", b"", b"")
    assert resumed.state is SplitState.RUNNING


def test_the_last_answer_once_more_is_no_stop(resumed: Splitter) -> None:
    resumed.received(b"$0011#c2-", 2.0)
    assert resumed.take() == (b"", b"$0011#c2-", b"")
    assert resumed.state is SplitState.RESUMING


def test_the_answer_of_a_target_that_never_went_on_is_no_acknowledgement_of_that(resumed: Splitter) -> None:
    """What set it running was lost; who doubts asks it, and tells it again."""
    resumed.sent(b"-$qC#b4", 2.0)
    answer = b"+" + encode_packet(b"QC1f")
    for at, byte in enumerate(answer):
        resumed.received(bytes([byte]), 2.0 + at / 100)
    assert resumed.take() == (b"", answer, b"-$qC#b4")
    resumed.tick(60.0)
    assert resumed.state is SplitState.RESUMING
    resumed.sent(b"+$c#63", 60.0)
    resumed.received(b"+[    1.0] it runs\r\n", 60.0)
    assert resumed.take() == (b"[    1.0] it runs\r\n", b"+", b"+$c#63")
    assert resumed.state is SplitState.RUNNING


def test_an_acknowledgement_that_came_late_is_one_all_the_same(resumed: Splitter) -> None:
    resumed.sent(b"-$qC#b4", 2.0)
    resumed.received(b"+", 2.0)
    assert resumed.state is SplitState.RESUMING
    resumed.tick(2.0 + CHALLENGE_SECONDS)
    assert resumed.state is SplitState.RUNNING
    resumed.received(NEXT, 9.0)
    assert resumed.state is not SplitState.STOPPED
    resumed.take()
    resumed.received(NEXT, 9.0)
    assert resumed.state is SplitState.STOPPED
    assert resumed.take() == (b"", NEXT, b"")


@pytest.mark.parametrize("pieces", [(b"$E22#a9", b"$S05#b8", b"-\r\n"), (b"$S05#b8", b"$S05#b8, it says\r\n")])
def test_what_answers_a_doubt_with_something_else_or_goes_on_is_text(resumed: Splitter, pieces: list[bytes]) -> None:
    """A stub that is asked for its stop says that again, and nothing behind it."""
    resumed.received(b"+", 2.0)
    resumed.take()
    for piece in pieces:
        resumed.received(piece, 2.0)
    text, protocol, _line = resumed.take()
    assert (text, protocol) == (b"".join(pieces), b"")
    assert resumed.state is SplitState.RUNNING
