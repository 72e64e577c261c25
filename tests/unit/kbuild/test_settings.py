# SPDX-License-Identifier: Apache-2.0
"""Fragments and configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import UsageError
from nullmodem.kbuild.settings import (
    Requirement,
    Setting,
    combine,
    merge,
    packaged_fragment,
    parse_config,
    parse_fragment,
    parse_setting,
    read_fragment,
    render,
)

if TYPE_CHECKING:
    from pathlib import Path

_names = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True)
_values = st.sampled_from(["y", "m", "n", "64", "0x1", '"-text | bar"'])
_settings = st.builds(Setting, _names, _values)


@pytest.mark.parametrize(
    ("line", "setting"),
    [
        ("CONFIG_KGDB=y", Setting("KGDB", "y")),
        ("  CONFIG_NR_CPUS=64 ", Setting("NR_CPUS", "64")),
        ('CONFIG_LOCALVERSION=""', Setting("LOCALVERSION", '""')),
        ("# CONFIG_SLOB is not set", Setting("SLOB", "n")),
        ("#CONFIG_SLOB is not set", Setting("SLOB", "n")),
        ("CONFIG_SLOB=", Setting("SLOB", "n")),
        ("# CONFIG_SLOB is set", None),
        ("CONFIG_=y", None),
        ("KGDB=y", None),
        ("", None),
    ],
)
def test_a_line_states_a_setting_or_nothing(line: str, setting: Setting | None) -> None:
    assert parse_setting(line) == setting


@given(_settings)
def test_a_setting_reads_back_as_it_was_written(setting: Setting) -> None:
    assert parse_setting(str(setting)) == setting


@given(st.text())
def test_any_text_is_read_as_a_configuration(text: str) -> None:
    parse_config(text)


@given(st.text())
def test_any_text_is_a_fragment_or_one_clear_error(text: str) -> None:
    problem = ""
    try:
        parse_fragment(text, "file")
    except UsageError as error:
        problem = error.message
    assert not problem or problem.startswith("file:")


@given(st.lists(_settings), st.lists(_settings))
def test_what_is_merged_holds_unless_a_later_line_took_it_back(old: list[Setting], new: list[Setting]) -> None:
    requirements = combine([Requirement((setting,), "here") for setting in new])
    merged = parse_config(merge("".join(f"{setting}\n" for setting in old), requirements))
    assert all(requirement.holds(merged) for requirement in requirements)
    named = {setting.name for setting in new}
    for name, value in {setting.name: setting.value for setting in old}.items():
        assert name in named or merged[name] == value


def test_one_of_several_names_is_enough() -> None:
    (requirement,) = parse_fragment("CONFIG_NEW=y | CONFIG_OLD=y", "f")
    assert requirement.holds({"OLD": "y"})
    assert requirement.holds({"NEW": "y", "OLD": "n"})
    assert not requirement.holds({"NEW": "m"})


def test_a_setting_that_must_not_be_holds_when_it_is_absent_or_off() -> None:
    (requirement,) = parse_fragment("# CONFIG_SLUB_TINY is not set", "f")
    assert requirement.holds({})
    assert requirement.holds({"SLUB_TINY": "n"})
    assert not requirement.holds({"SLUB_TINY": "y"})


def test_a_later_fragment_replaces_what_an_earlier_one_says_of_the_same_option() -> None:
    combined = combine(
        parse_fragment("CONFIG_A=y | CONFIG_B=y\nCONFIG_C=y", "ours"), parse_fragment("CONFIG_B=n", "mine")
    )
    assert render(combined) == "CONFIG_C=y\n# CONFIG_B is not set\n"


def test_a_bar_in_a_string_is_part_of_the_string() -> None:
    (requirement,) = parse_fragment('CONFIG_CMDLINE="a | b"', "f")
    assert requirement.alternatives == (Setting("CMDLINE", '"a | b"'),)


@pytest.mark.parametrize("line", ["KGDB=y", "CONFIG_KGDB", "CONFIG_KGDB=y | KDB", "set CONFIG_KGDB"])
def test_a_line_that_is_no_setting_is_refused_with_its_place(line: str) -> None:
    with pytest.raises(UsageError, match=r"mine:2: .* is not a kernel setting"):
        parse_fragment(f"# comment\n{line}\n", "mine")


def test_a_fragment_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_fragment(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a text file"):
        read_fragment(tmp_path / "binary")


@pytest.mark.parametrize("name", ["target", "x86_64", "kdb"])
def test_every_setting_of_our_own_fragments_stands_below_a_reason(repository: Path, name: str) -> None:
    text = (repository / "src/nullmodem/kbuild/data" / f"{name}.config").read_text()
    assert packaged_fragment(name)
    blocks = [block for block in text.split("\n\n") if "CONFIG_" in block]
    assert blocks
    assert all(block.startswith("# ") and not parse_setting(block.splitlines()[0]) for block in blocks)


def test_our_fragments_ask_for_each_option_once() -> None:
    parts = [packaged_fragment(name) for name in ("target", "x86_64", "kdb")]
    assert combine(*parts) == tuple(requirement for part in parts for requirement in part)


def test_a_processor_without_a_fragment_adds_nothing() -> None:
    assert packaged_fragment("vax") == ()
