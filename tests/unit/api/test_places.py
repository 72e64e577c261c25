# SPDX-License-Identifier: Apache-2.0
"""How a place is written."""

from __future__ import annotations

import pytest

from nullmodem.api.places import Place, parse_place
from nullmodem.errors import UsageError


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("simple_read", Place("simple_read", function="simple_read")),
        ("simple:simple_read", Place("simple:simple_read", "simple", function="simple_read")),
        ("simple.c:42", Place("simple.c:42", file="simple.c", line=42)),
        ("drivers/simple.c:42", Place("drivers/simple.c:42", file="drivers/simple.c", line=42)),
        ("*0xffffffff81000000", Place("*0xffffffff81000000", address=0xFFFFFFFF81000000)),
        (0x1000, Place("0x1000", address=0x1000)),
    ],
)
def test_a_place_is_a_function_a_line_or_an_address(text: str | int, place: Place) -> None:
    assert parse_place(text) == place


def test_a_modules_name_is_the_kernels() -> None:
    assert parse_place("probe", "my-driver").module == "my_driver"


@pytest.mark.parametrize(
    "text", ["", "a b", "f+", "1abc", ":12", "simple.c:", "f()", "0x12345678123456789", -1, 1 << 64]
)
def test_anything_else_is_refused(text: str | int) -> None:
    with pytest.raises(UsageError):
        parse_place(text)


def test_a_file_alone_is_told_how_a_line_is_written() -> None:
    with pytest.raises(UsageError, match="is a file") as refused:
        parse_place("simple.c")
    assert refused.value.hint == "Name a line of it: simple.c:42."


def test_two_modules_are_one_too_many() -> None:
    with pytest.raises(UsageError, match="is in module a, and b was asked for"):
        parse_place("a:f", "b")
