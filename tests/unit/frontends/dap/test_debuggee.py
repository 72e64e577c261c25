# SPDX-License-Identifier: Apache-2.0
"""What becomes of a session that the adapter has started: with a gdb, a machine and a process that are not there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.frontends.dap.configuration import Request, parse_configuration
from nullmodem.frontends.dap.debuggee import Debuggee
from nullmodem.frontends.dap.editor import Editor
from nullmodem.frontends.gdb.launch import Gdb
from support.conversing import GDB
from support.served import SECONDS, served_in_a_directory

if TYPE_CHECKING:
    from nullmodem.api.remote import RemoteMachine


class Process:
    """The process of a session, as far as its end goes."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def keep(self) -> None:
        self.ends.append("kept")

    def end(self, _remote: RemoteMachine | None) -> None:
        self.ends.append("ended")


@pytest.mark.parametrize(("commands", "end"), [([], "kept"), (["die"], "ended")], ids=["gdb lives", "gdb has ended"])
def test_a_session_is_kept_when_the_user_asks_for_it_and_not_when_it_has_ended(commands: list[str], end: str) -> None:
    over, process = threading.Event(), Process()
    configuration = parse_configuration(Request.LAUNCH, {"gdbCommands": commands, "showConsole": False})
    with served_in_a_directory() as served:
        debuggee = Debuggee(
            configuration,
            Editor(lambda _data: None),
            process,  # type: ignore[arg-type]
            served.remote,
            Gdb(str(GDB), (18, 1)),
            {},
            lambda _reason: over.set(),
        )
        debuggee.gdb.send("modules", None, lambda _answer: None)
        if commands:
            assert over.wait(SECONDS)
        debuggee.close(keep=True)
    assert process.ends == [end]
    assert over.is_set() == bool(commands)
