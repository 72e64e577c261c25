# SPDX-License-Identifier: Apache-2.0
"""A scenario is done step by step, and a step that goes wrong is named."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

import pytest

from nullmodem.bench.play import play
from nullmodem.bench.scenarios import Only, Scenario, Step, Verb
from nullmodem.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.bench.sides import OnTarget, Side


class Diary:
    """A side that keeps a diary. It says what it is told to, one thing for each command of gdb."""

    def __init__(self, name: str, *sayings: str) -> None:
        self.name = name
        self.entries: list[str] = []
        self._sayings = list(sayings)

    def __getattr__(self, verb: str) -> object:
        def enter(*arguments: str) -> None:
            self.entries.append(" ".join((verb, *arguments)))

        return enter

    @contextlib.contextmanager
    def counted(self, operation: str) -> Iterator[None]:
        self.entries.append(f"[{operation}")
        yield
        self.entries.append("]")

    @contextlib.contextmanager
    def crowded(self, tasks: int, copied: str, copies: int) -> Iterator[None]:
        self.entries.append(f"crowd {tasks} {copied} {copies}")
        yield
        self.entries.append("alone")

    def type(self, command: str) -> str:
        self.entries.append(f"gdb {command}")
        return self._sayings.pop(0)

    def hit(self, command: str) -> tuple[str, OnTarget]:
        self.entries.append(f"hit {command}")
        return self._sayings.pop(0), cast("OnTarget", command)


def played(side: Diary, *steps: Step, tasks: int = 0) -> list[str]:
    play(Scenario("it", steps, tasks=tasks), cast("Side", side))
    return side.entries


def test_steps_are_done_in_order_and_counted_ones_counted() -> None:
    side = Diary("plain", "stopped", "done")
    steps = Step(Verb.ATTACH), Step(Verb.HIT, "go", count="hit"), Step(Verb.GDB, "next"), Step(Verb.LET_RUN)
    expected = ["crowd 3  0", "attach", "[hit", "hit go", "]", "gdb next", "let_run go", "alone"]
    assert played(side, *steps, tasks=3) == expected


def test_a_side_does_not_do_the_others_steps() -> None:
    steps = Step(Verb.RESUME, only=Only.NULLMODEM), Step(Verb.INTERRUPT, only=Only.PLAIN)
    assert "resume" not in played(Diary("plain"), *steps)
    assert "interrupt" not in played(Diary("nullmodem"), *steps)


def test_until_does_it_as_often_as_needed_and_perhaps_not_at_all() -> None:
    side = Diary("plain", "line 1", "line 2", "line 3")
    played(side, Step(Verb.GDB, "next"), Step(Verb.GDB, "next", until="line 1"), Step(Verb.GDB, "next", until="line 3"))
    assert side.entries.count("gdb next") == 3


def test_what_begins_anew_forgets_first() -> None:
    assert played(Diary("plain"), Step(Verb.BEGIN))[0] == "forget"


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        (Step(Verb.GDB, "bt", expect="main"), "'main' was to be said, and this was: no"),
        (Step(Verb.GDB, "next", until="end"), "'end' was to be said"),
        (Step(Verb.LET_RUN), "nothing was hit before"),
        (Step(Verb.OTHER_GDB, "bt"), "no other gdb has attached"),
    ],
)
def test_a_step_that_goes_wrong_is_named(step: Step, complaint: str) -> None:
    side = Diary("plain", *["no"] * 300)
    with pytest.raises(SessionError, match=complaint) as refused:
        played(side, Step(Verb.ATTACH), step)
    assert refused.value.message.startswith(f"scenario 'it', step 2 ({step.verb.value} ")
