# SPDX-License-Identifier: Apache-2.0
"""Pages on the real kernel, beside a real gdb: what it has read costs them nothing, and they step as it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nullmodem.frontends.web.server import WebServer
from support.gdb import EVERY_KERNEL_AND_GDB
from support.pages import FILES, Page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Bench

pytestmark = [
    pytest.mark.vm,
    pytest.mark.gdb,
    pytest.mark.parametrize("booted", EVERY_KERNEL_AND_GDB[:1], indirect=True, scope="module"),
]

READ = "head -c5 /dev/simple"


@pytest.fixture
def page(shared_bench: Bench) -> Iterator[Page]:
    """A page on a machine whose module is loaded."""
    shared_bench.build("counter", module="simple")
    server = WebServer(shared_bench.machine, files=FILES)
    try:
        page = Page(server.key)
        shared_bench.machine.load("simple").wait()
        yield page
        page.close()
    finally:
        server.close()


def stopped(page: Page) -> dict[str, Any]:
    stop: dict[str, Any] = page.until("state", state="stopped")["stop"]
    return stop


def look(page: Page, stop: dict[str, Any]) -> tuple[Any, Any, Any]:
    """What a page asks for at every stop."""
    thread = stop["thread"]
    stack = page.ask("stack", thread=thread)
    variables = page.ask("locals", thread=thread, level=0)
    page.ask("registers", thread=thread, level=0)
    threads = page.ask("threads")
    page.ask("source", file=stop["place"]["file"])
    return stack, variables, threads


def named(variables: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(each for each in variables if each["name"] == name)


def test_what_gdb_has_read_costs_a_page_no_byte(shared_bench: Bench, page: Page) -> None:
    bench = shared_bench
    gdb = bench.gdb()
    gdb("break simple_read")
    reading = bench.start(gdb, READ)
    assert "simple_read" in gdb.wait()
    for command in ("bt", "info locals", "info args", "info registers", "info threads"):
        gdb(command)
    before = bench.machine.live.cost
    stop = stopped(page)
    while stop["place"]["function"] != "simple_read":
        stop = stopped(page)
    stack, variables, threads = look(page, stop)
    cost = bench.machine.live.cost - before
    assert stack[0]["function"] == "simple_read"
    assert named(variables, "len")["value"] == "5"
    assert any(thread["current"] for thread in threads)
    assert (cost.bytes_out, cost.bytes_in, cost.round_trips) == (0, 0, 0)
    gdb("delete")
    bench.finish(gdb, reading)
    bench.interrupt(gdb)
    gdb("detach")


def test_a_page_alone_debugs_a_module(shared_bench: Bench, page: Page) -> None:
    bench = shared_bench
    made = page.ask("break_at", function="simple_read", condition="simple_counter == 1")
    assert (made["verified"], made["module"]) == (True, "simple")
    bench.sh(READ)
    reading = bench.machine.run(READ)
    stop = stopped(page)
    stack, variables, _threads = look(page, stop)
    assert [frame["function"] for frame in stack[:2]] == ["simple_read", "vfs_read"]
    file = named(variables, "file")
    members = page.ask("children", ref=file["ref"])
    path = page.ask("children", ref=named(members, "f_path")["ref"])
    dentry = page.ask("children", ref=named(path, "dentry")["ref"])
    name = page.ask("children", ref=named(dentry, "d_name")["ref"])
    assert '"simple"' in named(name, "name")["value"]
    line = stop["place"]["line"]
    page.ask("next")
    following = stopped(page)
    assert following["place"]["function"] == "simple_read"
    assert following["place"]["line"] > line
    assert following["reason"] == "step"
    page.ask("finish")
    assert stopped(page)["place"]["function"] == "vfs_read"
    seen = page.ask("recorded", stop=stop["number"])
    kept = named(seen["locals"]["0"], "file")
    assert named(named(kept["children"], "f_path")["children"], "dentry")["children"]
    assert seen["stack"][0]["function"] == "simple_read"
    assert "of a stop that is over" in page.refused("children", ref=file["ref"])
    code = page.ask("disassembly", thread=stop["thread"], level=0)
    assert any(each["text"].startswith("call") for each in code)
    page.ask("remove", breakpoint=made["id"])
    page.ask("continue")
    assert reading.result().code == 0
    assert page.ask("unload", name="simple") == {"stopped": False}
    assert page.ask("load", name="simple") == {"stopped": False}


@pytest.mark.parametrize("command", ["next", "finish", "stack", "break_at"])
def test_a_page_that_vanishes_in_the_middle_leaves_nothing_behind(
    shared_bench: Bench, page: Page, command: str
) -> None:
    bench = shared_bench
    page.ask("break_at", function="simple_read")
    reading = bench.machine.run(READ)
    stop = stopped(page)
    arguments = {"stack": {"thread": stop["thread"]}, "break_at": {"function": "vfs_write"}}.get(command, {})
    page.send(command, **arguments)
    page.vanish()
    assert reading.result().code == 0
    bench.machine.live.wait_until_running(30)
    while bench.machine.live.clients():
        bench.sh("true")
    assert bench.machine.live.holder() == ""
    assert bench.machine.live.look_into(lambda session: session.table.wanted) == frozenset()
    bench.sh(READ)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_page_and_gdb_agree_at_200_stops(shared_bench: Bench, page: Page) -> None:
    bench, stops = shared_bench, 200
    gdb = bench.gdb()
    gdb("break simple_read")
    reading = bench.start(gdb, f"for i in $(seq {stops}); do {READ}; done")
    for count in range(1, stops + 1):
        gdb.wait()
        assert bench.machine.live.stop is not None
        number = bench.machine.live.stop.number
        while (stop := stopped(page))["number"] != number:  # gdb steps off its breakpoint first, which a page sees
            pass
        _stack, variables, _threads = look(page, stop)
        values = {name: int(gdb(f"print/d {name}").rpartition("= ")[2]) for name in ("len", "simple_counter")}
        assert int(gdb("print/x (unsigned long)$pc").rpartition("= ")[2], 16) == int(stop["place"]["pc"], 16)
        assert gdb("info line").startswith(f"Line {stop['place']['line']} of")
        assert (int(named(variables, "len")["value"]), values["simple_counter"]) == (values["len"], count - 1)
        if count == stops:
            gdb("delete")
            break
        gdb.send("continue")
    bench.finish(gdb, reading)
    bench.interrupt(gdb)
    gdb("detach")
