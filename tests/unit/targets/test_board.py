# SPDX-License-Identifier: Apache-2.0
"""A machine with nothing but a shell on its console: one command at a time, which can be ended all the same."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import TargetError
from nullmodem.targets import console_shell
from nullmodem.targets.board import BoardTarget
from nullmodem.targets.break_in import BreakInWays
from nullmodem.targets.console_shell import ConsoleShell
from support.desk import desk
from support.lines import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.desk import Desk

__all__ = ["desk"]

SECONDS = 30.0


@pytest.fixture
def board(desk: Desk) -> Iterator[BoardTarget]:
    made = BoardTarget(BreakInWays([], None), desk.console, ConsoleShell(desk.console), contextlib.ExitStack())
    yield made
    made.close()


def wait_for(desk: Desk, path: Path) -> None:
    """Until a command has said in a file that it runs."""
    desk.console.wait("it runs", SECONDS, since=0)
    assert path.exists()


def has_ended(process: str) -> bool:
    """Whether it is gone, or nobody has asked yet how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].startswith(("Z", "X"))
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize("deaf", [False, True])
def test_a_command_that_does_not_end_is_ended_and_the_next_one_runs(
    board: BoardTarget, desk: Desk, tmp_path: Path, deaf: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_shell, "LEAVE_SECONDS", 0.5)
    group, process = tmp_path / "group", tmp_path / "process"
    trap = "trap '' INT TERM; " if deaf else ""
    endless = f"{trap}echo $$ >{process}; echo it ''runs; while :; do sleep 100; done"
    with ThreadPoolExecutor(1) as other:
        running = other.submit(board.exec, board.in_group(endless, str(group)))
        wait_for(desk, process)
        board.end_group(str(group))
        assert running.result(SECONDS).code in (130, 148), "ended, or stopped first"
        # A terminal shows the key, and what was typed behind it, unless the shell has the line again before.
        assert running.result().text.split()[:2] == ["it", "runs"]
    until(lambda: has_ended(process.read_text().strip()), "its processes have ended")
    assert not group.exists()
    assert board.exec("echo the next").check().text.strip() == "the next"
    assert board.still_running(0) == ()


def test_one_that_waits_for_its_turn_does_not_begin_and_the_one_before_it_goes_on(
    board: BoardTarget, desk: Desk, tmp_path: Path
) -> None:
    first, second, process, goes = (tmp_path / name for name in ("first", "second", "process", "goes"))
    with ThreadPoolExecutor(3) as others:
        waits = f"echo $$ >{process}; echo it ''runs; until [ -e {goes} ]; do sleep 0.05; done; echo done"
        before = others.submit(board.exec, board.in_group(waits, str(first)))
        wait_for(desk, process)
        behind = others.submit(board.exec, board.in_group(f"touch {tmp_path}/begun", str(second)))
        ending = others.submit(board.end_group, str(second))
        with pytest.raises(TargetError, match="busy with another command"):
            board._shell.exec("true", timeout=0.2)  # type: ignore[union-attr]
        while not board._shell._left:  # type: ignore[union-attr]
            assert not ending.done()
        goes.touch()
        assert before.result(SECONDS).check().text.split() == ["it", "runs", "done"]
        with pytest.raises(TargetError, match="was ended before its turn came"):
            behind.result(SECONDS)
        ending.result(SECONDS)
    assert not (tmp_path / "begun").exists()


def test_what_has_ended_by_itself_is_no_error(board: BoardTarget, tmp_path: Path) -> None:
    group = tmp_path / "group"
    assert board.exec(board.in_group("exit 3", str(group))).code == 3
    board.end_group(str(group))
    assert board.exec("echo still there").check().text.strip() == "still there"
