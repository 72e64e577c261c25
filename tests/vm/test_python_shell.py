# SPDX-License-Identifier: Apache-2.0
"""`nullmodem shell` and `nullmodem script`: Python in a running session, from other processes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pexpect
import pytest

from support.cli import Cli, Served, finish, plain
from support.gdb import Gdb, debian, quick_start
from support.modules import copy_module

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.vm

AT_READ = 'target.break_at("simple_read").wait(after=lambda: target.start("dd if=/dev/simple bs=3 count=1"))'


@dataclass(frozen=True, slots=True)
class Shared:
    """A session that the tests of this file share, with a module loaded."""

    cli: Cli
    served: Served
    source: Path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    source = copy_module("simple", tmp_path_factory.mktemp("shell"))
    with Cli() as program:
        served = program.serve(str(source))
        program.good("load", "simple")
        yield Shared(program, served, source)


def state(cli: Cli) -> str:
    return str(cli.facts("status")["target"]["state"])


def script(shared: Shared, path: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path.write_text(text)
    return shared.cli("script", str(path), *arguments)


def test_a_script_has_the_target_its_arguments_and_its_exit_code(shared: Shared, tmp_path: Path) -> None:
    text = f"""
import sys
stop = {AT_READ}
print(stop.frame.function, int(stop.frame["size"]), sys.argv[1:], __name__)
print(prog["init_task"].comm.string_().decode(), len(list(for_each_task())) > 5, file=sys.stderr)
sys.exit(7)
"""
    result = script(shared, tmp_path / "check.py", text, "--verbose", "x")
    assert result.returncode == 7, result.stderr
    assert result.stdout == "simple_read 3 ['--verbose', 'x'] __main__\nswapper/0 True\n"
    assert state(shared.cli) == "running"  # and its breakpoint is lifted
    assert shared.cli.good("exec", "--", "cat", "/dev/simple") == "hello"


def test_code_of_user_space_is_called_so(shared: Shared, tmp_path: Path) -> None:
    text = """
busy = target.run("sh -c 'while :; do :; done' </dev/null >/dev/null 2>&1 & echo $!").text.strip()
for _ in range(10):  # it may meet the kernel in something else
    frames = [str(frame) for frame in target.interrupt().stack]
    target.continue_()
    if "user space" in frames[-1]:
        break
