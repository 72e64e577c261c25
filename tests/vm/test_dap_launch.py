# SPDX-License-Identifier: Apache-2.0
"""`nullmodem dap` from launch to the end: a module built, entered, exchanged for its next build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import find_session
from support.cli import Cli, ended
from support.editing import adapter, line_of
from support.modules import copy_module

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.vm, pytest.mark.gdb]


def break_at(editor: Any, file: Path, *texts: str) -> list[Any]:
    lines = [{"line": line_of(file, text)} for text in texts]
    return list(editor.ask("setBreakpoints", source={"path": str(file)}, breakpoints=lines)["breakpoints"])


@pytest.mark.slow
def test_a_module_is_entered_used_changed_and_entered_again(tmp_path: Path) -> None:
    directory = copy_module("simple", tmp_path)
    file = directory / "simple.c"
    with Cli() as cli, adapter(cli, cwd=str(tmp_path)) as editor:
        editor.begin("launch", module="simple", parameters=["greeting=hi"], exec="cat /dev/simple", cpus=2)
        (before,) = break_at(editor, file, "return simple_read_from_buffer")
        assert not before["verified"]
        editor.configured()
        thread = editor.stopped(reason="entry")["threadId"]
        frame = editor.frames(thread)[0]
        assert (frame["name"], frame["source"]["path"]) == ("simple_init", str(file))
        assert len(editor.ask("threads")["threads"]) == 2
        editor.go_on()
        thread = editor.stopped(reason="breakpoint")["threadId"]
        assert editor.scope(editor.frames(thread)[0]["id"], "Locals")["available"]["value"] == "2"

        # A change that does not compile: nothing happens to what is loaded.
        text = file.read_text()
        file.write_text(text.replace("size_t available;", "size_t available = nonsense;"))
        assert "simple" in editor.refused("restart")
        editor.output("nonsense")
        assert editor.frames(thread)[0]["name"] == "simple_read"

        # One that does, and that moves every line.
        file.write_text("/* a new\n * first\n * comment\n */\n" + text.replace("hello", "howdy"))
        break_at(editor, file, "return simple_read_from_buffer")
        configuration = {"module": "simple", "exec": "cat /dev/simple", "stopOnEntry": False}
        editor.ask("restart", arguments=configuration)
        thread = editor.stopped(reason="breakpoint")["threadId"]
        frame = editor.frames(thread)[0]
        assert frame["line"] == line_of(file, "return simple_read_from_buffer")
        assert editor.scope(frame["id"], "Locals")["available"]["value"] == "5"

        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("XDG_RUNTIME_DIR", str(cli.runtime))
            session = find_session().record.pid
        editor.ask("terminate")
        editor.event("terminated")
        assert ended(session)
        editor.ask("disconnect")
        assert editor.wait()[0] == 0
        assert "No session is running" in cli.good("list")


def test_a_fault_is_an_exception_and_a_kept_session_outlives_its_editor(tmp_path: Path) -> None:
    directory = copy_module("oopsinit", tmp_path)
    file = directory / "oopsinit.c"
    with Cli() as cli, adapter(cli) as editor:
        editor.begin("launch", module=str(directory), stopOnEntry=False, session="kept")
        editor.ask("setExceptionBreakpoints", filters=["oops"])
        editor.configured()
        thread = editor.stopped(reason="exception")["threadId"]
        assert editor.frames(thread)[0]["line"] == line_of(file, "return *wild")
        info = editor.ask("exceptionInfo", threadId=thread)
        assert info["exceptionId"] == "oops"
        assert "oopsinit_read" in info["description"]
        # Without the filter nothing stops it: the kernel goes on, and oopses.
        editor.ask("setExceptionBreakpoints", filters=[])
        editor.go_on()
        editor.output("---[ end trace")
        editor.ask("disconnect", terminateDebuggee=False)
        assert editor.wait()[0] == 0
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("XDG_RUNTIME_DIR", str(cli.runtime))
            remote = RemoteMachine(find_session("kept"))
            assert remote.execute(["true"], lambda _data: None) == 0
            remote.stop()


def test_an_editor_that_goes_in_the_middle_of_a_launch_leaves_nothing_behind(tmp_path: Path) -> None:
    with Cli() as cli, adapter(cli) as editor:
        editor.ask("initialize")
        editor.send("launch", module=str(copy_module("simple", tmp_path)))
        editor.output("booting")
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("XDG_RUNTIME_DIR", str(cli.runtime))
            session = find_session().record.pid
        editor.close_input()
        assert ended(session)
        assert editor.wait()[0] == 0
        assert "No session is running" in cli.good("list")
