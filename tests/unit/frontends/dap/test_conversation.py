# SPDX-License-Identifier: Apache-2.0
"""What becomes of a conversation when something is under way, or goes wrong: with a gdb that does what a test wants."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.kbuild import BuiltModule
from support.conversing import Talk, conversing
from support.pretend import module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def talk() -> Iterator[Talk]:
    with conversing() as conversation:
        yield conversation


def running(talk: Talk, *gdb_commands: str) -> None:
    talk.join(*gdb_commands, stopOnEntry=False)
    talk.configured()
    talk.ask("threads")  # answered after the target was let run


# -- going on --------------------------------------------------------------------------------------------------------


def test_a_target_that_gdb_does_not_let_go_stands_for_the_editor_too(talk: Talk) -> None:
    talk.join("refuse-continue", stopOnEntry=False)
    talk.configured()
    body = talk.stopped(reason="pause")
    assert body["threadId"] == 7
    assert "Cannot access memory at address 0x10" in body["text"]
    assert "Cannot insert breakpoint" in talk.refused("continue", threadId=7)
    for _again in range(2):
        talk.ask("setInstructionBreakpoints", breakpoints=[])
    talk.go_on()
    assert talk.pending("stopped") == []


def test_a_target_that_does_not_go_on_after_a_breakpoint_was_set_stands_for_the_editor_too(talk: Talk) -> None:
    running(talk, "refuse-second")
    talk.ask("setInstructionBreakpoints", breakpoints=[{"instructionReference": "0x10"}])
    assert "Cannot access memory at address 0x10" in talk.stopped(reason="pause")["text"]
    assert "could not be let run" in talk.output("Cannot insert")
    talk.ask("setInstructionBreakpoints", breakpoints=[])
    talk.go_on()


@pytest.mark.parametrize("before", ["continue", "configurationDone"])
def test_a_pause_right_after_the_target_was_told_to_go_on_is_not_lost(talk: Talk, before: str) -> None:
    talk.join(stopOnEntry=before == "continue")
    if before == "continue":
        talk.configured()
        talk.stopped()
    talk.together((before, {"threadId": 7}), ("pause", {"threadId": 7}))
    talk.stopped(reason="pause")
    assert talk.ask("stackTrace", threadId=7) == {}


def test_a_target_that_has_run_since_it_was_joined_has_the_threads_it_had(talk: Talk) -> None:
    running(talk)
    assert talk.ask("threads") == {"threads": [{"id": 7, "name": "CPU 0"}]}


# -- beginning, and again --------------------------------------------------------------------------------------------


def test_a_directory_that_is_not_there_is_named_and_another_launch_may_follow(talk: Talk) -> None:
    talk.ask("initialize", linesStartAt1=True)
    assert "'cwd': there is no directory /nowhere/at/all" in talk.refused("launch", module="x", cwd="/nowhere/at/all")
    talk.ask("attach", session="simple", showConsole=False)


def test_a_module_may_be_named_at_a_restart_and_another_takes_its_place(talk: Talk) -> None:
    def build(path: Path, _progress: object) -> BuiltModule:
        return BuiltModule(path / f"{path.name}.ko", path.name, path, (), (), path)

    talk.machine.build = build  # type: ignore[method-assign]
    talk.machine.live.loaded = (module("first"),)
    running(talk)
    assert "names no module" in talk.refused("restart")
    for name in ("first", "second"):
        talk.ask("restart", arguments={"module": f"/m/{name}", "session": "simple", "stopOnEntry": False})
    changes = [entry[:2] for entry in talk.machine.diary if entry[0] in ("load", "unload")]
    # What is loaded at last is so in a thread.
    assert changes[:3] == [("unload", "first"), ("load", "first"), ("unload", "first")]


def test_a_command_that_waits_for_the_target_keeps_nothing_else_waiting(talk: Talk) -> None:
    goes_on = threading.Event()
    talk.machine.act = lambda _verb, _out: 0 if goes_on.wait(30) else 1
    running(talk)
    used = talk.send("evaluate", expression="nullmodem exec cat /dev/simple", context="repl")
    talk.ask("pause", threadId=7)
    talk.stopped(reason="pause")
    talk.ask("stackTrace", threadId=7)
    talk.go_on()
    goes_on.set()
    assert talk.answer(used)["body"]["result"] == ""


# -- the end ---------------------------------------------------------------------------------------------------------


def test_a_command_on_the_target_is_given_up_when_the_editor_disconnects(talk: Talk) -> None:
    begun, release = threading.Event(), threading.Event()

    def act(_verb: str, _out: object) -> int:
        begun.set()
        return int(release.wait(30))

    talk.machine.act = act
    running(talk)
    used = talk.send("evaluate", expression="nullmodem exec cat /dev/simple", context="repl")
    assert begun.wait(30)
    talk.ask("threads")
    try:
        talk.ask("disconnect")
        assert "was given up" in talk.answer(used)["message"]
        assert talk.machine.cancelled.wait(30)
    finally:
        release.set()


@pytest.mark.parametrize("stands", [True, False])
@pytest.mark.parametrize("polite", [True, False])
def test_a_gdb_that_is_busy_for_ever_does_not_keep_the_end_back(talk: Talk, *, polite: bool, stands: bool) -> None:
    talk.join(stopOnEntry=stands)
    talk.configured()
    busy = talk.send("evaluate", expression="hang", context="repl")
    if polite:
        end = talk.send("disconnect")
        assert talk.answer(busy)["message"] == "gdb has ended"
        assert talk.answer(end)["success"]
    else:
        talk.hang_up()
    talk.ended()
    assert talk.pending("terminated") == []


def test_the_end_is_kept_back_by_nothing_that_was_sent_while_the_session_was_joined(talk: Talk) -> None:
    talk.ask("initialize", linesStartAt1=True)
    talk.send("attach", session="simple", showConsole=False)
    talk.send("evaluate", expression="hang", context="repl")
    talk.hang_up()
    talk.ended()


def test_a_build_is_given_up_when_the_editor_has_gone(talk: Talk) -> None:
    release, building = threading.Event(), threading.Event()
    build = talk.machine.build

    def slow(*arguments: object) -> object:
        building.set()
        release.wait(30)
        return build(*arguments)  # type: ignore[arg-type]

    talk.machine.build = slow  # type: ignore[assignment,method-assign]
    talk.join(module="/m/simple")
    talk.send("configurationDone")
    assert building.wait(30)
    try:
        talk.hang_up()
        talk.ended()
    finally:
        release.set()
