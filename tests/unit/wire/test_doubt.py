# SPDX-License-Identifier: Apache-2.0
"""One cable, and a debugger that doubts that its target still runs: it is asked once, and only in a silence."""

from __future__ import annotations

import pytest

from nullmodem.rsp.framing import encode_packet
from nullmodem.wire.splitter import KNOCK_SECONDS, SplitState
from support.one_cable import ANSWERS, STOP, Bench, packets


def test_a_doubted_target_that_stands_for_nobody_answers_with_its_thread() -> None:
    """A new boot's stub reports no stop: nobody has spoken to it."""
    bench = Bench()
    bench.comes(bench.kernel.prints(b"KGDB: Waiting for connection from remote gdb...\r\n"))
    bench.kernel.stopped = True
    bench.cut = [3] * 20
    bench.asks(b"$qC#b4")
    assert bench.kernel.requests == []
    bench.waits(2 * KNOCK_SECONDS)
    assert bench.kernel.requests == [b"qC"]
    assert bench.protocol == b"+" + encode_packet(ANSWERS[b"qC"])
    assert bench.splitter.state is SplitState.STOPPED
    bench.asks(b"+$m0,2#fb")
    assert bench.protocol.endswith(b"+" + encode_packet(b"0011"))


def test_a_doubted_target_that_prints_is_not_asked_later_either() -> None:
    bench = Bench()
    bench.asks(b"$qC#b4")
    bench.comes(bench.kernel.prints(b"tick\r\n"))
    bench.waits()
    assert bench.kernel.typed == b""


def test_a_doubted_target_is_asked_once_and_its_echo_is_wiped() -> None:
    bench = Bench()
    bench.asks(b"$qC#b4")
    bench.waits(1.5 * KNOCK_SECONDS)
    bench.cut = [1] * 10
    bench.comes(bench.kernel.prints(b"$qC#b4"))
    bench.waits()
    bench.comes(bench.kernel.prints(b"tick\r\n"))
    bench.waits()
    assert bench.kernel.typed == b"$qC#b4\x15"
    assert bench.text == b"$qC#b4tick\r\n"
    assert bench.protocol == b""


def test_a_doubted_target_that_gives_no_answer_is_asked_once() -> None:
    bench = Bench()
    bench.asks(b"$qC#b4")
    bench.waits()
    bench.comes(bench.kernel.prints(b"tick\r\n"))
    bench.waits()
    assert bench.kernel.typed == b"$qC#b4"
    assert bench.splitter.state is SplitState.RUNNING


@pytest.mark.parametrize("seconds", [0.5 * KNOCK_SECONDS, 1.5 * KNOCK_SECONDS])
def test_a_stop_that_crosses_a_doubt_is_not_lost(seconds: float) -> None:
    """Before the question has gone out, and when it was typed into what ran."""
    bench = Bench()
    bench.asks(b"$qC#b4")
    bench.waits(seconds)
    bench.comes(bench.kernel.stops())
    bench.waits(0.5)
    assert bench.splitter.state is SplitState.STOPPED
    assert packets(bench.protocol)[0] == STOP[1:]
