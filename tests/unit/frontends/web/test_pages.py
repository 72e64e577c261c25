# SPDX-License-Identifier: Apache-2.0
"""Pages as clients of a session: what they are told, what they may do, and what becomes of the target without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.api.source_files import SourceFiles
from nullmodem.session.model import ModulesChanged, Resumed, State
from support.rig import PID, Arrival, next_event

if TYPE_CHECKING:
    from pathlib import Path

    from support.pages import Page, Web
    from support.rig import Rig


LIVE, GOING = 0, 2


def code(rig: Rig) -> int:
    return rig.kernel.symbol("do_init_module") + 4


def hit(rig: Rig, page: Page) -> dict[str, object]:
    """The target comes to a breakpoint of this page's."""
    made = page.ask("break_at", function=hex(code(rig)))
    rig.happen(Arrival(int(made["address"], 16)))
    return page.until("state", state="stopped")


def test_a_page_is_told_everything_first(rig: Rig, web: Web) -> None:
    page = web.page()
    hello = page.receive()
    assert hello["type"] == "hello"
    assert hello["session"] == {
        "name": "fake", "target": "fake", "kernel": str(rig.kernel.path), "arch": rig.live.arch.name, "wire": ""
    }  # fmt: skip
    kernel = page.until("modules")["kernel"]
    assert int(kernel["start"], 16) == rig.live.text_address
    assert page.until("wire")["total"]["trips"] > 0
    state = page.until("state")
    assert (state["state"], state["stop"], state["holder"]) == ("running", None, "")
    assert page.until("breakpoints")["breakpoints"] == []
    assert [client.name for client in rig.live.clients()] == ["web"]


def test_a_stop_of_a_page_is_shown_and_ends_where_it_says(rig: Rig, web: Web) -> None:
    page = web.page()
    stopped = hit(rig, page)
    place = stopped["stop"]["place"]
    assert (stopped["stop"]["reason"], place["function"]) == ("breakpoint", "do_init_module")
    assert place["pc"] == hex(rig.live.stop.pc)
    page.when(lambda shown: shown["breakpoints"]["breakpoints"][0]["hits"] == 1)
    page.ask("continue")
    running = page.until("state", state="running")
    assert (running["holder"], running["mine"]) == ("web", True)
    rig.until(State.RUNNING)


def hits(page: Page, *wanted: int) -> None:
    """The page shows its breakpoints with so many hits."""
    page.when(lambda shown: tuple(each["hits"] for each in shown["breakpoints"]["breakpoints"]) == wanted)


def test_a_condition_that_fails_keeps_no_other_breakpoint_there_from_being_counted(rig: Rig, web: Web) -> None:
    page = web.page()
    page.ask("break_at", function=hex(code(rig)), condition="nobody > 1")
    page.ask("break_at", function=hex(code(rig)))
    rig.happen(Arrival(code(rig)))
    stopped = page.until("state", state="stopped")["stop"]
    assert stopped["reason"] == "breakpoint"
    assert "the breakpoint's condition: " in stopped["note"]
    assert "\n" not in stopped["note"], "it is one line at the head of the page"
    hits(page, 1, 1)
    page.ask("continue")
    rig.until(State.RUNNING)
    rig.happen(Arrival(code(rig)))
    page.until("state", state="stopped")
    hits(page, 2, 2)


def test_another_pages_hits_are_those_that_it_has_counted(rig: Rig, web: Web) -> None:
    page, other = web.page(), web.page()
    for each in (page, other):
        each.until("breakpoints")
    rig.break_in()
    for each in (page, other):
        each.when(lambda shown: shown["state"]["stop"])
        each.ask("break_at", function=hex(code(rig)))
    page.ask("continue")
    for count in (1, 2, 3):
        rig.until(State.RUNNING)
        rig.happen(Arrival(code(rig)))
        for each in (page, other):
            hits(each, count, count)
        page.ask("continue")


def test_a_step_that_ends_at_a_breakpoint_has_come_to_it(rig: Rig, web: Web) -> None:
    page = web.page()
    gdb = rig.gdb()
    gdb.attach()
    page.until("state", state="stopped")
    page.ask("break_at", function=hex(rig.live.stop.pc + 1))
    gdb.send(b"vCont;s:%x;c" % PID)
    gdb.stop()
    page.when(lambda shown: (shown["state"]["stop"] or {}).get("number") == rig.live.stop.number)
    hits(page, 1)
    assert page.shown["state"]["stop"]["place"]["pc"] == page.shown["breakpoints"]["breakpoints"][0]["address"]


def test_a_page_that_vanishes_leaves_nothing_behind(rig: Rig, web: Web) -> None:
    page = web.page()
    hit(rig, page)
    page.vanish()
    rig.until(State.RUNNING)
    assert rig.live.clients() == ()
    assert rig.live.holder() == ""
    assert rig.session.table.wanted == frozenset()
    assert rig.fake.running


