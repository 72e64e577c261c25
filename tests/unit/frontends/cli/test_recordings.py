# SPDX-License-Identifier: Apache-2.0
"""`replay`: what it refuses. With a gdb and real recordings: tests/vm/test_replay.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from nullmodem.api.recording import check_new
from nullmodem.errors import UsageError
from nullmodem.frontends.cli.main import main
from support.modules import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

REAL = str(REPOSITORY / "tests" / "recordings" / "linux-6.1-breakpoint.rec")
SELF = str(REPOSITORY / "README.md")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("/no/such/file",), "cannot read the recording /no/such/file"),
        ((SELF,), "is not a recording"),
        ((REAL, "--stop", "0"), "'--stop'"),
        ((REAL, "--stop", "999"), "there is no stop 999"),
        ((REAL, "--modules", "/m"), "--vmlinux was not given"),
        ((REAL, "--vmlinux", SELF, "--stop", "2"), "begins at the first stop"),
        ((REAL, "--vmlinux", "/no/vmlinux", "--no-gdb"), "/no/vmlinux"),
        ((REAL, "--vmlinux", SELF, "--no-gdb"), "README.md"),
    ],
)
def test_what_cannot_be_replayed_is_one_clear_error(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NULLMODEM_CACHE", str(tmp_path))
    result = CliRunner().invoke(main, ["replay", *arguments])
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.exit_code in (1, 2)


def test_a_recording_that_cannot_be_made_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    file = tmp_path / "no" / "x.rec"
    with pytest.raises(UsageError, match=f"there is no directory {file.parent}"):
        check_new(file)
    file.parent.mkdir()
    check_new(file)
    file.touch()
    with pytest.raises(UsageError, match="exists already"):
        check_new(file)
    for command in (["run", "--no-gdb"], ["attach", "unix:/no/socket", "--no-gdb"]):
        result = CliRunner().invoke(main, [*command, "--record", str(file)])
        assert f"{file} exists already" in result.stderr
        assert result.exit_code == 2
