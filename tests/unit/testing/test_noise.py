# SPDX-License-Identifier: Apache-2.0
"""A line that strikes bytes between two sockets."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from nullmodem.testing.noise import NoisyLine

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = b"0123456789" * 1000


@contextlib.contextmanager
def noisy(one_in: int) -> Iterator[tuple[NoisyLine, socket.socket]]:
    kernel, far = socket.socketpair()
    line = NoisyLine(kernel, seed=7, one_in=one_in)
    try:
        yield line, far
    finally:
        line.close()
        kernel.close()
        far.close()


def passed(sender: socket.socket, receiver: socket.socket, end: bytes) -> bytes:
    sender.sendall(DATA + end * 40)
    receiver.settimeout(10)
    got = b""
    while got.count(end) < 30:
        got += receiver.recv(1 << 16)
    return got.partition(end)[0]


def test_bytes_pass_in_both_directions_and_some_of_them_are_struck() -> None:
    with noisy(500) as (line, far):
        there = passed(line.client, far, b"\n")
        back = passed(far, line.client, b"\n")
        assert line.struck > 0
        assert there != DATA
        assert back != DATA
        assert abs(len(there) - len(DATA)) < 100


def test_a_line_with_rare_noise_passes_what_it_gets() -> None:
    with noisy(1 << 40) as (line, far):
        assert passed(line.client, far, b"\n") == DATA
        assert passed(far, line.client, b"\n") == DATA
        assert line.struck == 0


def test_its_end_is_the_end_for_the_client_and_not_for_the_kernel() -> None:
    kernel, far = socket.socketpair()
    line = NoisyLine(kernel, seed=1)
    client = line.client.dup()
    line.close()
    assert client.recv(1) == b""
    kernel.sendall(b"alive")
    assert far.recv(5) == b"alive"
    for end in (client, kernel, far):
        end.close()
