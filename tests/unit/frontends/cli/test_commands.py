# SPDX-License-Identifier: Apache-2.0
"""The commands for a running session: what they ask of it, and how they show what it answers."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from nullmodem import __version__
from nullmodem.api.control import ControlServer, Service
from nullmodem.api.control_protocol import VERSION
from nullmodem.api.sessions import SessionRecord, claim
from nullmodem.errors import BuildError, CommandError
from nullmodem.frontends.cli.gdb_command import tell_of_death
from nullmodem.frontends.cli.main import main
from support.pretend import TEXT, Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

ADDRESS = f"{TEXT:#x}"


class Session:
    """A session in this process, with a machine that is not there."""

    def __init__(self, name: str) -> None:
        self.machine = Machine()
        record = SessionRecord(
            os.getpid(), time.time(), __version__, VERSION, "6.1", "6.1.99", "/k/vmlinux", "simple", "/w"
        )
        self.entry = claim(name, record, exact=True)
        self.entry.session.gdb_socket.touch()
        self.server = ControlServer()
        self.server.listen(self.entry.session.control_socket)
        self.ends = threading.Thread(target=self.close)
        log = self.entry.session.directory / "log"
        self.server.serve(Service(self.entry.session, self.machine, ("/r/gdb.sock",), self.ends.start, log))

    def close(self) -> None:
        self.entry.close()
        self.server.close()


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions that nobody else sees."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))


@pytest.fixture
def make_session() -> Iterator[Callable[[str], Session]]:
    """A function that makes a session of a name."""
    sessions = []

    def make(name: str) -> Session:
        sessions.append(Session(name))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
        if session.ends.ident is not None:
            session.ends.join()


@pytest.fixture
def session(make_session: Callable[[str], Session]) -> Session:
    """The only one."""
    return make_session("simple")


@pytest.fixture
def machine(session: Session) -> Machine:
    """Its machine."""
    return session.machine


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def good(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def bad(code: int, *arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    return result.stderr


def test_status_tells_people(machine: Machine) -> None:
    text = good("status")
    assert "session  simple, module simple, Linux 6.1.99, process" in text
    assert "target   running" in text
    assert "client   gdb#1: waits for a stop, holds the target" in text
    assert "wire     20 round trips, 300 bytes out, 4000 bytes in" in text
    assert "cache    9 of 10 reads answered without the wire" in text
    assert "gdb      target remote /r/gdb.sock" in text
    machine.live.halt()
    assert "stop     7: breakpoint at simple:simple_init (thread 200)" in good("status")


def test_status_tells_programs(machine: Machine) -> None:
    machine.live.halt()
    status = json.loads(good("status", "--json"))
    assert status["target"]["stop"] == {
        "number": 7,
        "reason": "breakpoint",
        "signal": 5,
        "thread": 200,
        "pc": ADDRESS,
        "where": "simple:simple_init",
    }
    assert status["gdb"] == ["/r/gdb.sock"]


def test_modules_are_listed_with_what_is_wrong_with_them(machine: Machine) -> None:
    text = good("modules")
    assert text.splitlines()[0].split() == ["Module", "State", "Text", "Size", "File"]
    assert f"simple  live   {ADDRESS}" in text
    assert "(the file is another build)" in text
    assert "stale: rebuild stale" in text
    assert [each["problem"] for each in json.loads(good("modules", "--json"))] == ["", "the file is another build"]
    machine.live.loaded = ()
    assert good("modules") == "no modules are loaded\n"
    assert json.loads(good("modules", "--json")) == []


def test_the_load_map_has_every_section(machine: Machine) -> None:
    lines = good("loadmap", "simple").splitlines()
    assert lines[1].split() == ["Section", "Size", "Address", "Align"]
    assert lines[2].split() == [".text", "0x100", ADDRESS, "2**4"]
    assert lines[3].split() == [".init.text", "0x20", "not", "in", "memory", "2**0"]
    assert good("loadmap", "simple", "--gdb") == f"add-symbol-file simple.ko -s .text {ADDRESS}\n"
    sections = json.loads(good("loadmap", "simple", "--json"))["sections"]
    assert [section["address"] for section in sections] == [ADDRESS, None]
    assert "Loaded modules: simple, stale." in bad(2, "loadmap", "other")
    assert "exclude each other" in bad(2, "loadmap", "simple", "--gdb", "--json")


def test_of_a_module_without_a_file_the_memory_is_shown(machine: Machine) -> None:
    text = good("loadmap", "stale")
    assert "the file is another build\nrebuild stale" in text
    assert f"text    4096  {ADDRESS}" in text
    complaint = bad(2, "loadmap", "stale", "--gdb")
    assert "there is no file to give to gdb for stale" in complaint
    assert "rebuild stale" in complaint


def test_loading_says_that_it_is_done(machine: Machine) -> None:
    assert good("load", "simple", "a=1", "b=2") == "simple is loaded\n"
    assert good("unload", "simple") == "simple is unloaded\n"
    assert good("unload", "--force", "simple") == "simple is unloaded\n"
    assert good("reload", "simple") == "simple is reloaded\n"
    assert machine.diary == [
        ("load", "simple", ("a=1", "b=2")),
        ("unload", "simple", False),
        ("unload", "simple", True),
        ("reload", "simple"),
    ]


@pytest.mark.parametrize("path", ["dir/", "./dir", "driver.c", "driver.ko"])
def test_a_path_is_built_and_then_loaded_by_name(
    machine: Machine, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("load", path)
    assert (result.exit_code, result.stdout) == (0, "simple is loaded\n")
    assert "building the module" in result.stderr
    assert machine.diary == [("build", tmp_path / path), ("load", "simple", ())]


def test_loading_says_where_it_stopped_and_who_holds_the_target(machine: Machine) -> None:
    released = threading.Event()

    def act(_verb: str, _out: Callable[[bytes], None]) -> int:
        machine.live.halt()
        released.wait(10)
        return 0

    machine.act = act
    result = run("load", "simple")
    assert result.stdout == "stopped (breakpoint) at simple:simple_init; insmod goes on when the target does\n"
    assert "gdb holds the target" in result.stderr
    done = json.loads(good("load", "simple", "--json"))
    assert (done["module"], done["stopped"]["number"], done["holder"]) == ("simple", 7, "gdb")
    released.set()


def test_errors_of_the_session_are_shown_as_our_own(machine: Machine) -> None:
    machine.error = BuildError("simple did not build", output="simple.c:3: error", hint="mend it")
    assert bad(1, "reload", "simple").endswith("simple.c:3: error\nnullmodem: simple did not build\nmend it\n")
    machine.error = CommandError("insmod failed", code=3, output="")
    assert bad(1, "load", "simple") == "nullmodem: insmod failed\n"


def test_interrupt_says_where(machine: Machine) -> None:
    assert good("interrupt") == "stopped (breakpoint) at simple:simple_init\n"
    assert json.loads(good("interrupt", "--json"))["pc"] == ADDRESS


def test_a_target_that_is_held_is_not_taken_but_by_force(machine: Machine) -> None:
    assert good("continue") == "the target runs already\n"
    machine.live.halt()
    complaint = bad(1, "continue")
    assert "gdb holds the target" in complaint
    assert "--force" in complaint
    result = run("continue", "--force")
    assert result.stdout == "the target runs\n"
    assert "it was held by gdb" in result.stderr


def test_exec_hands_on_output_and_exit_code(machine: Machine) -> None:
    def act(_verb: str, out: Callable[[bytes], None]) -> int:
        out(b"\xff\x00raw\n")
        return 7

    machine.act = act
    result = run("exec", "--", "cat", "-A", "--session", "x y")
    assert (result.exit_code, result.stdout_bytes) == (7, b"\xff\x00raw\n")
    assert run("exec", "ls -s | wc").exit_code == 7
    assert run("exec", "--session", "simple", "ls", "-s").exit_code == 7
    assert machine.diary == [
        ("execute", ("cat", "-A", "--session", "x y")),
        ("execute", "ls -s | wc"),
        ("execute", ("ls", "-s")),
    ]


def test_exec_says_who_holds_a_stopped_target(machine: Machine) -> None:
    machine.live.halt()
    assert "the target is stopped, held by gdb\nContinue it there" in bad(1, "exec", "true")


def test_push_prints_where_the_file_is(machine: Machine, tmp_path: Path) -> None:
    assert good("push", str(tmp_path / "f")) == "/host/f\n"
    assert good("push", str(tmp_path / "f"), "/tmp") == "/tmp/f\n"


def test_sessions_are_listed_and_told_apart(make_session: Callable[[str], Session]) -> None:
    assert good("list") == "No session is running. `nullmodem run PATH` starts one.\n"
    assert json.loads(good("list", "--json")) == []
    assert "no session is running" in bad(2, "status")
    make_session("one")
    make_session("two")
    rows = [line.split()[:4] for line in good("list").splitlines()]
    assert rows == [
        ["NAME", "STATE", "MODULE", "KERNEL"],
        ["one", "running", "simple", "6.1"],
        ["two", "running", "simple", "6.1"],
    ]
    assert [each["name"] for each in json.loads(good("list", "--json"))] == ["one", "two"]
    assert "2 sessions are running: one, two" in bad(2, "status")
    assert "session  two" in good("status", "-s", "two")


def test_a_session_that_does_not_answer_is_listed_as_that(make_session: Callable[[str], Session]) -> None:
    one, two = make_session("one"), make_session("two")
    one.server.close()
    two.server.close()
    two.entry.session.control_socket.unlink()
    two.entry.session.gdb_socket.unlink()
    states = {each["name"]: each["state"] for each in json.loads(good("list", "--json"))}
    assert states == {"one": "not answering", "two": "starting"}
    assert "does not answer" in bad(2, "status", "-s", "one")
    assert "it is starting" in bad(2, "status", "-s", "two")


def test_stop_ends_one_or_all(make_session: Callable[[str], Session]) -> None:
    make_session("one")
    make_session("two")
    make_session("three")
    assert good("stop", "--session", "two") == "two has ended\n"
    assert good("stop", "--all") == "one has ended\nthree has ended\n"
    assert good("stop", "--all") == "no session is running\n"
    assert "exclude each other" in bad(2, "stop", "--all", "-s", "x")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["status", "--session", ""], ["simple"]),
        (["unload", "s"], ["simple", "stale"]),
        (["loadmap", "st"], ["stale"]),
        (["reload", ""], ["simple"]),
        (["load", ""], ["simple"]),
        (["load", "--session", "nobody", ""], []),
        (["unl"], ["unload"]),
    ],
)
def test_the_shell_is_offered_what_there_is(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, words: list[str], offered: list[str]
) -> None:
    monkeypatch.setenv("_NULLMODEM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["nullmodem", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    result = CliRunner().invoke(main, [], prog_name="nullmodem")
    assert [line.partition(",")[2] for line in result.stdout.splitlines() if line] == offered


def test_kdb_is_asked_once_or_many_times(machine: Machine) -> None:
    assert "the target is running" in bad(1, "kdb", "summary")
    machine.live.halt()
    assert good("kdb", "ps", "A") == "ps A: kdb says\n"
    assert "kdb printed nothing" in run("kdb", "nothing").stderr
    result = CliRunner().invoke(main, ["kdb"], input="summary\n\nps\n")
    assert result.exit_code == 0
    assert result.stdout == "summary: kdb says\nps: kdb says\n"


def test_a_gdb_that_was_killed_is_not_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    tell_of_death("the session goes on")(9)
    assert capsys.readouterr().err == "nullmodem: gdb was killed (signal 9); the session goes on\n"
