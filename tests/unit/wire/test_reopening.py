# SPDX-License-Identifier: Apache-2.0
"""Trying a line again until it opens: how often, how long, and who is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from nullmodem.errors import NullmodemError, WireError
from nullmodem.testing.line import VirtualClock
from nullmodem.wire.reopening import FIRST_PAUSE, LONGEST_PAUSE, Reopening


@dataclass
class Attempts:
    """A line that opens at the ``opens_at``-th attempt; time passes in the pauses between them."""

    opens_at: int | None
    clock: VirtualClock = field(default_factory=VirtualClock)
    count: int = 0
    pauses: list[float] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def attempt(self) -> None:
        self.count += 1
        if self.count != self.opens_at:
            raise WireError(f"no line at attempt {self.count}")
        self.over.set()

    def give_up(self, error: NullmodemError) -> None:
        self.given_up.append(error.message)
        self.over.set()

    def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.clock.now += seconds
        return False

    def run(self, seconds: float) -> None:
        reopening = Reopening(self.attempt, self.give_up, seconds, pause=self.pause, clock=self.clock)
        reopening.begin()
        assert self.over.wait(10)
        reopening.close()


def test_it_is_tried_at_once_then_ever_less_often_and_every_two_seconds_at_least() -> None:
    line = Attempts(opens_at=9)
    line.run(60)
    assert line.pauses[0] == FIRST_PAUSE
    assert line.pauses == sorted(line.pauses)
    assert line.pauses[-1] == LONGEST_PAUSE == 2.0
    assert line.given_up == []


def test_it_is_given_up_in_time_with_the_last_reason() -> None:
    line = Attempts(opens_at=None)
    line.run(60)
    assert line.clock.now == 60
    assert line.given_up == [f"no line at attempt {line.count}"]


def test_a_line_that_goes_again_while_it_is_put_to_use_is_opened_again() -> None:
    line = Attempts(opens_at=2)
    again = Attempts(opens_at=1)

    def attempt() -> None:
        if not line.over.is_set():
            line.attempt()
            reopening.begin()
        else:
            again.attempt()

    reopening = Reopening(attempt, line.give_up, 60, pause=line.pause, clock=line.clock)
    reopening.begin()
    assert again.over.wait(10)
    reopening.close()
    assert (line.count, again.count) == (2, 1)


def test_closing_ends_the_pause() -> None:
    trying = threading.Event()

    def attempt() -> None:
        trying.set()
        raise WireError("no line")

    reopening = Reopening(attempt, lambda _error: None, 3600)
    reopening.begin()
    assert trying.wait(10)
    reopening.close()
    reopening.close()
    reopening.begin()  # nothing is tried any more
    assert reopening._thread is None
