# SPDX-License-Identifier: Apache-2.0
"""Every way a served session comes to its end, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from support.cli import Cli, ended

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_session_that_is_told_to_end_leaves_nothing_behind(cli: Cli, built: str, number: signal.Signals) -> None:
    served = cli.serve(built)
    machine = served.machine
    work = Path(json.loads((cli.runtime / "nullmodem" / "simple" / "session.json").read_text())["workdir"])
    assert work.stat().st_mode & 0o077 == 0
    code, complaint = served.end(number)
    assert code == {signal.SIGINT: 0}.get(number, 128 + number)
    assert "Traceback" not in complaint
    assert ended(machine)
    assert not work.exists()
    assert cli.facts("list") == []
    assert "no session is running" in cli.bad("status", code=2)


def test_stop_returns_when_the_session_has_ended(cli: Cli, built: str) -> None:
    served = cli.serve(built)
    machine = served.machine
    assert cli.good("stop") == "simple has ended\n"
    assert ended(machine, 0)
    assert ended(served.process.pid, 10)
    code, complaint = served.wait()
    assert code == 0
    assert "ended from elsewhere" in complaint
    assert "no session is running" in cli.bad("stop", code=2)


def test_several_sessions_are_told_apart_by_name(cli: Cli, built: str) -> None:
    cli.serve(built)
    cli.serve(built)
    assert [entry["name"] for entry in cli.facts("list")] == ["simple", "simple-2"]
    complaint = cli.bad("status", code=2)
    assert "simple, simple-2" in complaint
    assert "--session" in complaint
    assert cli.facts("status", "--session", "simple-2")["name"] == "simple-2"
    assert "no session 'other' is running" in cli.bad("status", "-s", "other", code=2)
    assert "is running already" in cli.bad("run", built, "--no-gdb", "-s", "simple-2", code=2)
    assert cli.good("stop", "--all") == "simple has ended\nsimple-2 has ended\n"


def test_a_session_that_is_killed_is_missed_at_once_and_cleaned_up_by_the_next(cli: Cli, built: str) -> None:
    served = cli.serve(built)
    machine = served.machine
    work = Path(json.loads((cli.runtime / "nullmodem" / "simple" / "session.json").read_text())["workdir"])
    waiting = cli.start("exec", "echo begun; exec sleep 1000")
    assert waiting.stdout is not None
    waiting.stdout.readline()
    assert work.exists()
    served.end(signal.SIGKILL)
    _out, complaint = waiting.communicate(timeout=20)
    assert waiting.returncode == 1
    assert "ended before it had answered" in complaint
    assert ended(machine)
    assert cli.facts("list") == []
    assert "no session is running" in cli.bad("status", code=2)
    cli.serve(built)
    assert [entry["name"] for entry in cli.facts("list")] == ["simple"]
    assert not work.exists()


def test_a_machine_that_dies_ends_the_session_with_the_reason(cli: Cli, built: str) -> None:
    served = cli.serve(built)
    waiting = cli.start("exec", "echo begun; exec sleep 1000")
    assert waiting.stdout is not None
    waiting.stdout.readline()
    os.kill(served.machine, signal.SIGKILL)
    code, complaint = served.wait()
    assert code == 1
    assert "the target has ended" in complaint
    _out, complaint = waiting.communicate(timeout=20)
    assert waiting.returncode == 1
    assert "nullmodem: " in complaint
    assert cli.facts("list") == []
