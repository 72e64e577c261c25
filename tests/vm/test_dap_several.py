# SPDX-License-Identifier: Apache-2.0
"""Several editors on one session, VS Code's own client among them; one that vanishes, and one that sends nonsense."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import find_session
from nullmodem.testing.gdb import Gdb
from support.cli import Cli
from support.editing import Desk, adapter, caught_up, line_of
from support.gdb import debian, quick_start
from support.modules import copy_module

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.vm, pytest.mark.gdb]


def test_two_editors_see_every_stop_and_either_may_go_first(desk: Desk) -> None:
    first = desk.editor
    desk.remote.load("simple")
    desk.break_at('simple_counted("read")')
    with adapter(desk.cli) as second:
        second.begin("attach")
        second.configured()
        first.stopped()
        second.stopped()
        desk.go_on()
        second.event("continued")
        desk.use()
        threads = [each.stopped()["threadId"] for each in (first, second)]
        places = [each.frames(thread, 1)[0] for each, thread in zip((first, second), threads, strict=True)]
        assert places[0]["instructionPointerReference"] == places[1]["instructionPointerReference"]
        assert places[0]["name"] == places[1]["name"] == "simple_read"
        first.ask("next", threadId=threads[0])
        first.stopped(reason="step")
        second.event("continued")
        thread = caught_up(second, desk.remote)
        assert second.frames(thread, 1)[0]["line"] == first.frames(threads[0], 1)[0]["line"] > places[0]["line"]
        second.ask("disconnect")
        assert second.wait()[0] == 0
    desk.break_at()
    desk.go_on()
    first.output("release is operation")


def test_its_breakpoint_stays_where_another_debugger_leads_away_from_it(desk: Desk) -> None:
    """Nobody else has one there. The next to come there is the same thread, or another."""
    editor, remote = desk.editor, desk.remote
    remote.load("simple")
    desk.break_at('simple_counted("read")')
    vmlinux = remote.status().target.vmlinux
    with Gdb(debian(), *quick_start(debian()), vmlinux) as gdb:
        gdb(f"target remote {remote.status().gdb[-1]}")
        desk.stop(reason="pause")
        gdb("monitor take")
        gdb.send("continue")
        editor.event("continued")
        threads = []
        for reads in (2, 2):  # what there is, and the end
            desk.use()
            for _ in range(reads):
                thread, stop = desk.stop()
                assert (stop["reason"], len(stop["hitBreakpointIds"])) == ("breakpoint", 1)
                threads.append(thread)
                gdb.wait()
                gdb.send("continue")
                editor.event("continued")
            desk.join()
        assert threads[0] == threads[1] != threads[2] == threads[3]
        gdb.interrupt()
        gdb.wait()
        desk.stop(reason="pause")
        gdb("detach")
        gdb.quit()


def test_an_adapter_that_is_killed_leaves_a_target_that_runs_and_is_nobodys(tmp_path: Path) -> None:
    """The only client, at a breakpoint under somebody's command, and under one of its own that it still waits for."""
    with Cli() as cli, pytest.MonkeyPatch.context() as environment:
        cli.serve(str(copy_module("simple", tmp_path)), "-s", "alone")
        environment.setenv("XDG_RUNTIME_DIR", str(cli.runtime))
        remote = RemoteMachine(find_session("alone"))
        remote.load("simple")
        codes: list[int] = []

        def use() -> None:
            codes.append(remote.execute(["cat /dev/simple"], lambda _data: None))

        for its_own in (False, True):
            with adapter(cli) as editor:
                editor.begin("attach", session="alone", stopOnEntry=False)
                editor.ask("setFunctionBreakpoints", breakpoints=[{"name": "simple_read"}])
                editor.configured()
                editor.ask("threads")  # answered after the target was let run
                user = threading.Thread(target=use)
                if its_own:
                    editor.send("evaluate", expression="nullmodem exec cat /dev/simple", context="repl")
                else:
                    user.start()
                editor.stopped(reason="breakpoint")
                events = remote.watch()
                assert remote.status().target.holder
                editor.process.kill()
                editor.process.wait()
            while (target := remote.status().target).state != "running" or target.clients:
                assert events.next() is not None
            assert target.holder == ""
            events.close()
            events.dispose()
            if not its_own:
                user.join(30)
                assert codes == [0]
            assert remote.execute(["true"], lambda _data: None) == 0
        remote.stop()


def test_vs_codes_own_client_sees_what_it_expects(desk: Desk, repository: Path) -> None:
    line = line_of(desk.simple, 'pr_info("loading')
    program = [sys.executable, "-m", "nullmodem"]
    told = {
        "NULLMODEM_COMMAND": json.dumps(program), "NULLMODEM_SESSION": "room",
        "NULLMODEM_SOURCE": str(desk.simple), "NULLMODEM_LINE": str(line),
    }  # fmt: skip
    result = subprocess.run(
        ["node", "--test", "test/adapter.test.js"], cwd=repository / "editors" / "vscode",
        env={**desk.cli.environment, **told}, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "# pass 1" in result.stdout
    desk.go_on()
    live = "until [ $(cat /sys/module/simple/initstate) = live ]; do :; done"  # or it could not be unloaded
    desk.remote.execute([live], lambda _data: None)


def test_what_is_no_message_is_refused_and_the_session_goes_on(desk: Desk) -> None:
    editor = desk.editor
    for body in (b"[]", b"{", b'{"seq": 9999, "type": "request"}', b'{"seq":"x","type":"request","command":"next"}'):
        editor.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    assert "a seq, a whole number, and a command" in editor.answer(9999)["message"]
    editor.output("a message that is none: a message is not JSON")
    assert "there is no request 'stepBack'" in editor.refused("stepBack", threadId=1)
    assert "launch or attach was sent before" in editor.refused("launch")
    assert "configurationDone was sent before" in editor.refused("configurationDone")
    assert desk.remote.execute(["true"], lambda _data: None) == 0


def test_a_request_is_cancelled_where_it_waits_and_where_gdb_is_at_it(desk: Desk) -> None:
    editor = desk.editor
    editor.ask("pause", threadId=1)
    desk.stop(reason="pause")
    busy = editor.send("evaluate", expression="python while True: pass", context="repl")
    waiting = editor.send("evaluate", expression="print 1", context="repl")
    for number in (waiting, busy, 12345):
        editor.send("cancel", requestId=number)
    assert editor.answer(busy)["message"] == editor.answer(waiting)["message"] == "cancelled"
    assert editor.repl("print 2") == "$1 = 2\n"
