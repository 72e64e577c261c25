# SPDX-License-Identifier: Apache-2.0
"""Finding a gdb, telling it what to do, and giving it the terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from nullmodem.errors import UsageError
from nullmodem.frontends.gdb.launch import AGAIN, Gdb, Invitation, command_line, find_gdb
from support.cli import ended
from support.gdb import debian, wheel

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = Path(__file__).resolve().parents[4] / "src"


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., str]:
    """A function that writes a shell script where PATH may lead, and returns its path."""

    def write(name: str, script: str, directory: str = "bin") -> str:
        path = tmp_path / directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory in PATH, and the one this Python is in."""
    directory = tmp_path / "bin"
    directory.mkdir(exist_ok=True)
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    return directory


def announces(version: str) -> str:
    return f"echo 'GNU gdb ({version}) {version}'"


def test_a_named_gdb_is_taken_by_path_or_from_path(program: Callable[..., str], only_path: Path) -> None:
    path = program("gdb-next", announces("Debian 15.2-1") + "; echo 'Copyright (C) 2024'")
    assert find_gdb(path) == Gdb(path, (15, 2))
    assert find_gdb("gdb-next") == Gdb(path, (15, 2))


def test_what_debian_and_others_put_into_a_version_is_read(program: Callable[..., str], only_path: Path) -> None:
    for text, version in {
        "GNU gdb (Debian 13.1-3) 13.1": (13, 1),
        "GNU gdb (GDB) 18.1": (18, 1),
        "GNU gdb (GDB) Fedora Linux 16.3-1.fc42": (16, 3),
        "GNU gdb (Ubuntu 12.1-0ubuntu1~22.04.2) 12.1": (12, 1),
        "GNU gdb (crosstool-NG 1.26.0.106_ed12fa6) 13.2": (13, 2),
        "GNU gdb (GDB) 17.0.50.20250718-git": (17, 0),
    }.items():
        path = program("gdb", f"echo '{text}'")
        assert find_gdb(path).version == version


def test_gdbs_are_looked_for_in_order(program: Callable[..., str], only_path: Path) -> None:
    beside = program("gdb", announces("18.1"), "venv")
    assert find_gdb().path == beside
    multiarch = program("gdb-multiarch", announces("13.1"))
    assert find_gdb().path == multiarch
    system = program("gdb", announces("14.1"))
    assert find_gdb().path == system


def test_one_that_does_not_do_is_passed_over(program: Callable[..., str], only_path: Path) -> None:
    program("gdb", announces("9.2"))
    with pytest.raises(UsageError, match=r"is gdb 9.2; 10.1 is the oldest that will do"):
        find_gdb()
    beside = program("gdb", announces("18.1"), "venv")
    assert find_gdb().path == beside


