# SPDX-License-Identifier: Apache-2.0
"""An editor and a gdb in a terminal on one session, hundreds of stops long: both say where it stands, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.testing.gdb import Gdb
from support.editing import caught_up
from support.gdb import debian, quick_start

if TYPE_CHECKING:
    from support.editing import Desk

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.soak]

STOPS = 200
VALUES = ("simple_count", "simple_length", "simple_text[0]")
PLACES = ('simple_counted("read")', 'simple_counted("open")', 'simple_counted("release")')


class Both:
    """The two. Who is not the one that has the target go on waits for its next stop, as a user would have it wait."""

    def __init__(self, desk: Desk, gdb: Gdb) -> None:
        self.desk = desk
        self.gdb = gdb
        self.thread = 0
        self.stops = 0

    def editor_goes(self, command: str) -> None:
        self.gdb.send("continue")
        self.desk.editor.ask(command, threadId=self.thread)
        self._stopped()

    def gdb_goes(self, command: str) -> None:
        self.gdb.send(command)
        self._stopped()

    def used(self) -> None:
        """The target runs, and is used until it stops."""
        self.gdb.send("continue")
        self.desk.go_on()
        self.desk.use()
        self._stopped()

    def _stopped(self) -> None:
        """Both are shown the stop at the end; a step over a call has others before, which either may be shown too."""
        self.gdb.wait()
        self.thread = caught_up(self.desk.editor, self.desk.remote)
        self.stops += 1
        self._agree()

    def _agree(self) -> None:
        editor, gdb = self.desk.editor, self.gdb
        stop = self.desk.remote.status().target.stop
        assert stop is not None
        while int(gdb("output (unsigned long)$pc")) != int(stop.pc):  # it was shown one on the way
            gdb("continue")
        frame = editor.frames(self.thread, 1)[0]
        assert int(frame["instructionPointerReference"], 16) == int(stop.pc)
        shown = gdb("frame")
        assert f"{frame['name']} (" in shown
        assert f"/{frame['source']['name']}:{frame['line']}" in shown
        for value in VALUES:
            seen = editor.ask("evaluate", expression=value, frameId=frame["id"], context="watch")["result"]
            assert gdb(f"output {value}") == seen
        assert self.desk.remote.status().target.stop == stop


def one_reading(both: Both) -> None:
    """The device is opened, read and closed; the editor leads at first, the gdb then, and the editor again.

    It is the editor that leads away from its own breakpoints: see `nullmodem dap` in docs/how-to/two-debuggers.md.
    """
    desk, gdb = both.desk, both.gdb
    desk.editor.repl("monitor take")
    both.used()
    both.editor_goes("next")
    both.editor_goes("next")
    gdb("monitor take")
    for command in ("next", "next"):
        both.gdb_goes(command)
    desk.editor.repl("monitor take")
    for command in ("continue", "stepIn", "stepOut", "next", "continue", "continue", "stepIn", "stepOut"):
        both.editor_goes(command)
    gdb.send("continue")
    desk.go_on()
    desk.join()
    gdb.interrupt()
    gdb.wait()
    desk.stop(reason="pause")


def test_an_editor_and_a_gdb_agree_at_every_stop(desk: Desk) -> None:
    desk.remote.load("simple", ["greeting=hi"])
    desk.break_at(*PLACES)
    address = desk.remote.status().gdb[-1]
    with Gdb(debian(), *quick_start(debian()), desk.remote.status().target.vmlinux) as gdb:
        gdb(f"target remote {address}")
        both = Both(desk, gdb)
        desk.stop(reason="pause")
        while both.stops < STOPS:
            one_reading(both)
        gdb("detach")
        gdb.quit()
