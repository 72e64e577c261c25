# SPDX-License-Identifier: Apache-2.0
"""`gdbstart` in the shells it may meet. What it does on a machine is tried on real ones: tests/vm/test_gdbstart.py."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.gdbstart import program

if TYPE_CHECKING:
    from pathlib import Path

SHELLS = [("dash",), ("busybox", "sh"), ("bash", "--posix")]


@pytest.mark.parametrize("shell", SHELLS, ids=[shell[0] for shell in SHELLS])
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("-h",), 0, "usage: gdbstart"),
        (("-q",), 2, "usage: gdbstart"),
        (("-s",), 2, "usage: gdbstart"),
        (("-s", "0115200"), 2, "is no speed"),
        (("-s", "38400;"), 2, "is no speed"),
        (("-t", "ttyS0", "more"), 2, "what is 'more'?"),
    ],
)
def test_a_wrong_command_ends_with_2_in_every_shell(
    shell: tuple[str, ...], arguments: tuple[str, ...], code: int, words: str
) -> None:
    result = subprocess.run(
        [*shell, "-s", "--", *arguments], input=program(), capture_output=True, text=True, check=False
    )
    assert result.returncode == code
    assert words in (result.stdout if code == 0 else result.stderr)


def test_shellcheck_has_no_complaint(tmp_path: Path) -> None:
    assert shutil.which("shellcheck"), "shellcheck is missing: apt install shellcheck"
    file = tmp_path / "gdbstart"
    file.write_text(program())
    result = subprocess.run(["shellcheck", "--shell=sh", str(file)], capture_output=True, text=True, check=False)
    assert result.stdout == ""
    assert result.returncode == 0
