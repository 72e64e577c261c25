# SPDX-License-Identifier: Apache-2.0
"""The tutorial about a race: its test finds the bug of the example, and passes with the fix that the page shows."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from nullmodem.kbuild import cache_root
from support.modules import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = "pytester"
pytestmark = [pytest.mark.vm, pytest.mark.soak]

CACHE = str(cache_root())
PAGE = REPOSITORY / "docs" / "tutorial-race.md"


def fix(source: Path) -> None:
    """Apply the page's change to a file."""
    shown = re.search(r"```diff\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    lines = [line for line in shown[1].splitlines() if not line.startswith(("---", "+++", "@@"))]
    before = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    after = "\n".join(line[1:] for line in lines if not line.startswith("-"))
    text = source.read_text(encoding="utf-8")
    assert text.count(before) == 1
    source.write_text(text.replace(before, after), encoding="utf-8")


def test_the_race_is_caught_and_the_fix_passes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULLMODEM_CACHE", CACHE)
    for name in ("a_fixed", "buggy"):  # in this order, one boot does for both
        shutil.copytree(REPOSITORY / "examples" / "mailbox", pytester.path / name)
    fix(pytester.path / "a_fixed" / "mailbox.c")
    result = pytester.run(
        *(sys.executable, "-m", "pytest", f"--basetemp={pytester.path / 'runpytest'}", "-p", "no:xdist", "-v"),
        *("--import-mode=importlib", "a_fixed", "buggy"),
        timeout=110,
    )
    result.assert_outcomes(passed=3, failed=1)
    text = result.stdout.str()
    assert text.count("nullmodem: booting Linux") == 1
    assert re.search(r"a_fixed/\S*test_an_open_that_meets_the_last_close\S* PASSED", text)
    assert re.search(r"buggy/\S*test_an_open_that_meets_the_last_close\S* FAILED", text)
    assert "stopped (fault) at " in text
    assert re.search(r"^#\d+ mailbox_write at buggy/mailbox\.c:\d+$", text, re.MULTILINE)
    assert "kernel report: BUG: kernel NULL pointer dereference" in text
