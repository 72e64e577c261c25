# SPDX-License-Identifier: Apache-2.0
"""What is typed where a line is meant: what is the matter with it is said, and first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from nullmodem.frontends.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("command", [["doctor"], ["attach", "--no-gdb"]])
@pytest.mark.parametrize(
    ("line", "code", "complaint"),
    [
        ("/dev/null", 2, "/dev/null is no serial line"),
        ("serial:/dev/null", 2, "/dev/null is no serial line"),
        ("/dev/nonexist", 1, "there is no device /dev/nonexist"),
    ],
)
def test_a_line_that_is_none_is_named_before_anything_else(
    command: list[str], line: str, code: int, complaint: str
) -> None:
    result = CliRunner().invoke(main, [*command, line])
    assert result.exit_code == code
    assert complaint in result.stderr
    assert "vmlinux" not in result.stderr


def test_nothing_to_recover_is_no_wrong_command(tmp_path: Path) -> None:
    where = {"XDG_RUNTIME_DIR": str(tmp_path)}
    result = CliRunner(env=where).invoke(main, ["recover"])
    assert result.exit_code == 1
    assert "there is nothing to recover" in result.stderr
    result = CliRunner(env=where).invoke(main, ["recover", "--session", "board"])
    assert result.exit_code == 2
    assert "no killed session 'board'" in result.stderr
