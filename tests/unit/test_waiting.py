# SPDX-License-Identifier: Apache-2.0
"""Waiting for descriptors, also for those that select(2) cannot name."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from typing import TYPE_CHECKING

import pytest

from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Iterator

FD_SETSIZE = 1024


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_only_what_can_be_read_is_returned(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert wait_readable([ours, theirs], 0) == []
    theirs.send(b"x")
    assert wait_readable([ours, theirs]) == [ours]
    assert wait_readable([ours.fileno(), theirs.fileno()]) == [ours.fileno()]


def test_an_end_of_file_can_be_read(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()
    assert wait_readable([ours]) == [ours]


def test_what_is_closed_cannot_be_waited_on(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _theirs = pair
    number = ours.fileno()
    ours.close()
    with pytest.raises(ValueError, match="closed"):
        wait_readable([ours], 0)
    with pytest.raises(OSError, match="closed"):
        wait_readable([number], 0)


def test_descriptors_beyond_those_of_select_are_waited_on(pair: tuple[socket.socket, socket.socket]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    high = FD_SETSIZE + 100
    assert hard == resource.RLIM_INFINITY or hard > high
    ours, theirs = pair
    with contextlib.ExitStack() as stack:
        if soft <= high:
            resource.setrlimit(resource.RLIMIT_NOFILE, (high + 1, hard))
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        far = os.dup2(ours.fileno(), high)
        stack.callback(os.close, far)
        assert wait_readable([far], 0) == []
        theirs.send(b"x")
        assert wait_readable([far]) == [far]
