# SPDX-License-Identifier: Apache-2.0
"""`nullmodem bench` refuses what it cannot do before anything is booted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from nullmodem.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--json", "--markdown"], "--json and --markdown exclude each other"),
        (["--scenarios", "nowhere.toml"], "cannot read nowhere.toml: No such file"),
        (["--only", "dancing"], "has no scenario 'dancing'"),
        (["--gdb", "no-such-gdb"], "there is no program no-such-gdb in PATH"),
        (["--baud", "-5"], "-5 is not in the range x>=0"),
        (["--kernel", "0.1"], "0.1"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_its_reason(
    arguments: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["bench", *arguments])
    assert result.exit_code == 2, result.output
    assert complaint in result.output
    assert "Traceback" not in result.output


def test_a_scenario_file_that_is_wrong_is_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[[scenario]]\nname = "first"\nsteps = ["dance"]\n')
    result = CliRunner().invoke(main, ["bench", "--scenarios", str(path)])
    assert result.exit_code == 2
    assert "scenario 'first', step 1: there is no verb 'dance'" in result.output
