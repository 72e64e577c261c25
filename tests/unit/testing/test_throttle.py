# SPDX-License-Identifier: Apache-2.0
"""A line as slow as a serial one, by a clock that the test turns."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.rsp.framing import encode_packet
from nullmodem.testing.relay import Exchange, Relay
from nullmodem.testing.throttle import Speed, Throttle

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    """Stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_bytes_arrive_when_the_last_one_has() -> None:
    clock = Clock()
    line = Throttle(Speed(115200), clock)
    assert line.wait is None
    line.put(bytes(1152))
    assert line.wait == pytest.approx(0.1)
    clock.now += 0.0999
    assert line.arrived() == b""
    clock.now += 0.0002
    assert line.wait == 0
    assert line.arrived() == bytes(1152)
    assert line.wait is None


def test_a_line_carries_one_thing_after_the_other() -> None:
    clock = Clock()
    line = Throttle(Speed(1000), clock)
    line.put(b"a" * 10)
    clock.now += 0.05
    line.put(b"b" * 10)
    clock.now += 0.1
    assert line.arrived() == b"a" * 10
    assert line.wait == pytest.approx(0.05)
    clock.now += 0.06
    assert line.arrived() == b"b" * 10


def test_latency_is_paid_once_by_what_follows_closely() -> None:
    clock = Clock()
    line = Throttle(Speed(10000, latency=0.016), clock)
    line.put(b"a")
    line.put(b"b")
    assert line.wait == pytest.approx(0.017)
    clock.now += 0.0181
    assert line.arrived() == b"ab"


@given(pieces=st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.floats(0, 0.1)), max_size=20))
def test_everything_arrives_in_order_and_never_faster_than_the_line(pieces: list[tuple[bytes, float]]) -> None:
    clock = Clock()
    line = Throttle(Speed(9600), clock)
    sent, came = b"", b""
    for data, pause in pieces:
        line.put(data)
        sent += data
        clock.now += pause
        came += line.arrived()
        assert 10 * len(came) / 9600 <= clock.now - 100 + 1e-6
    while (wait := line.wait) is not None:
        clock.now += wait + 1e-9
        came += line.arrived()
    assert came == sent


def test_a_relay_can_be_as_slow_as_a_serial_line(tmp_path: Path) -> None:
    """Bytes both ways pass unchanged and are counted; they take what the line needs, and not much more than that."""
    ask, answer = encode_packet(b"?"), encode_packet(b"m" * 1100)
    with contextlib.ExitStack() as stack:
        here, kernel = socket.socketpair()
        for end in (here, kernel):
            end.settimeout(10)
            stack.enter_context(end)
        relay = Relay(here, tmp_path / "wire", speed=Speed(115200))
        stack.callback(relay.close)
        client = stack.enter_context(relay.connect())
        client.settimeout(10)
        began = time.monotonic()
        client.sendall(ask)
        assert kernel.recv(100) == ask
        kernel.sendall(answer)
        got = b""
        while len(got) < len(answer):
            got += client.recv(2000)
        took = time.monotonic() - began
        assert got == answer
        assert relay.cost.bytes_in == len(answer)
        assert relay.exchanges == (Exchange(b"?", b"m" * 1100),)
    assert took >= 10 * (len(ask) + len(answer)) / 115200


def test_the_count_waits_for_what_is_still_on_its_way(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        here, kernel = socket.socketpair()
        for end in (here, kernel):
            end.settimeout(10)
            stack.enter_context(end)
        relay = Relay(here, tmp_path / "wire", speed=Speed(115200))
        stack.callback(relay.close)
        client = stack.enter_context(relay.connect())
        client.sendall(b"x" * 500)
        assert relay.cost.bytes_out == 500
        kernel.setblocking(False)  # noqa: FBT003
        assert kernel.recv(1000) == b"x" * 500
