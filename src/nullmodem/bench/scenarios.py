# SPDX-License-Identifier: Apache-2.0
"""What is measured: a file in which each scenario says what a user types, and which part of it is counted.

docs/reference/benchmarks.md explains the file; data/scenarios.toml is the one that comes along.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN: Final = Path(__file__).parent / "data" / "scenarios.toml"
MOST_TASKS: Final = 5000
MOST_COPIES: Final = 999
_NAME: Final = re.compile(r"[\w/,.:+ -]{1,60}")
_MODULE: Final = re.compile(r"[A-Za-z0-9_]{1,40}")
_COPIED: Final = re.compile(r"[A-Za-z0-9_]{1,36}_000")


class Verb(Enum):
    """What a step does."""

    ATTACH = "attach"
    LEAVE = "leave"
    BEGIN = "begin"
    FOLLOW = "follow"
    SYMBOLS = "symbols"
    GDB = "gdb"
    HIT = "hit"
    LET_RUN = "let-run"
    RESUME = "resume"
    INTERRUPT = "interrupt"
    RUN = "run"
    LOAD = "load"
    UNLOAD = "unload"
    OTHER_ATTACH = "other-attach"
    OTHER_GDB = "other-gdb"
    OTHER_LEAVE = "other-leave"

    @property
    def takes_argument(self) -> bool:
        """Whether something has to follow the verb; if not, nothing may."""
        return self in _WITH_ARGUMENT

    @property
    def says(self) -> bool:
        """Whether there is text afterwards that ``expect`` can look at."""
        return self in (Verb.GDB, Verb.HIT, Verb.RUN, Verb.OTHER_GDB)


_WITH_ARGUMENT: Final = (Verb.SYMBOLS, Verb.GDB, Verb.HIT, Verb.RUN, Verb.LOAD, Verb.UNLOAD, Verb.OTHER_GDB)


class Only(Enum):
    """The side that alone does a step."""

    BOTH = ""
    PLAIN = "plain"
    NULLMODEM = "nullmodem"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a verb and what follows it. ``count``: the operation as which it is counted, or nothing.

    ``expect``: what has to be in the text that comes. ``until``: do it as often as needed, perhaps not at all, until
    that was said last.
    """

    verb: Verb
    argument: str = ""
    count: str = ""
    expect: str = ""
    until: str = ""
    only: Only = Only.BOTH


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps on a target that runs, with no gdb on it, and that is left so.

    ``tasks``: sleeping processes beside it. ``copies``: how many copies of ``copied``, a module whose name ends in
    _000, are loaded under names of their own before it begins.
    """

    name: str
    steps: tuple[Step, ...]
    tasks: int = 0
    copies: int = 0
    copied: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is counted. ``lone``: why there is nothing to compare it with; empty: there is."""

    name: str
    title: str
    lone: str = ""


@dataclass(frozen=True, slots=True)
class ScenarioSet:
    """A file's content. ``modules`` are directories of modules' sources, by the modules' names."""

    path: Path
    modules: Mapping[str, Path]
    operations: tuple[Operation, ...]
    scenarios: tuple[Scenario, ...]

    def only(self, names: tuple[str, ...]) -> ScenarioSet:
        """The set with the scenarios of these names. UsageError when one is not there."""
        known = {scenario.name: scenario for scenario in self.scenarios}
        for name in names:
            if name not in known:
                raise UsageError(f"{self.path} has no scenario {name!r}", hint=f"It has: {', '.join(known)}.")
        chosen = tuple(scenario for scenario in self.scenarios if scenario.name in names)
        return ScenarioSet(self.path, self.modules, self.operations, chosen)


