# SPDX-License-Identifier: Apache-2.0
"""A gdb in a terminal, an editor and a page on one session, hundreds of stops long: all say where it stands, and with
what."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING, Any

import pytest

from nullmodem.testing.gdb import Gdb
from support.editing import caught_up
from support.gdb import debian, quick_start
from support.pages import Page, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.editing import Desk

pytestmark = [pytest.mark.vm, pytest.mark.gdb]

GLOBALS = ("simple_count", "simple_length", "simple_text[0]")
PLACES = ('simple_counted("read")', 'simple_counted("open")', 'simple_counted("release")')
BEFORE = re.compile(r"\([^()]+\) |<error: Cannot access memory at address |0x[0-9a-f]+ (= )?(?=\")")
"""What stands before a value: gdb writes a type there, and an address before a string, as the page does; gdb's
adapter shows a string that cannot be read as an error."""
VALUE = re.compile(r"0x[0-9a-f]+|-?\d+|\".*\"|<optimized out>")


@pytest.fixture
def page(desk: Desk) -> Iterator[Page]:
    """A page of a `nullmodem web`."""
    process = desk.cli.start("web")
    assert process.stdout is not None
    page = Page(key_of(process.stdout.readline()))
    yield page
    page.close()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def bare(value: str) -> int | str | None:
    """A number, a pointer, or a string that one points to; anything else each program writes in its own way."""
    found = VALUE.match(BEFORE.sub("", value, count=1))
    if found is None:
        return None
    return found[0] if found[0][0] in '"<' else int(found[0], 0)


class Three:
    """The three. Who is not the one that has the target go on waits for its next stop, as a user would have it wait."""

    def __init__(self, desk: Desk, gdb: Gdb, page: Page) -> None:
        self.desk = desk
        self.gdb = gdb
        self.page = page
        self.thread = 0
        self.stops = 0
        self.values = 0

    def editor_goes(self, command: str) -> None:
        self.gdb.send("continue")
        self.desk.editor.ask(command, threadId=self.thread)
        self._stopped()

    def gdb_goes(self, command: str) -> None:
        self.gdb.send(command)
        self._stopped()

    def page_goes(self, command: str) -> None:
        self.gdb.send("continue")
        self.page.ask(command)
        self._stopped()

    def used(self) -> None:
        """The target runs, and is used until it stops."""
        self.gdb.send("continue")
        self.desk.go_on()
        self.desk.use()
        self._stopped()

    def _stopped(self) -> None:
        """All are shown the stop at the end; a step over a call has others before, which any may be shown too."""
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
        seen = self._page_at(stop.number)
        assert (int(seen["place"]["pc"], 16), seen["place"]["function"]) == (int(stop.pc), frame["name"])
        assert seen["place"]["line"] == frame["line"]
        self._same_values(frame, seen["thread"])
        assert self.desk.remote.status().target.stop == stop

    def _page_at(self, number: int) -> dict[str, Any]:
        """What the page shows of a stop, which it may have been told of already."""

        def there(shown: dict[str, Any]) -> bool:
            stop = shown.get("state", {}).get("stop")
            return bool(stop) and stop["number"] == number

        stop: dict[str, Any] = self.page.when(there)["state"]["stop"]
        return stop

    def _same_values(self, frame: dict[str, Any], thread: int) -> None:
        editor, gdb = self.desk.editor, self.gdb
        for name in GLOBALS:
            asked = editor.ask("evaluate", expression=name, frameId=frame["id"], context="watch")
            assert gdb(f"output {name}") == asked["result"]
        told = gdb("info args") + "\n" + gdb("info locals")
        terminal = {name: bare(value) for name, value in re.findall(r"^(\w+) = (.*)$", told, re.MULTILINE)}
        same = [name for name, value in terminal.items() if value is not None]
        scopes = editor.scope(frame["id"], "Arguments") | editor.scope(frame["id"], "Locals")
        variables = self.page.ask("locals", thread=thread, level=0)
        page = {each["name"]: each["value"] for each in variables}
        assert set(scopes) == set(page) == set(terminal)
        for name in same:
            assert bare(scopes[name]["value"]) == bare(page[name]) == terminal[name], name
        self.values += len(same)


def one_reading(three: Three) -> None:
    """The device is opened, read and closed; each of the three leads in its turn."""
    desk, gdb, page = three.desk, three.gdb, three.page
    desk.editor.repl("monitor take")
    three.used()
    three.editor_goes("next")
    three.editor_goes("next")
    gdb("monitor take")
    for command in ("next", "next"):
        three.gdb_goes(command)
    page.ask("take")
    three.page_goes("next")
    desk.editor.repl("monitor take")
    for command in ("continue", "stepIn", "stepOut", "next", "continue"):
        three.editor_goes(command)
    desk.editor.repl("monitor take")
    for command in ("continue", "stepIn", "stepOut"):
        three.editor_goes(command)
    gdb.send("continue")
    desk.go_on()
    desk.join()
    gdb.interrupt()
    gdb.wait()
    desk.stop(reason="pause")


@pytest.mark.parametrize("stops", [14, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
def test_they_agree_at_every_stop(desk: Desk, page: Page, stops: int) -> None:
    desk.remote.load("simple", ["greeting=hi"])
    desk.break_at(*PLACES)
    address = desk.remote.status().gdb[-1]
    with Gdb(debian(), *quick_start(debian()), desk.remote.status().target.vmlinux) as gdb:
        gdb(f"target remote {address}")
        three = Three(desk, gdb, page)
        desk.stop(reason="pause")
        while three.stops < stops:
            one_reading(three)
        assert three.values >= stops
        gdb("detach")
        gdb.quit()
