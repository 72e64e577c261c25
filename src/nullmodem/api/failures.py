# SPDX-License-Identifier: Apache-2.0
"""Errors of nullmodem's tree, from the session's process to the one that has asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nullmodem import errors
from nullmodem.errors import NullmodemError, RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of nullmodem's tree. The fields after ``hint`` are those that some classes have beside the message."""

    kind: str
    message: str
    hint: str
    errno: int | None = None
    address: int | None = None
    length: int | None = None
    code: int | None = None
    state: str | None = None
    holder: str | None = None
    output: str | None = None
    command: tuple[str, ...] | None = None


_EXTRAS: Final = ("errno", "address", "length", "code", "state", "holder", "output", "command")
OUTPUT_SHOWN: Final = 20_000
"""Characters of a build's or a command's output in an error: its end, where the reason stands."""


def failure_of(error: NullmodemError) -> Failure:
    extras = {name: getattr(error, name) for name in _EXTRAS if hasattr(error, name)}
    if "output" in extras:
        extras["output"] = extras["output"][-OUTPUT_SHOWN:]
    return Failure(type(error).__name__, error.message[-OUTPUT_SHOWN:], error.hint, **extras)


def error_of(failure: Failure) -> NullmodemError:
    """The error as it was raised in the session. Raises RemoteProtocolError for a class that there is not."""
    kind = getattr(errors, failure.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, NullmodemError)):
        msg = f"the session reported an error of an unknown kind, {failure.kind[:40]!r}: {failure.message}"
        raise RemoteProtocolError(msg)
    # Around the constructor: some make their message themselves, from what is in it already.
    error = kind.__new__(kind)
    NullmodemError.__init__(error, failure.message, hint=failure.hint)
    for name in _EXTRAS:
        if (value := getattr(failure, name)) is not None:
            setattr(error, name, value)
    return error
