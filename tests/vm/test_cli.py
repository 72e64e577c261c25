# SPDX-License-Identifier: Apache-2.0
"""A session served without a gdb, and every command that another terminal has for it."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.cli import Cli, plain
from support.gdb import Gdb, debian, quick_start
from support.modules import copy_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.cli import Served

pytestmark = pytest.mark.vm


@dataclass(frozen=True, slots=True)
class Shared:
    """A session that the tests of this file share."""

    cli: Cli
    served: Served
    simple: Path


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    source = copy_module("simple", tmp_path_factory.mktemp("shared"))
    with Cli() as program:
        yield Shared(program, program.serve(str(source), "--session", "mine"), source)


@pytest.fixture
def shared(once: Shared) -> Iterator[Shared]:
    """It runs, and no module is loaded."""
    yield once
    assert once.cli.facts("status")["target"]["state"] == "running"
    if once.cli.facts("modules"):
        once.cli.good("unload", "simple")


def test_the_two_lines_are_all_an_unmodified_gdb_needs(shared: Shared) -> None:
    cli, served = shared.cli, shared.served
    assert served.file_line.startswith("file /")
    assert served.target_line.startswith("target remote /")
    with Gdb(debian(), "-ex", served.file_line) as gdb:
        for remote in (served.target_line, served.target_line.replace("remote", "extended-remote")):
            gdb(remote)
            assert "init_task" in gdb("print &init_task")
            gdb("detach")
            assert cli.facts("status")["target"]["state"] == "running"


def test_facts_are_told_to_people_and_to_programs(shared: Shared) -> None:
    cli, served, simple = shared.cli, shared.served, shared.simple
    status = cli.facts("status")
    assert (status["name"], status["module"], status["kernel"]) == ("mine", "simple", "6.1")
    assert status["pid"] == served.process.pid
    assert status["target"]["state"] == "running"
    assert served.target_line == f"target remote {status['gdb'][0]}"
    assert "running" in cli.good("status")
    assert [(entry["name"], entry["state"]) for entry in cli.facts("list")] == [("mine", "running")]
    assert "mine" in cli.good("list")
    assert cli.facts("modules") == []
    assert cli.good("modules") == "no modules are loaded\n"

    assert cli.good("load", "simple") == "simple is loaded\n"
    (module,) = cli.facts("modules")
    assert (module["name"], module["state"], module["file"]) == ("simple", "live", str(simple / "simple.ko"))
    load_map = cli.facts("loadmap", "simple")
    text = next(section for section in load_map["sections"] if section["name"] == ".text")
    assert text["address"] == module["text"]
    assert int(cli.good("exec", "cat /sys/module/simple/sections/.text"), 16) == int(text["address"], 16)
    assert f".text {text['address']} " in cli.good("loadmap", "simple", "--gdb")
    assert text["address"] in cli.good("loadmap", "simple")
    assert "no module 'nothing' is loaded" in cli.bad("loadmap", "nothing", code=2)


@pytest.mark.slow
def test_modules_are_loaded_reloaded_and_unloaded_by_name_or_path(
    cli: Cli, simple: Path, module_source: Callable[[str], Path]
) -> None:
    cli.serve(str(simple))
    assert cli.good("load", "simple", "greeting=first words") == "simple is loaded\n"
    assert cli.good("exec", "--", "cat", "/dev/simple") == "first words"
    complaint = cli.bad("load", "simple", code=2)
    assert "loaded already" in complaint
    assert "`nullmodem reload simple`, `target.reload('simple')` in Python, unloads it first" in complaint

    source = simple / "simple.c"
    source.write_text(source.read_text(encoding="utf-8").replace("strlen(greeting)", "9"), encoding="utf-8")
    assert "simple is reloaded" in cli.good("reload", "simple")
    assert cli.good("exec", "cat /dev/simple") == "first wor"

    source.write_text("int", encoding="utf-8")
    complaint = cli.bad("reload", "simple", code=1)
    assert f"{source}:1" in complaint
    assert "did not build" in complaint
    assert "simple stays loaded as it was" in complaint
    assert cli.good("exec", "cat /dev/simple") == "first wor"

    assert cli.good("unload", "simple") == "simple is unloaded\n"
    assert "no module 'simple' is loaded" in cli.bad("unload", "simple", code=2)
    complaint = cli.bad("load", "simple", "greetin=hi", code=2)
    assert "simple has no parameter 'greetin'" in complaint
    assert "Is greeting meant? Its parameters: " in complaint
    assert "'odd' is not a module parameter" in cli.bad("load", "simple", "odd", code=2)
    assert "cannot be given the parameter" in cli.bad("load", "simple", 'greeting="a b"', code=2)
    assert "has no module 'nothing'" in cli.bad("load", "nothing", code=2)
    assert "there is no" in cli.bad("load", "./nothing.c", code=2)

    assert cli.good("load", str(module_source("noinit"))) == "noinit is loaded\n"
    complaint = cli.bad("load", str(module_source("failinit")), code=1)
    assert "failinit was not loaded: its init returned -19 (ENODEV, No such device)" in complaint
    assert {module["name"] for module in cli.facts("modules")} == {"noinit"}


def test_modules_come_after_what_they_need_and_a_fault_is_a_stop(
    cli: Cli, module_source: Callable[[str], Path]
) -> None:
    cli.serve(str(module_source("pair")))
    assert cli.facts("status")["module"] == "consumer"
    cli.good("load", "consumer")
    assert [module["name"] for module in cli.facts("modules")] == ["provider", "consumer"]
    assert "provider is in use by consumer" in cli.bad("unload", "provider", code=1)

    done = cli.facts("load", str(module_source("oopsinit")))
    assert done["stopped"]["reason"] == "fault"
    assert done["stopped"]["where"].startswith("oopsinit:oopsinit_")
    assert done["holder"] == ""
    assert cli.good("continue") == "the target runs\n"
    assert "oopsinit" in cli.good("exec", "dmesg | grep -A 8 BUG:")

    shown = cli.good("oops")
    assert shown.startswith("== oops: BUG: kernel NULL pointer dereference")
    assert re.search(r"RIP: .*oopsinit_read.*\n +oopsinit_read at .*oopsinit\.c:22\n", shown)
    assert re.search(r"do_one_initcall\+.*\n +do_one_initcall at init/main\.c:\d+\n", shown)


def test_too_many_commands_at_once_are_refused_with_their_names(shared: Shared) -> None:
    cli = shared.cli
    busy = [cli.start("exec", f"echo begun; exec sleep 100{number}") for number in range(4)]
    for running in busy:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
    complaint = cli.bad("exec", "true", code=1)
    assert "ports are busy" in complaint
    assert "sleep 1003" in complaint
    for running in busy:
        running.send_signal(signal.SIGINT)
    assert [running.wait(20) for running in busy] == [130] * 4


def test_a_command_has_its_output_and_its_exit_code(shared: Shared) -> None:
    cli = shared.cli
    result = cli("exec", "echo out; echo err >&2; exit 7")
    assert (result.returncode, result.stdout) == (7, "out\nerr\n")
    assert cli("exec", "--", "printf", "%s|", "a b", "$HOME", "*").stdout == "a b|$HOME|*|"
    assert cli("exec", "ls", "-d", "/proc").stdout == "/proc\n"
    assert cli("exec", "kill -9 $$").returncode == 137
    assert len(cli("exec", "dd if=/dev/zero bs=65536 count=40 2>/dev/null").stdout) == 40 * 65536
    assert "Missing argument" in cli.bad("exec", code=2)


def test_output_comes_while_the_command_runs_and_ctrl_c_ends_it_on_the_target(shared: Shared) -> None:
    cli = shared.cli
    running = cli.start("exec", "echo begun; exec sleep 1000")
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    assert "sleep 1000" in cli.good("exec", "ps")
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 130
    cli.good("exec", "while ps | grep -q 'sleep [1]000'; do usleep 50000; done")


def test_files_are_pushed_to_where_they_are_wanted(shared: Shared, tmp_path: Path) -> None:
    cli = shared.cli
    file = tmp_path / "data"
    file.write_bytes(bytes(range(256)))
    assert cli.good("push", str(file)) == "/host/data\n"
    assert cli.good("push", str(file), "/tmp") == "/tmp/data\n"
    assert cli.good("exec", "cmp /host/data /tmp/data && wc -c < /tmp/data") == "256\n"
    assert "does not exist" in cli.bad("push", str(tmp_path / "nothing"), code=2)
    assert "No such file or directory" in cli.bad("push", str(file), "/nothing/here", code=1)


def test_what_needs_a_running_target_says_so_while_it_is_stopped(shared: Shared, tmp_path: Path) -> None:
    cli, simple = shared.cli, shared.simple
    stop = cli.facts("interrupt")
    assert stop["reason"] == "interrupt"
    assert stop["where"] in cli.good("interrupt")
    status = cli.facts("status")["target"]
    assert (status["state"], status["stop"]["number"]) == ("stopped", stop["number"])
    for command in (
        ["exec", "true"],
        ["load", "simple"],
        ["reload", "simple"],
        ["push", str(simple / "Kbuild"), "/tmp"],
    ):
        complaint = cli.bad(*command, code=1)
        assert "the target is stopped" in complaint
        assert "nullmodem continue" in complaint
    assert cli.good("push", str(simple / "Kbuild")) == "/host/Kbuild\n"
    assert cli.good("continue") == "the target runs\n"
    assert cli.good("continue") == "the target runs already\n"
    cli.good("exec", "true")


def test_loading_says_where_a_breakpoint_stopped_it_and_who_holds_the_target(shared: Shared) -> None:
    cli = shared.cli
    gdb = cli.terminal("gdb", "--", "-nx")
    gdb.expect(r"\(gdb\) ")
    for line in ("set breakpoint pending on", "break simple_init", "break simple_exit"):
        gdb.sendline(line)
        gdb.expect(r"\(gdb\) ")
    gdb.sendline("continue")
    gdb.expect("Continuing")

    result = cli("load", "simple")
    assert result.stdout.startswith("stopped (breakpoint) at simple:simple_init")
    assert "insmod goes on when the target does" in result.stdout
    assert "gdb holds the target" in result.stderr
    gdb.expect("Breakpoint 1, .*simple_init")
    gdb.expect(r"\(gdb\) ")
    assert "held by gdb" in cli.bad("exec", "true", code=1)
    assert "gdb holds the target" in cli.bad("continue", code=1)
    gdb.sendline("continue")
    gdb.expect("Continuing")
    assert cli.good("exec", "cat /dev/simple") == "hello"

    done = cli.facts("unload", "simple")
    assert done["stopped"]["where"].startswith("simple:simple_exit")
    assert done["holder"] == "gdb"
    gdb.expect(r"Breakpoint 2, .*simple_exit")
    gdb.expect(r"\(gdb\) ")
    result = cli("continue", "--force")
    assert result.stdout == "the target runs\n"
    assert "held by gdb" in result.stderr
    cli.good("exec", "true")
    assert cli.facts("modules") == []
    gdb.sendline("detach")
    gdb.expect("detached")


def test_a_command_that_a_breakpoint_stops_says_so_and_goes_on_later(shared: Shared) -> None:
    cli = shared.cli
    cli.good("load", "simple")
    gdb = cli.terminal("gdb", "--break", "simple_read", "--", "-nx", "-ex", "continue")
    gdb.expect("Continuing")
    reading = cli.start("exec", "cat /dev/simple")
    assert reading.stderr is not None
    assert "stopped at simple:simple_read" in reading.stderr.readline()
    gdb.expect("Breakpoint 1, .*simple_read")
    gdb.expect(r"\(gdb\) ")
    gdb.sendline("delete 1")
    gdb.sendline("detach")
    gdb.expect("detached")
    out, _complaint = reading.communicate(timeout=60)
    assert (reading.returncode, out) == (0, "hello")


def test_the_console_is_a_terminal_with_an_escape_key(shared: Shared) -> None:
    cli = shared.cli
    console = cli.terminal("console")
    console.expect_exact("Ctrl-] ends the connection")
    console.expect_exact("target:")
    console.send("echo $((6*7))x\r")
    console.expect_exact("42x")
    # The job itself says that it has begun: then the terminal is its own, and Ctrl-C goes to it.
    console.send("sh -c 'echo begun $((1+1)); exec sleep 1000'\r")
    console.expect_exact("begun 2")
    console.send("\x03")  # the target's own Ctrl-C
    console.expect_exact("target:")
    console.send("echo still $((2+3))\r")
    console.expect_exact("still 5")
    console.send("\x1d")
    console.expect("(?s).*")
    console.wait()
    assert console.exitstatus == 0
    assert console.getecho()
    cli.good("exec", "true")


def test_a_console_that_is_no_terminal_is_copied_until_the_session_ends(cli: Cli, built: str) -> None:
    cli.serve(built)
    copy = cli.start("console", "--follow")
    assert copy.stdout is not None
    cli.good("exec", "echo the last word > /dev/ttyS0")
    assert any("the last word" in line for line in iter(copy.stdout.readline, ""))
    cli.good("stop")
    _out, complaint = copy.communicate(timeout=30)
    assert copy.returncode == 1
    assert "the console has ended" in complaint


def test_a_target_can_be_served_on_a_port_of_the_loopback_interface(cli: Cli, built: str) -> None:
    served = cli.serve(built, "--listen", ":0")
    assert served.target_line.startswith("target remote 127.0.0.1:")
    with Gdb(debian(), *quick_start(debian()), "-ex", served.file_line, "-ex", served.target_line) as client:
        assert "init_task" in client("print &init_task")
    port = served.target_line.rpartition(":")[2]
    complaint = cli.bad("run", built, "--no-gdb", "--listen", f"127.0.0.1:{port}", code=2)
    assert "in use" in complaint


def test_a_machine_without_a_module_gets_its_modules_later(cli: Cli, simple: Path) -> None:
    cli.serve("--smp", "2", "--memory", "200", "--no-kaslr", "--append", "loglevel=7")
    status = cli.facts("status")
    assert (status["name"], status["module"], status["known"]) == ("target", "", [])
    assert (status["target"]["processors"], status["target"]["slide"]) == (2, "0x0")
    assert cli.good("exec", "cat /proc/cmdline").rstrip().endswith("nokaslr loglevel=7")
    assert "simple is loaded" in cli.good("load", str(simple), "greeting=late")
    assert cli.good("exec", "cat /dev/simple") == "late"


def test_the_shell_completes_sessions_and_modules(shared: Shared) -> None:
    cli = shared.cli
    cli.good("load", "simple")

    def complete(*words: str) -> list[str]:
        extra = {"COMP_WORDS": " ".join(["nullmodem", *words]), "COMP_CWORD": str(len(words))}
        shell = Cli(cli.runtime, {**extra, "_NULLMODEM_COMPLETE": "bash_complete"})
        return [line.partition(",")[2] for line in plain(shell().stdout).splitlines() if line]

    assert complete("status", "--session", "") == ["mine"]
    assert complete("unload", "si") == ["simple"]
    assert complete("loadmap", "--session", "mine", "s") == ["simple"]
    assert complete("load", "") == ["simple"]
    assert complete("load", "--session", "nobody", "") == []
    assert complete("rel") == ["reload"]
    assert "6.1" in complete("run", "--kernel", "")


@pytest.mark.slow
def test_what_cannot_work_is_said_before_anything_is_started(cli: Cli, simple: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken.c"
    broken.write_text('#include <linux/module.h>\nint init_module(void) { return x; }\nMODULE_LICENSE("GPL");\n')
    wrong = {
        ("run", str(tmp_path / "nothing")): "there is no",
        ("run", str(tmp_path / "empty"), "--no-gdb"): "has no Kbuild and no Makefile",
        ("run", str(simple), "--kernel", "7.7", "--no-gdb"): "no kernel '7.7'",
        ("run", str(simple), "--gdb", str(tmp_path / "nogdb")): "there is no gdb at",
        ("run", str(simple), "--session", "../x", "--no-gdb"): "cannot be a session's name",
        ("run", str(simple), "--listen", "0.0.0.0:1", "--no-gdb"): "from this machine only",
        ("run", str(simple), "--break", "x", "--no-gdb"): "--break and --no-gdb exclude each other",
        ("run", str(simple), "--init-args", "'x"): "cannot be split into words",
        ("run", "--init-args", "x=1"): "no module's path was given",
        ("run", str(simple), "--record", str(tmp_path / "no" / "x.rec"), "--no-gdb"): "there is no directory",
        ("stop", "--all", "--session", "x"): "exclude each other",
    }
    for arguments, complaint in wrong.items():
        assert complaint in cli.bad(*arguments, code=2)
    complaint = cli.bad("run", str(broken), "--no-gdb", code=1)
    assert f"{broken}:2" in complaint
    assert "did not build" in complaint
    complaint = cli.bad("run", str(simple), "--init-args", "greting=1", code=2)
    assert "has no parameter 'greting'" in complaint
    assert "booting" not in complaint
    assert cli.facts("list") == []


@pytest.mark.slow
def test_a_command_on_a_target_that_loops_says_what_helps_and_it_does(
    cli: Cli, module_source: Callable[[str], Path]
) -> None:
    cli.serve(str(module_source("spinner")))
    cli.good("load", "spinner")
    waiting = cli.start("exec", "echo 300 > /sys/module/spinner/parameters/spin")
    assert waiting.stderr is not None
    said = waiting.stderr.readline()
    assert "the command has not ended after 5 s, and the target does nothing else meanwhile" in said
    assert "`nullmodem interrupt` stops it and says where" in said
    assert "spinner_loop" in cli.facts("interrupt")["where"]
    assert cli.good("stop") == "spinner has ended\n"
    waiting.communicate(timeout=20)
