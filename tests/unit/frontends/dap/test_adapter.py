# SPDX-License-Identifier: Apache-2.0
"""The program itself as an editor starts it, as far as it gets without a target."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.cli import Cli
from support.dap import CLIENT, Adapter, Connected
from support.gdb import debian, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cli() -> Iterator[Cli]:
    with Cli() as program:
        yield program


@pytest.fixture
def editor(cli: Cli) -> Iterator[Adapter]:
    with Adapter(cli.environment, "--gdb", wheel()) as adapter:
        yield adapter


def test_what_cannot_be_launched_says_why_and_may_be_tried_again(editor: Adapter, tmp_path: Path) -> None:
    assert "launch before initialize" in editor.refused("launch", module="x")
    editor.ask("initialize", **CLIENT)
    assert "'module' wants a path" in editor.refused("launch", module=3)
    assert f"there is no {tmp_path}/gone" in editor.refused("launch", module=str(tmp_path / "gone"), modul="x")
    assert "did you mean 'module'?" in editor.output("there is no attribute 'modul'")
    assert "no session is running" in editor.refused("attach")
    assert "nothing is debugged yet" in editor.refused("configurationDone")
    assert "initialize was sent before" in editor.refused("initialize")
    editor.ask("disconnect")
    assert editor.wait()[0] == 0


def test_an_editor_that_terminates_whenever_it_is_told_of_the_end_is_told_once(editor: Adapter) -> None:
    editor.ask("initialize", **CLIENT)
    editor.ask("terminate")
    editor.event("terminated")
    editor.ask("terminate")
    editor.ask("disconnect")
    assert not [message for message in editor.end() if message.get("event") == "terminated"]


def test_an_editor_that_counts_from_zero_is_refused(editor: Adapter) -> None:
    assert "begin with 1 here" in editor.refused("initialize", linesStartAt1=False)
    editor.close_input()
    assert editor.wait()[0] == 0


def test_a_gdb_that_is_too_old_is_named_with_what_to_do(cli: Cli, editor: Adapter) -> None:
    complaint = cli.bad("dap", "--gdb", debian(), code=2)
    assert "is gdb 13.1; 14.1 is the oldest that will do" in complaint
    assert "pip install 'nullmodem[gdb]'" in complaint
    editor.ask("initialize", **CLIENT)
    assert "is gdb 13.1; 14.1 is the oldest" in editor.refused("launch", gdb=debian())


def test_where_no_message_can_be_told_any_more_is_the_end(editor: Adapter) -> None:
    editor.ask("initialize", **CLIENT)
    editor.write(b"GET / HTTP/1.1\r\n\r\n")
    editor.output("no header of the Debug Adapter Protocol")
    editor.event("terminated")
    code, complaint = editor.wait()
    assert code == 1
    assert "Traceback" not in complaint


@pytest.mark.parametrize("path", [True, False], ids=["socket", "port"])
def test_editors_connect_one_by_one_or_together_until_it_is_ended(cli: Cli, *, path: bool) -> None:
    process = cli.start("dap", "--listen", str(cli.runtime / "dap.sock") if path else "127.0.0.1:0")
    assert process.stdout is not None
    address = process.stdout.readline().strip()

    def connect() -> Connected:
        if path:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(address)
        else:
            host, _colon, port = address.rpartition(":")
            connection = socket.create_connection((host, int(port)))
        return Connected(connection)

    with connect() as first, connect() as second:
        for each in (first, second):
            assert each.ask("initialize", **CLIENT)["supportsRestartRequest"]
        first.ask("disconnect")
        assert "no session is running" in second.refused("attach")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_user_of_this_machine_is_not_served(cli: Cli) -> None:
    process = cli.start("dap", "--listen", "127.0.0.1:0")
    assert process.stdout is not None
    port = process.stdout.readline().strip().rpartition(":")[2]
    other = f"exec 3<>/dev/tcp/127.0.0.1/{port}; head -c 1 <&3"
    told = subprocess.run(["/bin/bash", "-c", other], user=65534, check=False, capture_output=True, cwd="/", timeout=30)
    assert told.stdout == b""
    process.terminate()
    assert "a connection from another user was refused" in process.communicate(timeout=30)[1]
