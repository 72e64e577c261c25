# SPDX-License-Identifier: Apache-2.0
"""Several editors on one session, VS Code's own client among them; one that vanishes, and one that sends nonsense."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.editing import Desk, adapter, line_of

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
        thread = second.stopped()["threadId"]
        assert second.frames(thread, 1)[0]["line"] == first.frames(threads[0], 1)[0]["line"] > places[0]["line"]
        second.ask("disconnect")
        assert second.wait()[0] == 0
    desk.break_at()
    desk.go_on()
    first.output("release is operation")


@pytest.mark.parametrize("running", [True, False])
def test_an_adapter_that_is_killed_leaves_the_session_unharmed(desk: Desk, *, running: bool) -> None:
    with adapter(desk.cli) as second:
        second.begin("attach", stopOnEntry=False)
        second.ask("setFunctionBreakpoints", breakpoints=[{"name": "vfs_read"}])
        if running:
            second.ask("setFunctionBreakpoints", breakpoints=[])
            second.configured()
        second.process.kill()
        second.process.wait()
    desk.go_on()
    assert desk.remote.execute(["true"], lambda _data: None) == 0


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