def test_what_gdb_does_shows_and_gdb_is_named_when_it_holds_the_target(rig: Rig, web: Web) -> None:
    page = web.page()
    page.until("breakpoints")
    gdb = rig.gdb()
    gdb.attach()
    assert page.until("state", state="stopped")["stop"]["number"] == rig.live.stop.number
    assert gdb.ask(b"P0=0100000000000000") == b"OK"
    gdb.ask(b"Z0,%x,1" % code(rig))
    for command in ("continue", "next", "step", "finish"):
        assert "gdb holds the target" in page.refused(command)
    assert rig.live.is_stopped
    gdb.send(b"vCont;c")
    assert page.until("state", state="running")["holder"] == "gdb"
    (theirs,) = page.when(lambda shown: shown["breakpoints"]["breakpoints"])["breakpoints"]["breakpoints"]
    assert (theirs["owner"], theirs["mine"], theirs["address"]) == ("gdb", False, hex(code(rig)))
    assert "this page has no breakpoint" in page.refused("remove", breakpoint=theirs["id"])
    rig.happen(Arrival(code(rig)))
    gdb.stop()
    assert page.until("state", state="stopped")["stop"]["place"]["pc"] == hex(code(rig))
    assert page.ask("take") == {"holder": "gdb"}
    page.ask("continue")
    assert page.until("state", state="running")["mine"]


def test_a_page_that_comes_to_a_stop_is_shown_it_and_gdb_keeps_it(rig: Rig, web: Web) -> None:
    gdb = rig.gdb()
    gdb.attach()
    page = web.page()
    stopped = page.until("state")
    assert (stopped["state"], stopped["stop"]["number"]) == ("stopped", rig.live.stop.number)
    page.vanish()
    gdb.ask(b"qC")
    assert rig.live.is_stopped


def test_anybody_may_pause(rig: Rig, web: Web) -> None:
    page = web.page()
    page.ask("pause")
    assert page.until("state", state="stopped")["stop"]["reason"] == "interrupt"
    page.ask("continue")
    rig.until(State.RUNNING)


@pytest.mark.parametrize("command", ["continue", "next", "step", "finish", "threads"])
def test_what_needs_a_stop_is_refused_while_the_target_runs(rig: Rig, web: Web, command: str) -> None:
    assert "the target runs" in web.page().refused(command)
    assert rig.fake.running


def test_the_console_is_shown_and_typed_on(rig: Rig, web: Web) -> None:
    web.target.line.sendall(b"before\r\n")
    web.target.console.wait("before", 10)
    page = web.page()
    assert page.receive()["console"] == "before\n"
    web.target.line.sendall(b"<b>\xff\x1b[31m\r\n")
    assert page.until("console")["text"] == "<b>\N{REPLACEMENT CHARACTER}\x1b[31m\r\n"
    page.ask("type", text="ls\r")
    assert web.target.line.recv(10) == b"ls\r"
    web.stand_still()
    assert "the target is stopped" in page.refused("type", text="x")
    assert "4096 characters" in page.refused("type", text="x" * 5000)


def test_modules_come_and_go_with_their_sections_and_breakpoints_follow(rig: Rig, web: Web, module_path: Path) -> None:
    page = web.page()
    page.until("breakpoints")
    waiting = page.ask("break_at", function="example_init", pending=True)
    assert (waiting["verified"], waiting["address"], waiting["owner"]) == (False, None, "this page")
    loaded = rig.load(module_path)
    rig.happen(rig.module_loads(loaded), Arrival(loaded.sections[".init.text"]))
    shown = page.when(lambda shown: shown["modules"]["modules"] and shown["state"]["stop"])
    (module,) = shown["modules"]["modules"]
    sections = {each["name"]: each for each in module["sections"]}
    assert (module["name"], module["stale"]) == ("fake_mod", False)
    kinds = {".text": "text", ".init.text": "init", ".data": "data", ".rodata": "rodata"}
    assert {name: sections[name]["kind"] for name in kinds} == kinds
    assert int(sections[".text"]["start"], 16) == loaded.sections[".text"]
    assert not sections[".init.text"]["freed"]
    stopped = shown["state"]["stop"]
    assert stopped["place"]["module"] == "fake_mod"
    assert stopped["place"]["file"].endswith("fakemodule.c")
    (own,) = page.when(lambda shown: shown["breakpoints"]["breakpoints"][0]["hits"])["breakpoints"]["breakpoints"]
    assert (own["verified"], own["module"], own["id"]) == (True, "fake_mod", waiting["id"])
    files = page.ask("files")
    assert [each["module"] for each in files] == ["fake_mod"]
    source = page.ask("source", file=files[0]["path"])
    assert "example_init" in source["text"]
    assert stopped["place"]["line"] in source["lines_with_code"]
    page.ask("remove", breakpoint=own["id"])
    assert page.when(lambda shown: not shown["breakpoints"]["breakpoints"])
    page.ask("continue")
    rig.until(State.RUNNING)