print(*frames, sep="\\n")
target.run(f"kill {busy}")
"""
    result = script(shared, tmp_path / "user.py", text)
    assert result.returncode == 0, result.stdout
    assert re.search(r"^#\d+ 0x[0-9a-f]+ at user space$", result.stdout, re.MULTILINE), result.stdout
    assert " at vmlinux" not in result.stdout


@pytest.mark.gdb
def test_a_target_that_stands_at_a_debugger_is_left_there(shared: Shared, tmp_path: Path) -> None:
    """The gdb has attached, and not yet asked for the right to have it go on: nothing else keeps it."""
    look = "print(stop)\nbreakpoint_ = target.break_at('simple_read')\n"
    with Gdb(debian(), *quick_start(debian()), "-ex", shared.served.file_line, "-ex", shared.served.target_line) as gdb:
        there = shared.cli.facts("status")["target"]
        assert (there["state"], there["clients"][0]["holds"]) == ("stopped", False)
        result = script(shared, tmp_path / "look.py", look)
        assert result.stdout.startswith(f"<Stop {there['stop']['number']}: interrupt at "), result.stdout
        result = shared.cli("shell", "--running", text="stop\n")
        assert result.stdout.startswith(f"<Stop {there['stop']['number']}: interrupt at "), result.stdout
        assert shared.cli.facts("status")["target"]["stop"] == there["stop"]
        gdb("detach")
    assert shared.cli.good("exec", "--", "cat", "/dev/simple") == "hello"


def test_an_exception_shows_the_scripts_own_lines(shared: Shared, tmp_path: Path) -> None:
    result = script(shared, tmp_path / "bad.py", "def look():\n    target.break_at('simple_raed')\n\nlook()\n")
    assert result.returncode == 2
    assert 'bad.py", line 2, in look' in result.stdout
    assert "UnknownPlace: there is no function 'simple_raed'" in result.stdout
    assert "nullmodem/frontends" not in result.stdout
    result = script(shared, tmp_path / "in.py", "input()\n")
    assert (result.returncode, "input() has nobody to ask" in result.stdout) == (2, True)


def test_a_shell_runs_what_is_typed_on_a_stopped_target(shared: Shared) -> None:
    lines = [
        "stop is not None",
        "for i in range(2):",
        "    print('line', i)",
        "",
        "prog['simple_count']",
        "stop.pc == 1",
    ]
    result = shared.cli("shell", text="\n".join([*lines, "1/0", "'after'", "exit(3)"]) + "\n")
    assert result.returncode == 3, result.stderr
    assert result.stdout.startswith("True\nline 0\nline 1\n(int)")
    assert "False\nTraceback (most recent call last):\n" in result.stdout
    assert result.stdout.endswith("ZeroDivisionError: division by zero\n'after'\n")
    assert state(shared.cli) == "running"


def test_a_shell_on_a_terminal_completes_remembers_and_is_interrupted(shared: Shared) -> None:
    child = shared.cli.terminal("shell")
    child.expect("nullmodem .* with drgn's helpers")
    child.expect_exact("stands (interrupt) at ")
    child.expect(">>> ")
    child.send("target.interr\t")
    child.expect_exact("target.interrupt(")
    child.sendline(")")
    child.expect("<Stop [0-9]+: interrupt at ")
    child.expect(">>> ")
    child.sendline(f"stop = {AT_READ}")
    child.expect("\r\n.*>>> ")
    child.sendline("stop.frame['size']")
    child.expect_exact("(size_t)3")
    child.expect(">>> ")
    child.sendline(r"exec('print(\'now\', \'looping\')\nwhile True: pass')")
    child.expect_exact("now looping\r\n")  # what is typed before it runs is the prompt's own
    child.sendintr()
    child.expect("KeyboardInterrupt")
    child.expect(">>> ")
    # What waits is ended at once, too, and not when it would have stopped waiting. It waits by the time a command of
    # another process has run: the first is told when the target runs, the second writes only to who reads.
    child.sendline("target.wait(after=lambda: print('now', 'waiting'), timeout=600)")
    child.expect_exact("now waiting\r\n")
    shared.cli.good("exec", "--", "mkfifo", "/tmp/here", "/tmp/gate")
    child.sendintr()
    child.expect("KeyboardInterrupt")
    child.expect(">>> ")
    child.sendline("target.run('echo >/tmp/here; cat /tmp/gate', timeout=600)")
    shared.cli.good("exec", "--", "cat", "/tmp/here")
    child.sendintr()
    child.expect("KeyboardInterrupt")
    child.expect(">>> ")
    child.sendline("target.run('echo open >/tmp/gate').code")
    child.expect_exact("0\r\n")  # the command was there, and has ended now
    child.sendcontrol("d")
    assert finish(child) == 0
    assert state(shared.cli) == "running"
    history = shared.cli.runtime / ".local" / "state" / "nullmodem" / "python_history"
    assert "target.interrupt()" in history.read_text()


def test_two_shells_see_their_own_names_and_a_killed_one_leaves_nothing(shared: Shared) -> None:
    first, second = shared.cli.terminal("shell", "--running"), shared.cli.terminal("shell", "--running")
    for child in (first, second):
        child.expect_exact("The target runs")
        child.expect(">>> ")
    first.sendline("mine = 1; breakpoint_ = target.break_at('simple_read')")
    first.expect("\r\n.*>>> ")
    second.sendline("'mine' in globals(), target.breakpoints")
    second.expect_exact("(False, ())")
    first.sendline("print('now', 'waiting'); target.wait(timeout=600)")
    first.expect_exact("now waiting\r\n")
    first.close(force=True)
    second.sendcontrol("d")
    assert finish(second) == 0
    result = shared.cli("exec", "--", "cat", "/dev/simple", timeout=30)
    assert (result.returncode, result.stdout) == (0, "hello")


@pytest.mark.soak
def test_a_shell_boots_a_machine_for_a_path_and_ends_with_it(shared: Shared) -> None:
    with Cli() as alone:
        child = alone.terminal("shell", str(shared.source))
        child.expect(">>> ", timeout=120)
        assert "simple" in plain(alone.good("modules"))
        child.sendline("target.modules")
        child.expect_exact("('simple',)")
        child.sendline("exit()")
        assert finish(child) == 0
        assert alone.facts("list") == []
        child = alone.terminal("shell", str(shared.source))
        child.expect(">>> ", timeout=120)
        alone.good("stop")
        child.expect_exact("was ended from elsewhere")
        child.expect(pexpect.EOF)


@pytest.mark.soak
def test_a_script_boots_a_machine_for_a_module_and_its_exit_code_is_for_ci(shared: Shared, tmp_path: Path) -> None:
    path = tmp_path / "check.py"
    path.write_text(f"stop = {AT_READ}\nassert stop.frame['size'] == 4, 'too short'\n")
    with Cli() as alone:
        result = alone("script", "--module", str(shared.source), "--kernel", "6.12", str(path), timeout=120)
        assert result.returncode == 1
        assert "AssertionError: too short" in result.stdout
        assert "Traceback" not in result.stderr
        path.write_text("print(target.modules)\n")
        result = alone("script", "--boot", str(path), timeout=120)
        assert (result.returncode, result.stdout) == (0, "()\n")
