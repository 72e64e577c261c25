# SPDX-License-Identifier: Apache-2.0
"""`nullmodem bench`, as its user runs it, with a scenario of the user's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.gdb import debian

if TYPE_CHECKING:
    from pathlib import Path

    from support.cli import Cli

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.slow]

SCENARIO = """
[[operation]]
name = "look"
title = "look at the kernel"

[[scenario]]
name = "mine"
steps = [
  "attach",
  { do = "gdb x/40xg &init_task", count = "look", expect = "<init_task+" },
  "leave",
]
"""


def test_both_sides_are_measured_over_a_slow_line(cli: Cli, tmp_path: Path) -> None:
    file, picture = tmp_path / "mine.toml", tmp_path / "mine.svg"
    file.write_text(SCENARIO)
    arguments = ["--scenarios", str(file), "--gdb", debian(), "--svg", str(picture), "--json"]
    result = cli("bench", *arguments, timeout=110)
    assert result.returncode == 0, result.stderr
    assert "nullmodem: gdb 13.1: plain" in result.stderr
    (report,) = json.loads(result.stdout)
    assert report["measured_over_baud"] == 115200
    (look,) = report["operations"]
    for side in ("plain", "nullmodem"):
        modelled = look[side]["modelled_seconds"]["115200"]["0 ms"]
        print(side, look[side]["measured_seconds"], modelled)
        assert look[side]["measured_seconds"] >= modelled > 0
    assert look["trip_ratio"] < 0.5
    assert "<svg" in picture.read_text()