def told(rig: Rig) -> None:
    """Wait until everybody knows of a module, and the target runs again."""
    next_event(rig.events, ModulesChanged)
    next_event(rig.events, Resumed)
    rig.settle()


def test_a_module_is_live_and_gone_as_soon_as_the_kernel_says_so(rig: Rig, web: Web, module_path: Path) -> None:
    page = web.page()
    page.until("breakpoints")
    loaded = rig.load(module_path)
    rig.happen(rig.module_loads(loaded))
    page.when(lambda shown: [each["state"] for each in shown["modules"]["modules"]] == ["coming"])
    told(rig)
    rig.happen(rig.module_event(loaded, LIVE))
    page.when(lambda shown: [each["state"] for each in shown["modules"]["modules"]] == ["live"])
    (module,) = page.shown["modules"]["modules"]
    assert {each["name"] for each in module["sections"] if each["freed"]} >= {".init.text"}
    rig.settle()
    assert rig.fake.running
    assert page.shown["state"]["stop"] is None
    rig.happen(rig.module_event(loaded, GOING))
    page.when(lambda shown: not shown["modules"]["modules"])
    told(rig)
    rig.happen(rig.module_loads(rig.load(module_path)))
    (again,) = page.when(lambda shown: shown["modules"]["modules"])["modules"]["modules"]
    assert again["load"] != module["load"], "its file may be another build, though nothing else tells"
    told(rig)


def test_everybodys_breakpoints_and_watchpoints_are_shown_with_their_owners(rig: Rig, web: Web) -> None:
    page = web.page()
    page.until("breakpoints")
    other = web.page()
    other.until("breakpoints")
    gdb = rig.gdb()
    gdb.attach()
    page.until("state", state="stopped")
    made = other.ask("break_at", function=hex(code(rig)), condition="size > 4")
    waits = other.ask("break_at", function="example_init", pending=True)
    assert (made["owner"], made["mine"]) == ("this page", True)

    def shown() -> list[tuple[object, ...]]:
        fields = ("owner", "mine", "id", "condition", "verified", "hits")
        return [tuple(each[name] for name in fields) for each in page.shown["breakpoints"]["breakpoints"]]

    theirs = [("page 2", False, 0, "size > 4", True, 0), ("page 2", False, 0, "", False, 0)]
    page.when(lambda _shown: shown() == theirs)
    watched = rig.kernel.symbol("modules")
    assert gdb.ask(b"Z2,%x,10" % watched) == b"OK"
    gdb.ask(b"Z0,%x,1" % (code(rig) + 1))
    gdb.send(b"vCont;c")
    gdbs = [("gdb", False, 0, "", True, None)] * 2
    page.when(lambda _shown: shown() == theirs + gdbs)
    breakpoint_, watchpoint = page.shown["breakpoints"]["breakpoints"][2:]
    assert breakpoint_["address"] == hex(code(rig) + 1)
    assert watchpoint["watches"] == "write of 16 bytes at modules"
    other.ask("remove", breakpoint=waits["id"])
    page.when(lambda _shown: shown() == theirs[:1] + gdbs)
    rig.happen(Arrival(code(rig) + 1))
    gdb.stop()
    gdb.ask(b"z0,%x,1" % (code(rig) + 1))
    gdb.ask(b"z2,%x,10" % watched)
    other.vanish()
    page.when(lambda _shown: shown() == gdbs)
    gdb.ask(b"Z2,%x,10" % watched)
    gdb.send(b"vCont;s:%x" % PID)  # off its breakpoint, which gdb leaves out for that
    gdb.stop()
    gdb.ask(b"z2,%x,10" % watched)
    late = web.page()
    late.when(lambda shown: shown.get("breakpoints"))
    assert [each["owner"] for each in late.shown["breakpoints"]["breakpoints"]] == ["gdb", "gdb"]


def test_the_timeline_keeps_what_happened_and_what_was_seen(rig: Rig, web: Web) -> None:
    page = web.page()
    number = hit(rig, page)["stop"]["number"]
    recorded = page.ask("recorded", stop=number)
    assert (recorded["number"], recorded["reason"], recorded["stack"]) == (number, "breakpoint", [])
    assert "nothing is kept of stop 99" in page.refused("recorded", stop=99)
    page.ask("continue")
    rig.until(State.RUNNING)
    page.vanish()
    history = web.page().receive()["history"]
    assert ("stop", number) in {(entry["kind"], entry["stop"]) for entry in history}
    assert "resume" in {entry["kind"] for entry in history}
    assert [entry["seq"] for entry in history] == list(range(1, len(history) + 1))


def test_source_files_are_read_beside_the_session_and_kept(rig: Rig, module_path: Path) -> None:
    loaded = rig.load(module_path)
    rig.happen(rig.module_loads(loaded))
    rig.settle()
    (module,) = rig.live.modules()
    files = SourceFiles(rig.live, lambda: ())
    found = files.by_module()
    assert list(found) == [module.name]
    assert module.instance is not None
    assert rig.session.world.lines._tables == {}
    module.instance.unlink()
    assert files.by_module() == found