def test_no_gdb_at_all_says_how_to_get_one(only_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no gdb on this machine") as raised:
        find_gdb()
    assert "apt-get install gdb" in raised.value.hint
    assert "nullmodem[gdb]" in raised.value.hint


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("echo 'lldb version 14'", "is no gdb: asked for its version it said 'lldb version 14'"),
        ("echo 'ls 9.1'; echo 'Copyright'", "is no gdb: asked for its version it said 'ls 9.1'$"),
        ("exit 1", "is no gdb: asked for its version it said 'nothing'"),
        ("echo 'libpython3.11.so: cannot open' >&2; exit 127", "libpython3.11.so"),
    ],
)
def test_a_named_program_that_is_no_gdb_is_refused(
    program: Callable[..., str], only_path: Path, script: str, complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        find_gdb(program("gdb", script))


def test_a_named_gdb_that_is_not_there_is_refused(tmp_path: Path, only_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no gdb at"):
        find_gdb(str(tmp_path / "gdb"))
    with pytest.raises(UsageError, match="there is no program other-gdb in PATH"):
        find_gdb("other-gdb")
    broken = only_path / "gdb"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)
    with pytest.raises(UsageError, match="does not run"):
        find_gdb(str(broken))


def test_the_command_goes_to_init_and_lets_the_users_words_come_last() -> None:
    invitation = Invitation("/k/vmlinux", "/r/gdb.sock", "foo_init", "foo.c", ("foo.c:12", "bar"), ("-ex", "bt"))
    command = command_line(Gdb("/usr/bin/gdb", (13, 1)), invitation)
    assert command[:2] == ["/usr/bin/gdb", "-q"]
    vmlinux = command.index("/k/vmlinux")
    assert "set debuginfod enabled off" in command[:vmlinux]
    assert command[vmlinux + 1 :] == [
        *("-ex", "target remote /r/gdb.sock"),
        *("-ex", 'set $nullmodem_remote = "/r/gdb.sock"', "-x", str(AGAIN)),
        *("-ex", "with breakpoint pending on -- break foo.c:12"),
        *("-ex", "with breakpoint pending on -- break bar"),
        *("-ex", "tbreak -source foo.c -function foo_init"),
        *("-ex", "continue"),
        *("-ex", "bt"),
    ]


def test_only_the_kernels_index_comes_from_gdbs_cache() -> None:
    command = command_line(Gdb("gdb", (13, 1)), Invitation("v", "r"))
    on, off, remote = (
        command.index(word) for word in ("set index-cache enabled on", "set index-cache enabled off", "target remote r")
    )
    assert on < command.index("v")
    assert (command[on - 1], command[off - 1]) == ("-iex", "-ex")
    assert off < remote


def test_an_init_that_others_can_see_is_found_by_its_name_alone() -> None:
    command = command_line(Gdb("gdb", (13, 1)), Invitation("v", "r", "init_module"))
    assert "tbreak init_module" in command


def test_without_an_init_gdb_stays_where_the_target_stands() -> None:
    command = command_line(Gdb("gdb", (10, 1)), Invitation("v", "r"))
    assert not {"continue", "set debuginfod enabled off"} & set(command)


def test_settings_the_gdb_does_not_know_are_not_asked_of_it() -> None:
    old = command_line(Gdb("gdb", (10, 1)), Invitation("v", "r"))
    new = command_line(Gdb("gdb", (18, 1)), Invitation("v", "r"))
    assert "set debuginfod enabled off" not in old
    assert "set debuginfod enabled off" in new


@pytest.mark.gdb
@pytest.mark.parametrize("path", [debian, wheel])
def test_ctrl_c_while_gdb_connects_does_not_leave_it_without_a_target(path: Callable[[], str], tmp_path: Path) -> None:
    """A second one does: the user means it."""
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        address = str(tmp_path / "gdb.sock")
        listener.bind(address)
        listener.listen()
        listener.settimeout(30)
        command = command_line(find_gdb(path()), Invitation("/dev/null", address, arguments=("-ex", "echo over\\n")))
        gdb = pexpect.spawn(command[0], [*command[1:], "-nx"], timeout=30, use_poll=True, encoding="utf-8")
        stack.callback(gdb.close, force=True)
        for once_more in (True, False):
            connection, _address = listener.accept()
            stack.enter_context(connection)
            connection.settimeout(30)
            assert connection.recv(1)  # it waits for an answer
            gdb.sendintr()
            if once_more:
                gdb.expect_exact("once more (Ctrl-C ends that)")
        gdb.expect_exact("over")


# -- on a terminal -------------------------------------------------------------------------------------------------

FOREGROUND = """
import signal, sys, os
from nullmodem.frontends.gdb.launch import run_in_foreground
until = os.fdopen(int(sys.argv[1])) if sys.argv[1] != "-" else None
def end(number, frame):
    raise SystemExit(128 + number)
signal.signal(signal.SIGTERM, end)
code = run_in_foreground(["/bin/sh", "-c", sys.argv[2]], until, on_killed=lambda number: print("killed by", number))
print("code", code, "handler", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def on_terminal(script: str, until: str = "-") -> pexpect.spawn[str]:
    child = pexpect.spawn(
        sys.executable,
        ["-c", FOREGROUND, until, script],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        encoding="utf-8",
        timeout=30,
        use_poll=True,
    )
    child.delaybeforesend = None
    return child


def test_the_exit_status_is_handed_on() -> None:
    child = on_terminal("exit 7")
    child.expect_exact("code 7 handler True")
    child = on_terminal("kill -9 $$")
    child.expect_exact("killed by 9")
    child.expect_exact("code 137 handler True")


def test_one_that_we_ended_was_not_killed() -> None:
    child = on_terminal("echo ready; exec sleep 1000")
    child.expect_exact("ready")
    os.kill(child.pid, signal.SIGTERM)
    child.expect(pexpect.EOF)
    assert "killed" not in (child.before or "")


def test_it_does_not_outlive_us_when_we_are_killed() -> None:
    child = on_terminal("trap '' HUP; echo $$; exec sleep 1000")
    child.expect(r"(\d+)\r\n")
    assert child.match
    os.kill(child.pid, signal.SIGKILL)
    assert ended(int(child.match[1]))


def test_ctrl_c_is_the_childs_alone() -> None:
    child = on_terminal("trap 'echo mine; exit 3' INT; echo ready; while :; do read line; done")
    child.expect_exact("ready")
    child.sendintr()
    child.expect_exact("mine")
    child.expect_exact("code 3 handler True")


def test_a_child_that_ignores_nothing_is_ended_by_ctrl_c_as_usual() -> None:
    child = on_terminal("echo ready; exec sleep 1000")
    child.expect_exact("ready")
    child.sendintr()
    child.expect_exact("code 130")


def test_a_terminal_left_in_disorder_is_put_right() -> None:
    child = on_terminal("stty raw -echo; echo ready; kill -9 $$")
    child.expect_exact("ready")
    child.expect_exact("code 137")
    assert child.getecho()


def test_a_signal_for_us_ends_the_child_too() -> None:
    child = on_terminal("trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    child.expect_exact("ready")
    os.kill(child.pid, signal.SIGTERM)
    child.expect_exact("asked")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 128 + signal.SIGTERM


def test_what_ends_it_from_elsewhere_asks_the_child_first() -> None:
    reader, writer = os.pipe()
    script = "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    child = subprocess.Popen(
        [sys.executable, "-c", FOREGROUND, str(reader), script],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        pass_fds=[reader],
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(reader)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    os.close(writer)
    out, _ = child.communicate(timeout=30)
    assert out == "asked\ncode 5 handler True\n"


def test_a_program_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    script = "from nullmodem.frontends.gdb.launch import run_in_foreground\nrun_in_foreground(['/nothing/gdb'])"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "UsageError: cannot start /nothing/gdb: there is no such program" in result.stderr
