# SPDX-License-Identifier: Apache-2.0
"""A child that never outlives its parent."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nullmodem.errors import TargetError
from nullmodem.targets.process import Child
from nullmodem.waiting import wait_readable

# Starts a sleeping child from a thread that then ends, prints its pid, and waits to be killed.
PARENT = """
import sys, threading
from pathlib import Path
from nullmodem.targets.process import Child

def start():
    child = Child(["/bin/sleep", "1000"], pass_fds=(), log=Path(sys.argv[1]), on_exit=print)
    print(child.pid, flush=True)

thread = threading.Thread(target=start)
thread.start()
thread.join()
sys.stdin.read()
"""


def run(argv: list[str], log: Path, pass_fds: tuple[int, ...] = ()) -> tuple[Child, queue.SimpleQueue[int]]:
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()
    return Child(argv, pass_fds=pass_fds, log=log, on_exit=codes.put), codes


def test_its_end_is_told_once_with_its_exit_status(tmp_path: Path) -> None:
    child, codes = run(["/bin/sh", "-c", "echo said; echo warned >&2; exit 7"], tmp_path / "log")
    assert codes.get(timeout=10) == 7
    assert child.join(10)
    assert child.exit_code == 7
    assert codes.empty()
    assert (tmp_path / "log").read_text() == "said\nwarned\n"


def test_killing_it_kills_its_whole_session(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    child, codes = run(["/bin/sh", "-c", "sleep 1000 & sleep 1000"], tmp_path / "log", (writer,))
    os.close(writer)
    assert child.exit_code is None
    child.kill()
    assert codes.get(timeout=10) == -signal.SIGKILL
    # End of file: nobody holds the pipe's other end any more.
    assert wait_readable([reader], 10)
    assert os.read(reader, 1) == b""
    os.close(reader)
    child.kill()


def test_it_stands_back_for_the_processor_by_as_much_as_it_is_told_to(tmp_path: Path) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    for nice in (0, 5):
        child = Child(["/bin/sleep", "1000"], pass_fds=(), log=tmp_path / "log", on_exit=lambda _code: None, nice=nice)
        try:
            assert os.getpriority(os.PRIO_PROCESS, child.pid) == min(ours + nice, 19)
            group = Path(f"/proc/{child.pid}/autogroup")
            if group.exists() and os.geteuid() == 0:  # others may write it ten times a second, all together
                assert group.read_text().endswith(f"nice {nice}\n")
        finally:
            child.kill()


def test_it_can_be_killed_from_its_own_exit_callback(tmp_path: Path) -> None:
    done = threading.Event()
    children: queue.SimpleQueue[Child] = queue.SimpleQueue()

    def exited(code: int) -> None:
        children.get(timeout=10).kill()
        done.set()

    children.put(Child(["/bin/true"], pass_fds=(), log=tmp_path / "log", on_exit=exited))
    assert done.wait(10)


def test_it_is_in_a_session_of_its_own(tmp_path: Path) -> None:
    child, _ = run(["/bin/sleep", "1000"], tmp_path / "log")
    assert os.getsid(child.pid) == child.pid
    child.kill()


def test_it_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        # It outlives the thread that asked for it.
        watch = os.pidfd_open(pid)
        assert not wait_readable([watch], 0.2)
        parent.kill()
        assert wait_readable([watch], 10)
        os.close(watch)


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="cannot start /bin/true"):
        run(["/bin/true"], tmp_path / "no" / "log")