def read_scenarios(path: Path = OWN) -> ScenarioSet:
    """Read a scenario file. UsageError says in which scenario and step it is wrong, and what may stand there."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # TOML that is none, or not UTF-8
        raise UsageError(f"{path} is not TOML: {error}") from error
    return _Reader(path).whole(document)


class _Reader:
    """Checks one file's content; every complaint names the file and the place in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def whole(self, document: dict[str, Any]) -> ScenarioSet:
        self._keys(document, "the file", {"module", "operation", "scenario"})
        modules = [self._module(table, f"module {n}") for n, table in self._tables(document, "module")]
        operations = [self._operation(table, f"operation {n}") for n, table in self._tables(document, "operation")]
        self._distinct([operation.name for operation in operations], "operation")
        names = {operation.name for operation in operations}
        scenarios = []
        for number, table in self._tables(document, "scenario"):
            scenarios.append(self._scenario(table, f"scenario {number}", names, dict(modules)))
        self._distinct([scenario.name for scenario in scenarios], "scenario")
        if not scenarios:
            self._refuse("the file", "it has no [[scenario]], so there is nothing to measure")
        return ScenarioSet(self._path, dict(modules), tuple(operations), tuple(scenarios))

    def _module(self, table: dict[str, Any], where: str) -> tuple[str, Path]:
        self._keys(table, where, {"name", "source"})
        name = self._text(table, "name", where, pattern=_MODULE)
        source = self._path.parent / (self._text(table, "source", where, default=name))
        if not source.is_dir():
            self._refuse(where, f"its source {source} is no directory")
        return name, source

    def _operation(self, table: dict[str, Any], where: str) -> Operation:
        self._keys(table, where, {"name", "title", "lone"})
        name = self._text(table, "name", where, pattern=_NAME)
        title = self._text(table, "title", where, default=name)
        return Operation(name, title, self._text(table, "lone", where, default=""))

    def _scenario(self, table: dict[str, Any], where: str, operations: set[str], modules: dict[str, Path]) -> Scenario:
        self._keys(table, where, {"name", "tasks", "copies", "copied", "steps"})
        name = self._text(table, "name", where, pattern=_NAME)
        where = f"scenario {name!r}"
        copies = self._count(table, "copies", where, MOST_COPIES)
        copied = self._text(table, "copied", where, default="")
        if copies and (not _COPIED.fullmatch(copied) or copied not in modules):
            self._refuse(where, "copies need copied = NAME, a [[module]] whose name ends in _000")
        steps = table.get("steps")
        if not isinstance(steps, list) or not steps:
            self._refuse(where, "steps is no list of steps")
        read = tuple(self._step(step, f"{where}, step {n}", operations, modules) for n, step in enumerate(steps, 1))
        return Scenario(name, read, self._count(table, "tasks", where, MOST_TASKS), copies, copied)

    def _step(self, step: object, where: str, operations: set[str], modules: dict[str, Path]) -> Step:
        table = {"do": step} if isinstance(step, str) else step
        if not isinstance(table, dict):
            self._refuse(where, f"{step!r} is neither text nor a table")
        self._keys(table, where, {"do", "count", "expect", "until", "only"})
        word, _space, argument = self._text(table, "do", where).partition(" ")
        verb = next((verb for verb in Verb if verb.value == word), None)
        if verb is None:
            self._refuse(where, f"there is no verb {word!r}; there are {', '.join(verb.value for verb in Verb)}")
        argument = argument.strip()
        if verb.takes_argument != bool(argument):
            what = "needs something behind it" if verb.takes_argument else f"takes nothing, and got {argument!r}"
            self._refuse(where, f"{word} {what}")
        if verb in (Verb.SYMBOLS, Verb.LOAD, Verb.UNLOAD) and argument not in modules:
            self._refuse(where, f"there is no [[module]] named {argument!r}")
        expect = self._text(table, "expect", where, default="")
        until = self._text(table, "until", where, default="")
        if (expect and not verb.says) or (until and verb is not Verb.GDB):
            self._refuse(where, f"{word} says nothing to look at")
        count = self._text(table, "count", where, default="")
        if count and count not in operations:
            self._refuse(where, f"there is no [[operation]] named {count!r}")
        return Step(verb, argument, count, expect, until, self._only(table, where))

    def _only(self, table: dict[str, Any], where: str) -> Only:
        text = self._text(table, "only", where, default="")
        found = next((only for only in Only if only.value == text), None)
        if found is None:
            self._refuse(where, f'only is {text!r}; it may be "plain" or "nullmodem"')
        return found

    # -- values --------------------------------------------------------------------------------------------------

    def _tables(self, document: dict[str, Any], key: str) -> list[tuple[int, dict[str, Any]]]:
        tables = document.get(key, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._refuse("the file", f"{key} is to be written as [[{key}]]")
        return list(enumerate(tables, 1))

    def _keys(self, table: dict[str, Any], where: str, allowed: set[str]) -> None:
        for key in table:
            if key not in allowed:
                self._refuse(where, f"it has {key!r}; there may be {', '.join(sorted(allowed))}")

    def _text(
        self,
        table: dict[str, Any],
        key: str,
        where: str,
        *,
        default: str | None = None,
        pattern: re.Pattern[str] | None = None,
    ) -> str:
        value = table.get(key, default)
        if value is None:
            self._refuse(where, f"it has no {key}")
        if not isinstance(value, str) or not value.isprintable() or (value == "" != default):
            self._refuse(where, f"{key} is {value!r}, not one line of text")
        if pattern is not None and not pattern.fullmatch(value):
            self._refuse(where, f"{key} is {value!r}, which does not do for a name")
        return value

    def _count(self, table: dict[str, Any], key: str, where: str, most: int) -> int:
        value = table.get(key, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            self._refuse(where, f"{key} is {value!r}, not a number from 0 to {most}")
        return value

    def _distinct(self, names: list[str], what: str) -> None:
        for name in names:
            if names.count(name) > 1:
                self._refuse("the file", f"it has more than one {what} named {name!r}")

    def _refuse(self, where: str, problem: str) -> NoReturn:
        raise UsageError(
            f"{self._path}: {where}: {problem}",
            hint="The reference of the benchmarks says what a scenario file holds.",
        )
