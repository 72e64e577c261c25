# SPDX-License-Identifier: Apache-2.0
"""What of the target's text an editor is shown; breakpoints that have lost their module; commands that are typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.frontends.dap.commands import in_background
from nullmodem.frontends.dap.console import plain
from nullmodem.frontends.dap.modules import Places, module_name


@given(st.text())
def test_no_text_of_the_target_commands_a_terminal(text: str) -> None:
    assert all(character.isprintable() or character in "\t\n" or ord(character) >= 0x7F for character in plain(text))


def test_colours_go_and_words_stay() -> None:
    assert plain("\x1b[31;1mred\x1b[0m \x1b]0;title\x07line\r\ttab ü") == "red line\ttab ü"


def test_a_place_is_gone_with_its_module_until_another_comes_there() -> None:
    places = Places()
    places.enter("a", {"addressRange": "0x1000-0x3000"})
    assert not places.is_gone("0x1800")
    places.leave("a")
    assert places.is_gone("0x1800")
    assert not places.is_gone("0x3000")
    places.leave("never came")
    places.enter("b", {"addressRange": "0x2000-0x4000"})
    assert not places.is_gone("0x1800")
    places.enter("without", {})
    places.leave("without")
    assert not places.is_gone(None)


@pytest.mark.parametrize(
    ("path", "name"), [("/x/my-module.ko", "my_module"), ("/x/vmlinux", ""), ("simple.ko", "simple"), ("/x/.ko", "")]
)
def test_a_module_is_named_as_the_kernel_names_it(path: str, name: str) -> None:
    assert module_name(path) == name


@pytest.mark.parametrize(
    ("typed", "executed"),
    [
        ("continue", "continue &"),
        ("n 3", "n 3 &"),
        ("c&", None),
        ("finish &", "finish &"),
        ("info b", None),
        ("", None),
    ],
)
def test_what_has_the_target_go_on_is_not_waited_for(typed: str, executed: str | None) -> None:
    assert in_background(typed) == executed
