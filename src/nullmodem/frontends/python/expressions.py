# SPDX-License-Identifier: Apache-2.0
"""Conditions written as text: Python, with the names of the frame the target stopped in.

``"len > 4 and file.f_flags & 1"`` is evaluated with drgn's objects, which take the operators of C that Python has too
and C's members through ``.`` (drgn follows pointers by itself).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nullmodem.errors import UnknownVariable, UsageError

if TYPE_CHECKING:
    from nullmodem.frontends.python.frame import Frame


class _Names(Mapping[str, Any]):
    """What a condition may name: variables of the frame, then of the kernel and its modules."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def __getitem__(self, name: str) -> Any:
        try:
            return self._frame[name]
        except UnknownVariable as error:  # as a KeyError, Python would make a NameError without the names of it
            raise UsageError(f"in the condition: {error.message}", hint=error.hint) from None

    def __iter__(self) -> Any:
        return iter(self._frame.locals)

    def __len__(self) -> int:
        return len(self._frame.locals)


def compile_condition(text: str) -> Callable[[Frame], Any]:
    """Raises UsageError for what is no expression of Python."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        hint = 'Write it in Python with the names of the code: "len > 4 and not file.f_flags & 1".'
        raise UsageError(f"the condition {text!r} is no expression: {error}", hint=hint) from None
    code = compile(tree, "<condition>", "eval")

    def holds(frame: Frame) -> Any:
        return eval(code, {"__builtins__": {}}, _Names(frame))  # noqa: S307  # a program's own text

    return holds
