# SPDX-License-Identifier: Apache-2.0
"""`nullmodem run` on a terminal: gdb's own dialogue, from the first line of init to whatever ends it."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from nullmodem.kbuild import build_module, ensure_kernel
from support.cli import PROMPT, Cli, ask, children, ended, finish, plain
from support.gdb import EVERY_KERNEL_ONE_GDB

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.vm, pytest.mark.gdb]


def first_lines(source: Path) -> dict[int, str]:
    """Numbers and texts of the lines that may be first in simple_init: where it opens, and its first statement.

    Which of them it is depends on the code the compiler made for entering a function of that kernel.
    """
    lines = source.read_text(encoding="utf-8").splitlines()
    at = lines.index("static int __init simple_init(void)") + 1
    return {number + 1: lines[number].strip() for number in (at, at + 1)}


def at_init(cli: Cli, *arguments: str) -> tuple[pexpect.spawn[str], str]:
    """`run` with these arguments, when gdb shows its first prompt, and what was on the terminal before that."""
    child = cli.terminal("run", *arguments)
    child.expect(PROMPT)
    return child, plain(child.before or "")


def quit_gdb(child: pexpect.spawn[str]) -> int:
    """Leave gdb as a user does."""
    child.sendline("quit")
    child.expect_exact("(y or n)")
    child.sendline("y")
    return finish(child)


@pytest.mark.parametrize(
    ("kernel", "path"), [pytest.param(*case.values[0], id=case.id) for case in EVERY_KERNEL_ONE_GDB]
)
def test_gdb_stands_on_the_first_line_of_init_and_goes_on_from_there(
    cli: Cli, simple: Path, kernel: str, path: Callable[[], str]
) -> None:
    child, shown = at_init(cli, str(simple), "--kernel", kernel, "--gdb", path(), "--init-args", "greeting=hello")
    machines = children(child.pid)
    stop = re.search(r"Temporary breakpoint 1, simple_init \(\) at .*simple\.c:(\d+)\n(\d+)\s+(.*)\n", shown)
    assert stop
    assert stop[1] == stop[2]
    assert (int(stop[1]), stop[3].strip()) in first_lines(simple / "simple.c").items()
    assert "warning" not in shown
    assert "do_init_module (mod=" in ask(child, "backtrace")
    assert "= 0" in ask(child, "print simple_length")
    for _ in range(4):
        if "simple_remember" in ask(child, "next"):
            break
    assert "simple_remember (text=" in ask(child, "step")
    assert '"hello"' in ask(child, "print text")
    assert "Value returned is $" in ask(child, "finish")
    child.sendline("continue")
    child.expect_exact("Continuing.")
    assert cli.good("exec", "cat /dev/simple") == "hello"
    child.sendintr()
    child.expect("received signal SIGINT")
    child.expect(PROMPT)
    assert quit_gdb(child) == 0
    assert all(ended(pid) for pid in machines)
    assert cli.facts("list") == []


def test_breakpoints_and_arguments_for_gdb_are_the_users(cli: Cli, built: str) -> None:
    arguments = ["--init-args", 'greeting="two words"', "--break", "simple_exit", "--break", "not_there_yet"]
    child, shown = at_init(cli, built, *arguments, "--", "-nx", "-ex", "print 6*7", "-ex", "print greeting")
    assert "$1 = 42" in shown
    assert '"two words"' in shown
    assert "Breakpoint 2 (not_there_yet) pending" in shown
    assert "simple_exit" in ask(child, "info breakpoints")
    assert quit_gdb(child) == 0


def test_a_single_c_file_and_a_built_module_will_do(cli: Cli, simple: Path) -> None:
    child, shown = at_init(cli, str(simple / "simple.c"), "--session", "one")
    assert f"simple_init () at {simple / 'simple.c'}:" in shown
    assert quit_gdb(child) == 0
    child, shown = at_init(cli, str(build_module(simple, ensure_kernel(), simple.parent / "build").ko))
    assert f"simple_init () at {simple / 'simple.c'}:" in shown
    assert quit_gdb(child) == 0


def test_one_more_gdb_sees_the_same_stop(cli: Cli, built: str) -> None:
    child, _shown = at_init(cli, built)
    ask(child, "backtrace 1")
    trips = cli.facts("status")["target"]["wire"]["round_trips"]
    result = cli("gdb", "--", "-batch", "-ex", "backtrace 1")
    assert result.returncode == 0
    assert "simple_init () at" in result.stdout
    assert cli.facts("status")["target"]["wire"]["round_trips"] - trips < 5
    clients = cli.facts("status")["target"]["clients"]
    assert [(client["name"], client["holds"]) for client in clients] == [("gdb", True)]
    assert quit_gdb(child) == 0


def test_a_module_without_init_is_shown_where_the_kernel_would_call_it(
    cli: Cli, module_source: Callable[[str], Path]
) -> None:
    child, shown = at_init(cli, str(module_source("noinit")))
    assert "noinit has no init function" in shown
    assert "do_init_module (mod=" in shown
    assert "noinit_value" in ask(child, "info variables noinit_value")
    assert quit_gdb(child) == 0


def test_an_init_that_fails_is_reported_in_gdb(cli: Cli, module_source: Callable[[str], Path]) -> None:
    child, shown = at_init(cli, str(module_source("failinit")))
    assert "failinit_init () at" in shown
    child.sendline("continue")
    child.expect_exact("No such device")
    child.sendintr()
    child.expect(PROMPT)
    assert "No shared libraries" in ask(child, "info sharedlibrary")
    assert quit_gdb(child) == 0


def test_a_module_the_kernel_refuses_ends_the_session_with_its_reason(
    cli: Cli, module_source: Callable[[str], Path]
) -> None:
    child = cli.terminal("run", str(module_source("failinit")), "--init-args", "error=none")
    child.expect("failinit was not loaded: .*EINVAL")
    assert finish(child) == 1
    assert cli.facts("list") == []


def test_a_target_without_a_module_is_shown_where_it_was(cli: Cli, module_source: Callable[[str], Path]) -> None:
    child, _shown = at_init(cli, "--break", "panic")
    assert "panic" in ask(child, "info breakpoints")
    # Idle, or in an interrupt; never in the debugger's own entry.
    frames = ask(child, "backtrace")
    assert "#0" in frames
    assert "kgdb_breakpoint" not in frames
    child.sendline("continue")
    child.expect_exact("Continuing.")
    assert "simple is loaded" in cli.good("load", str(module_source("simple")))
    child.sendintr()
    child.expect(PROMPT)
    assert "simple.ko" in ask(child, "info sharedlibrary")
    assert quit_gdb(child) == 0


def test_the_session_outlives_gdb_when_asked_to(cli: Cli, built: str) -> None:
    child, _shown = at_init(cli, built, "--keep")
    child.sendline("quit")
    child.expect_exact("(y or n)")
    child.sendline("y")
    child.expect(r"target remote (\S+)")
    assert cli.good("exec", "cat /dev/simple") == "hello"
    child.sendintr()
    assert finish(child) == 0
    assert cli.facts("list") == []


def test_stop_from_elsewhere_ends_gdb_and_leaves_the_terminal_in_order(cli: Cli, built: str) -> None:
    child, _shown = at_init(cli, built)
    machines = children(child.pid)
    assert cli.good("stop") == "simple has ended\n"
    child.expect_exact("ended from elsewhere")
    assert finish(child) == 0
    assert child.getecho()
    assert all(ended(pid, 0) for pid in machines)


def test_a_machine_that_dies_is_told_of_after_gdb(cli: Cli, built: str) -> None:
    child, _shown = at_init(cli, built)
    (machine,) = (pid for pid in children(child.pid) if "qemu" in Path(f"/proc/{pid}/comm").read_text())
    child.sendline("continue")
    child.expect_exact("Continuing.")
    os.kill(machine, signal.SIGKILL)
    child.expect(PROMPT)
    child.sendline("quit")
    child.expect_exact("the target has ended: QEMU's exit status is -9")
    assert finish(child) == 1


def test_a_gdb_that_is_killed_ends_the_session_and_the_terminal_has_its_echo(cli: Cli, built: str) -> None:
    child, _shown = at_init(cli, built)
    processes = children(child.pid)
    (gdb,) = (pid for pid in processes if "gdb" in Path(f"/proc/{pid}/comm").read_text())
    os.kill(gdb, signal.SIGKILL)
    assert finish(child) == 137
    assert child.getecho()
    assert all(ended(pid) for pid in processes)
    assert cli.facts("list") == []


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.soak), signal.SIGKILL]
)
def test_whatever_ends_the_session_ends_gdb_and_the_machine(cli: Cli, built: str, number: signal.Signals) -> None:
    child, _shown = at_init(cli, built)
    (machine,) = (pid for pid in children(child.pid) if "qemu" in Path(f"/proc/{pid}/comm").read_text())
    os.kill(child.pid, number)
    if number is signal.SIGKILL:  # gdb is on the terminal still, and finds the other end closed; or the SIGHUP
        # that a session leader's end brings has come before
        child.sendline("stepi")
        child.expect(["Remote connection closed|Broken pipe|Connection reset", pexpect.EOF])
        child.close(force=True)
    else:
        assert finish(child) == 128 + number
        assert child.getecho()
    assert ended(machine)
    assert cli.facts("list") == []


def test_a_terminal_that_closes_leaves_nothing_running(cli: Cli, built: str) -> None:
    child, _shown = at_init(cli, built)
    processes = [child.pid, *children(child.pid)]
    child.ptyproc.fileobj.close()  # the window is gone; the kernel sends SIGHUP
    child.closed = child.ptyproc.closed = True
    assert all(ended(pid) for pid in processes[1:])
    child.wait()
    assert cli.facts("list") == []


def test_ctrl_c_before_gdb_runs_ends_everything(cli: Cli, simple: Path) -> None:
    child = cli.terminal("run", str(simple))
    child.expect_exact("booting")
    machines = children(child.pid)
    child.sendintr()
    assert finish(child) == 130
    assert "Traceback" not in plain(child.before or "")
    assert all(ended(pid) for pid in machines)
    assert cli.facts("list") == []
