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
