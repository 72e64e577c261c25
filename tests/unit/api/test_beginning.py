# SPDX-License-Identifier: Apache-2.0
"""A session's beginning on a kernel that is met while it patches its own code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.api.beginning import ATTEMPTS, EBUSY, begin
from nullmodem.errors import StateError, StubError, WireTimeout
from nullmodem.session.model import Policy, State
from support.fakekernel import FakeKernel
from support.rig import Rig
from support.rigged import kernel_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nullmodem.api.live import LiveSession
    from nullmodem.rsp.requests import BreakpointKind

__all__ = ["kernel_file"]

SECONDS = 60.0
"""A question that comes while the fake kernel runs is lost, and asked again after five of them."""


@pytest.fixture
def rig(kernel_file: Path, tmp_path: Path) -> Iterator[Rig]:
    """A target that nobody has met yet."""
    rig = Rig(FakeKernel(kernel_file), tmp_path, Policy.RELEASE)
    yield rig
    rig.close()


def test_a_kernel_that_is_busy_with_its_code_is_let_go_and_stopped_again(rig: Rig) -> None:
    def break_in() -> None:
        """However often it is asked for: a break-in that is answered late is repeated."""

        def busy_twice() -> bytes:
            rig.machine.text_busy = rig.fake.requests.count(b"D") < 2
            return b""

        rig.line.poke(busy_twice)
        rig.break_in()

    rig.machine.text_busy = True  # it may answer before it is broken into
    live = begin(rig.session, break_in, SECONDS)
    assert live.state is State.RUNNING
    assert len(rig.machine.software) == 2
    assert rig.fake.requests.count(b"D") == 2
    assert rig.machine.violations == []
    live.close(release=False)


def test_one_that_is_always_busy_is_an_error_and_runs_on_unarmed(rig: Rig) -> None:
    rig.machine.text_busy = True
    with pytest.raises(StubError) as caught:
        begin(rig.session, rig.break_in, SECONDS)
    assert caught.value.errno == EBUSY
    assert rig.fake.requests.count(b"D") == ATTEMPTS
    assert rig.fake.running
    assert rig.machine.software == frozenset()


class Silent:
    """An inserter that nobody answers."""

    def insert(self, _kind: BreakpointKind, _address: int, _length: int) -> None:
        raise WireTimeout("no answer")

    def remove(self, _kind: BreakpointKind, _address: int, _length: int) -> None:
        raise AssertionError("nothing is there")

    def forget_breakpoints(self) -> None:
        raise AssertionError("nothing is there")


def test_a_line_that_fails_before_the_target_runs_leaves_it_running_and_no_thread(rig: Rig) -> None:
    rig.session.table.send_through(lambda _stub: Silent())
    begun: list[LiveSession] = []
    with pytest.raises(WireTimeout, match="no answer"):
        begin(rig.session, rig.break_in, SECONDS, begun.append)
    assert rig.fake.running
    assert rig.fake.requests[-1] == b"D"
    with pytest.raises(StateError, match="the session has ended"):
        begun[0].status()
