# SPDX-License-Identifier: Apache-2.0
"""What a command that ended says of itself."""

from __future__ import annotations

import pytest

from nullmodem.errors import CommandError
from nullmodem.targets.target import ExecResult, shorten


def test_success_checks_out() -> None:
    result = ExecResult("true", 0, b"\xff ok")
    assert result.check() is result
    assert result.text == "\ufffd ok"


def test_failure_is_an_error_that_carries_everything() -> None:
    with pytest.raises(CommandError, match=r"`insmod x` on the target ended with exit status 1: insmod: no") as caught:
        ExecResult("insmod x", 1, b"insmod: no\n").check()
    assert (caught.value.code, caught.value.output) == (1, "insmod: no\n")


def test_a_command_in_a_message_is_one_short_line() -> None:
    assert shorten("a\n  b") == "a b"
    assert shorten("x" * 200, 10) == "x" * 9 + "…"
