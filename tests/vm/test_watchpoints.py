# SPDX-License-Identifier: Apache-2.0
"""Watchpoints and hardware breakpoints: every touch is seen, where it happened, and no other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from conftest import Bench
    from nullmodem.testing.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.one_pair]

RUN = "/sys/module/watched/parameters/run"


@pytest.fixture
def watched(shared_bench: Bench) -> Bench:
    shared_bench.build("watched")
    shared_bench.machine.load("watched").wait()
    return shared_bench


def touches(bench: Bench, gdb: Gdb, amount: int) -> list[tuple[str, str, str]]:
    """Put ``amount`` through the module's functions: (function, old value, new value) of every stop on the way."""
    gdb("tbreak show_refcnt")  # is called last
    command = bench.start(gdb, f"echo {amount} > {RUN}; cat /sys/module/watched/refcnt")
    seen = []
    said = gdb.wait()
    while "show_refcnt (" not in said:
        function = re.search(r"(\w+) \([^()]*\) at ", said)
        values = [re.search(rf"^{pattern} = (.+)$", said, re.MULTILINE) for pattern in ("Old value", "(?:New v|V)alue")]
        old, new = (found[1] if found else "" for found in values)
        seen.append((function[1] if function else said, old, new))
        said = gdb("continue")
    bench.finish(gdb, command)
    bench.interrupt(gdb)
    return seen


def test_a_watchpoint_stops_behind_every_write_with_the_value_before_and_after(watched: Bench) -> None:
    gdb = watched.gdb()
    assert gdb("watch watched.value").startswith("Hardware watchpoint 1")
    assert touches(watched, gdb, 5) == [
        ("watched_assign", "0", "5"),
        ("watched_increment", "5", "6"),
        ("watched_double", "6", "12"),
    ]
    # The next run writes 12 over 12: nothing has changed, and nothing is shown.
    assert touches(watched, gdb, 12) == [("watched_increment", "12", "13"), ("watched_double", "13", "26")]
    assert "already hit 5 times" in gdb("info breakpoints")


def test_a_watchpoint_on_a_whole_struct_sees_each_member(watched: Bench) -> None:
    gdb = watched.gdb()
    gdb("watch watched")
    assert [function for function, _old, _new in touches(watched, gdb, 3)] == [
        "watched_assign",
        "watched_disturb",
        "watched_increment",
        "watched_disturb",
        "watched_double",
    ]


def test_a_watchpoint_that_is_deleted_where_it_stopped_stops_nothing_more(watched: Bench) -> None:
    """The next two writes are those of the same task, at other places."""
    gdb = watched.gdb()
    gdb("watch watched.value")
    running = watched.start(gdb, f"echo 5 > {RUN}")
    assert "watched_assign (" in gdb.wait()
    gdb("delete")
    watched.finish(gdb, running)
    watched.interrupt(gdb)


def test_a_watchpoint_that_is_set_where_another_stopped_stops_as_well(watched: Bench) -> None:
    gdb = watched.gdb()
    gdb("watch watched.value")
    running = watched.start(gdb, f"echo 5 > {RUN}")
    assert "watched_assign (" in gdb.wait()
    gdb("watch watched.other")
    assert "watched_disturb (" in gdb("continue")
    gdb("delete")
    watched.finish(gdb, running)
    watched.interrupt(gdb)


def test_a_read_watchpoint_sees_the_read_and_no_write(watched: Bench) -> None:
    gdb = watched.gdb()
    assert "read watchpoint" in gdb("rwatch watched.value")
    reads = touches(watched, gdb, 5)
    # An increment reads too, but what it reads has changed when the processor says so.
    assert reads[-1] == ("watched_peek", "", "12")
    assert {function for function, _old, _new in reads} == {"watched_peek"}


def test_an_access_watchpoint_sees_reads_and_writes(watched: Bench) -> None:
    gdb = watched.gdb()
    assert "access" in gdb("awatch watched.value")
    assert touches(watched, gdb, 5) == [
        ("watched_assign", "0", "5"),
        ("watched_increment", "5", "6"),
        ("watched_double", "6", "12"),
        ("watched_peek", "", "12"),
    ]


def test_a_conditional_watchpoint_stops_where_its_condition_holds(watched: Bench) -> None:
    gdb = watched.gdb()
    gdb("watch watched.value if watched.value == 12")
    assert touches(watched, gdb, 5) == [("watched_double", "6", "12")]


def test_a_write_by_the_instruction_a_breakpoint_stands_on_is_seen(watched: Bench) -> None:
    gdb = watched.gdb()
    gdb("watch watched.value")
    gdb("break *watched_increment")
    assert ("watched_increment", "5", "6") in touches(watched, gdb, 5)


def test_hardware_breakpoints_stop_where_they_stand(watched: Bench) -> None:
    gdb = watched.gdb()
    assert "Hardware assisted breakpoint 1" in gdb("hbreak watched_increment")
    assert "Hardware assisted breakpoint" in gdb("thbreak watched_double")
    assert [function for function, _old, _new in touches(watched, gdb, 5)] == ["watched_increment", "watched_double"]
    assert [function for function, _old, _new in touches(watched, gdb, 5)] == ["watched_increment"]
    gdb("hbreak do_init_module")
    watched.build("noinit")
    said, insmod = watched.load(gdb, "noinit")
    assert "do_init_module (mod=" in said
    assert '"noinit"' in gdb("print mod->name")
    watched.finish(gdb, insmod)


def test_the_processor_has_four_and_a_fifth_is_refused_with_the_reason(watched: Bench) -> None:
    gdb = watched.gdb()
    for function in ("assign", "disturb", "increment", "double", "peek"):
        gdb(f"hbreak watched_{function}")
    said = gdb("continue")
    assert re.search("(Could not|Cannot) insert hardware breakpoint", said)
    if "Remote failure" in said:  # only newer gdbs show the reason
        assert "no debug register left" in said
    gdb("delete 5")
    assert [function for function, _old, _new in touches(watched, gdb, 5)][:3] == [
        "watched_assign",
        "watched_disturb",
        "watched_increment",
    ]


def test_a_watchpoint_ends_with_its_module_and_comes_back_with_it(
    watched: Bench, request: pytest.FixtureRequest
) -> None:
    if "gdb-13.1" in request.node.name:
        reason = "gdb 13.1 evaluates the expression with the types it has just freed, and dies"
        request.applymarker(pytest.mark.xfail(raises=pexpect.EOF, strict=True, reason=reason))
    watched.build("simple")
    gdb = watched.gdb()
    gdb("watch watched.value")
    rmmod = watched.start(gdb, lambda: watched.machine.unload("watched"))
    assert rmmod.wait(60).result is not None
    insmod = watched.machine.load("simple")
    assert insmod.wait(60).result is not None
    assert watched.sh("cat /dev/simple") == "hello"
    insmod = watched.machine.load("watched")
    assert insmod.wait(60).result is not None
    watched.interrupt(gdb)
    assert touches(watched, gdb, 2) == [
        ("watched_assign", "0", "2"),
        ("watched_increment", "2", "3"),
        ("watched_double", "3", "6"),
    ]
