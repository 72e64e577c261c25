# SPDX-License-Identifier: Apache-2.0
"""Conditions written as text."""

from __future__ import annotations

from typing import Any

import pytest

from nullmodem.errors import UnknownVariable, UsageError
from nullmodem.frontends.python.expressions import compile_condition


class Variables:
    """What a condition needs of a frame."""

    def __init__(self, **values: Any) -> None:
        self.locals = values

    def __getitem__(self, name: str) -> Any:
        if name not in self.locals:
            raise UnknownVariable(f"f has no variable {name!r}", hint="Is len meant?")
        return self.locals[name]


@pytest.mark.parametrize(
    ("text", "holds"),
    [("len == 5", True), (" len > 5 ", False), ("len & 1 and not flags", True), ("buffer[1] == 2", True)],
)
def test_it_is_python_with_the_names_of_the_frame(text: str, holds: bool) -> None:
    frame: Any = Variables(len=5, flags=0, buffer=[1, 2])
    assert bool(compile_condition(text)(frame)) is holds


@pytest.mark.parametrize("text", ["", "len =", "len == 5; 1", "import os", "len == 5 }"])
def test_what_is_no_expression_is_refused_at_once(text: str) -> None:
    with pytest.raises(UsageError, match="is no expression"):
        compile_condition(text)


def test_a_name_that_is_not_there_says_what_is_meant() -> None:
    frame: Any = Variables(len=5)
    with pytest.raises(UsageError, match="in the condition: f has no variable 'lem'\nIs len meant"):
        compile_condition("lem == 5")(frame)


def test_a_condition_has_no_builtins() -> None:
    frame: Any = Variables(len=5)
    with pytest.raises(UsageError, match="open"):
        compile_condition("open('/etc/passwd')")(frame)
