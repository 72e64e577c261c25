# SPDX-License-Identifier: Apache-2.0
"""The demonstration passes, on every kernel and with every gdb."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.kbuild import Kernel

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.slow]


def test_the_whole_session_runs_by_itself(repository: Path, kernel: Kernel, gdb_path: str) -> None:
    command = [sys.executable, str(repository / "demo" / "session.py"), "--kernel", kernel.name, "--gdb", gdb_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "simple_exit () at" in done.stdout
    assert "round trips" in done.stdout


def test_the_whole_session_runs_over_one_cable_with_a_terminal_server_between(repository: Path) -> None:
    command = [sys.executable, str(repository / "demo" / "serial_line.py"), "--kernel", "6.12"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "simple_exit () at" in done.stdout
    assert "simple: unloaded after 5 operations" in done.stdout
