# SPDX-License-Identifier: Apache-2.0
"""What stands between a debugger and the stub counts every byte and every answered request, and changes nothing."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from nullmodem.rsp.framing import encode_packet
from nullmodem.testing.relay import Exchange, Relay
from nullmodem.wire.meter import WireCost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASK = encode_packet(b"?")
STOP = encode_packet(b"T05thread:01;")


class Line:
    """A relay with a stub's end that the test plays."""

    def __init__(self, stack: contextlib.ExitStack, path: Path) -> None:
        here, self.kernel = socket.socketpair()
        for sock in (here, self.kernel):
            sock.settimeout(10)
            stack.enter_context(sock)
        self.relay = Relay(here, path)
        stack.callback(self.relay.close)
        self._stack = stack

    def client(self) -> socket.socket:
        client = self._stack.enter_context(self.relay.connect())
        client.settimeout(10)
        return client


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with contextlib.ExitStack() as stack:
        yield Line(stack, tmp_path / "wire")


def test_bytes_pass_unchanged_and_are_counted_each_way(line: Line) -> None:
    client = line.client()
    client.sendall(b"+" + ASK)
    assert line.kernel.recv(100) == b"+" + ASK
    line.kernel.sendall(b"console text " + STOP)
    assert client.recv(100) == b"console text " + STOP
    assert line.relay.cost == WireCost(1 + len(ASK), 13 + len(STOP), 1)
    assert line.relay.exchanges == (Exchange(b"?", b"T05thread:01;"),)


def test_what_a_client_wrote_before_the_count_was_asked_for_is_in_it(line: Line) -> None:
    client = line.client()
    for count in range(1, 200):
        client.sendall(b"+")
        assert line.relay.cost.bytes_out == count
        assert line.kernel.recv(100) == b"+"


def test_an_answer_sent_again_and_console_output_are_no_round_trips(line: Line) -> None:
    client = line.client()
    client.sendall(encode_packet(b"qRcmd,00"))
    assert line.kernel.recv(100)
    line.kernel.sendall(encode_packet(b"O41") + encode_packet(b"OK") + encode_packet(b"OK"))
    assert line.relay.cost.round_trips == 1


def test_a_question_asked_again_is_answered_once(line: Line) -> None:
    client = line.client()
    client.sendall(ASK)
    client.sendall(ASK)
    assert line.relay.cost == WireCost(2 * len(ASK), 0, 0)
    line.kernel.sendall(STOP)
    assert line.relay.cost.round_trips == 1


def test_the_next_client_finds_the_line_as_the_last_one_left_it(line: Line) -> None:
    first = line.client()
    first.sendall(b"$m1234")  # in the middle of a packet
    assert line.kernel.recv(100) == b"$m1234"
    first.close()
    second = line.client()
    second.sendall(ASK)
    assert line.kernel.recv(100) == ASK
    line.kernel.sendall(STOP)
    assert second.recv(100) == STOP
    assert line.relay.exchanges == (Exchange(b"?", b"T05thread:01;"),)


def test_what_the_kernel_says_to_nobody_is_counted_and_dropped(line: Line) -> None:
    line.kernel.sendall(STOP)
    assert line.relay.cost == WireCost(0, len(STOP), 0)
    client = line.client()
    client.sendall(ASK)
    assert line.kernel.recv(100) == ASK
    line.kernel.sendall(STOP)
    assert client.recv(100) == STOP


def test_the_end_of_the_kernels_line_ends_the_clients_and_the_count_stays(line: Line) -> None:
    client = line.client()
    client.sendall(ASK)
    assert line.relay.cost.bytes_out == len(ASK)
    line.kernel.close()
    assert client.recv(100) == b""
    assert line.relay.cost.bytes_out == len(ASK)


def test_closing_twice_leaves_the_kernels_line_open(line: Line) -> None:
    client = line.client()
    line.relay.close()
    line.relay.close()
    assert client.recv(1) == b""
    line.kernel.sendall(b"still there")
