# SPDX-License-Identifier: Apache-2.0
"""A scenario file is read as it says, or refused with the place that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nullmodem.bench.scenarios import OWN, Only, Step, Verb, read_scenarios
from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
[[module]]
name = "mine"
source = "src"

[[operation]]
name = "look"
title = "look around"
[[operation]]
name = "alone"
lone = "nobody else can"

[[scenario]]
name = "first"
tasks = 7
steps = [
  "load mine",
  "attach",
  { do = "gdb bt", count = "look", expect = "#0" },
  { do = "gdb next", until = "end" },
  { do = "other-attach", count = "alone", only = "nullmodem" },
]
"""


def written(directory: Path, text: str) -> Path:
    (directory / "src").mkdir(exist_ok=True)
    path = directory / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_as_it_stands(tmp_path: Path) -> None:
    found = read_scenarios(written(tmp_path, GOOD))
    assert found.modules == {"mine": tmp_path / "src"}
    assert [(each.name, each.title, each.lone) for each in found.operations] == [
        ("look", "look around", ""),
        ("alone", "alone", "nobody else can"),
    ]
    (scenario,) = found.scenarios
    assert (scenario.name, scenario.tasks, scenario.copies) == ("first", 7, 0)
    assert scenario.steps == (
        Step(Verb.LOAD, "mine"),
        Step(Verb.ATTACH),
        Step(Verb.GDB, "bt", count="look", expect="#0"),
        Step(Verb.GDB, "next", until="end"),
        Step(Verb.OTHER_ATTACH, count="alone", only=Only.NULLMODEM),
    )


def test_the_file_that_comes_along_counts_every_operation_it_names() -> None:
    found = read_scenarios(OWN)
    counted = {step.count for scenario in found.scenarios for step in scenario.steps if step.count}
    assert counted == {operation.name for operation in found.operations}


def test_scenarios_can_be_chosen_by_name() -> None:
    found = read_scenarios(OWN)
    assert [each.name for each in found.only(("stepping",)).scenarios] == ["stepping"]
    with pytest.raises(UsageError, match="has no scenario 'dancing'") as refused:
        found.only(("dancing",))
    assert "stepping" in refused.value.hint


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"attach"', '"atach"', "scenario 'first', step 2: there is no verb 'atach'; there are attach, leave"),
        ('"attach"', '"attach now"', "step 2: attach takes nothing, and got 'now'"),
        ('"load mine"', '"load"', "step 1: load needs something behind it"),
        ('"load mine"', '"load other"', "step 1: there is no \\[\\[module\\]\\] named 'other'"),
        ('"load mine"', "7", "step 1: 7 is neither text nor a table"),
        ('"load mine"', '{ run = "x" }', "step 1: it has 'run'; there may be count, do, expect, only, until"),
        ('"load mine"', '{ count = "look" }', "step 1: it has no do"),
        ('"load mine"', '{ do = "load mine", expect = "x" }', "step 1: load says nothing to look at"),
        ('count = "look"', 'count = "lok"', "step 3: there is no \\[\\[operation\\]\\] named 'lok'"),
        ('only = "nullmodem"', 'only = "mine"', 'step 5: only is \'mine\'; it may be "plain" or "nullmodem"'),
        ("tasks = 7", "tasks = -1", "scenario 'first': tasks is -1, not a number from 0 to 5000"),
        ("tasks = 7", "tasks = true", "tasks is True"),
        ("tasks = 7", "copies = 3", "copies need copied = NAME"),
        ("tasks = 7", 'copies = 3\ncopied = "mine"', "a \\[\\[module\\]\\] whose name ends in _000"),
        ("steps = [", "steps = 1\nothers = [", "it has 'others'"),
        ('source = "src"', 'source = "nowhere"', "module 1: its source .*nowhere is no directory"),
        ('name = "alone"', 'name = "look"', "more than one operation named 'look'"),
        ('name = "first"', 'name = "a|b"', "name is 'a|b', which does not do for a name"),
        ('title = "look around"', 'title = "a\\nb"', "title is 'a.*b', not one line of text"),
        ("[[scenario]]", "[[scene]]", "the file: it has 'scene'"),
        ("[[operation]]", "[operation]", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(UsageError, match=complaint) as refused:
        read_scenarios(path)
    assert str(path) in refused.value.message


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_scenarios(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not TOML"):
        read_scenarios(tmp_path / "binary.toml")
    with pytest.raises(UsageError, match="nothing to measure"):
        read_scenarios(written(tmp_path, ""))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["attach", "gdb x", "look", "mine"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "title", "steps", "do", "count", "copies", "copied", "source", "only", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


def toml(value: Any) -> str:
    """One value, written as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            quoted = "".join(c if c.isalnum() or c == " " else f"\\u{min(ord(c), 0xD7FF):04x}" for c in value)
            return f'"{quoted}"'
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
        case _:
            return str(value)


@given(tables=st.dictionaries(st.sampled_from(["module", "operation", "scenario", "other"]), VALUES, max_size=4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_leads_to_anything_but_a_set_or_a_refusal(tmp_path: Path, tables: dict[str, Any]) -> None:
    path = written(tmp_path, "\n".join(f"{key} = {toml(value)}" for key, value in tables.items()))
    refused = ""
    try:
        assert read_scenarios(path).scenarios
    except UsageError as error:
        refused = error.message
    assert not refused or str(path) in refused
