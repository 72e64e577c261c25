# SPDX-License-Identifier: Apache-2.0
"""Does what a scenario says, on one side."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pexpect

from nullmodem.bench.scenarios import Only, Verb
from nullmodem.bench.sides import require
from nullmodem.errors import NullmodemError, SessionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.bench.scenarios import Scenario, Step
    from nullmodem.bench.sides import OnTarget, Side
    from nullmodem.testing.gdb import Gdb

MOST_REPEATS = 200
"""How often a step with ``until`` is done at most."""


def play(scenario: Scenario, side: Side) -> None:
    """Do everything once; what is counted is in ``side.measured`` afterwards.

    Raises SessionError, which names the step, when something goes another way than the scenario says.
    """
    if any(step.verb is Verb.BEGIN for step in scenario.steps):
        side.forget()
    with side.crowded(scenario.tasks, scenario.copied, scenario.copies):
        player = _Player(side)
        for number, step in enumerate(scenario.steps, 1):
            if step.only.value not in (Only.BOTH.value, side.name):
                continue
            try:
                player.step(step)
            except (NullmodemError, pexpect.ExceptionPexpect) as error:
                problem = "gdb said nothing more" if isinstance(error, pexpect.ExceptionPexpect) else str(error)
                where = f"scenario {scenario.name!r}, step {number} ({step.verb.value} {step.argument})"
                raise SessionError(f"{where}, on the side of {side.name}: {problem}") from error


class _Player:
    """One scenario under way: what was started and has to be ended."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._command: OnTarget | None = None
        self._other: Gdb | None = None
        self._said = ""

    def step(self, step: Step) -> None:
        with self._side.counted(step.count) if step.count else contextlib.nullcontext():
            for _turn in range(MOST_REPEATS if step.until else 1):
                if step.until and step.until in self._said:
                    break
                self._said = self._do(step.verb, step.argument)
        require(step.until, self._said)
        require(step.expect, self._said)

    def _do(self, verb: Verb, argument: str) -> str:
        """Returns what was said, for the verbs after which something is."""
        side = self._side
        simple: dict[Verb, Callable[[], None]] = {
            Verb.ATTACH: side.attach,
            Verb.LEAVE: side.leave,
            Verb.BEGIN: side.begin,
            Verb.FOLLOW: side.follow,
            Verb.RESUME: side.resume,
            Verb.INTERRUPT: side.interrupt,
            Verb.LET_RUN: self._let_run,
            Verb.OTHER_ATTACH: self._other_attach,
            Verb.OTHER_LEAVE: self._other_leave,
        }
        with_argument: dict[Verb, Callable[[str], str | None]] = {
            Verb.SYMBOLS: side.symbols,
            Verb.GDB: side.type,
            Verb.HIT: self._hit,
            Verb.RUN: side.run,
            Verb.LOAD: side.load,
            Verb.UNLOAD: side.unload,
            Verb.OTHER_GDB: self._other_gdb,
        }
        if verb in simple:
            simple[verb]()
            return ""
        return with_argument[verb](argument) or ""

    def _hit(self, command: str) -> str:
        said, self._command = self._side.hit(command)
        return said

    def _let_run(self) -> None:
        if self._command is None:
            msg = "nothing was hit before"
            raise SessionError(msg)
        self._side.let_run(self._command)
        self._command = None

    def _other_attach(self) -> None:
        self._other = self._side.another_gdb()

    def _other_gdb(self, command: str) -> str:
        if self._other is None:
            msg = "no other gdb has attached"
            raise SessionError(msg)
        return self._other(command)

    def _other_leave(self) -> None:
        self._other_gdb("detach")
        assert self._other is not None
        self._other.quit()
        self._other = None
