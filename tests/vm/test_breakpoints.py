# SPDX-License-Identifier: Apache-2.0
"""Every kind of breakpoint gdb has, set before its module is there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Bench
    from nullmodem.testing.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb]

WORK = "echo {} > /sys/module/lines/parameters/work"


def work(*amounts: int) -> str:
    """A command that makes the module work on each."""
    return "; ".join(WORK.format(amount) for amount in amounts)


def marked_line(source: Path) -> int:
    """The number of the line the module's source marks as the one to break on."""
    lines = source.joinpath("lines.c").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if "/* the line to break on */" in line)


@pytest.fixture
def lines(shared_bench: Bench) -> Bench:
    shared_bench.build("lines")
    return shared_bench


@pytest.fixture
def loaded(lines: Bench) -> Bench:
    """With the module loaded before any gdb comes."""
    lines.machine.load("lines").wait()
    return lines


@pytest.fixture
def gdb(lines: Bench) -> Gdb:
    """A gdb that shows an argument's value once, whether or not it knows what it was on entry."""
    gdb = lines.gdb()
    gdb("set print entry-values no")
    return gdb


def going_on(bench: Bench, gdb: Gdb) -> str:
    """What gdb says when it continues past breakpoints that cannot be set, up to a Ctrl-C."""
    gdb.send("continue")
    bench.machine.live.wait_until_running(60)
    return bench.interrupt(gdb)


def test_a_line_of_a_file_that_is_not_loaded_is_stopped_at_in_init_and_after(lines: Bench, gdb: Gdb) -> None:
    number = marked_line(lines.sources["lines"])
    assert "pending" in gdb(f"break lines.c:{number}")
    said, insmod = lines.load(gdb, "lines")
    assert "Breakpoint 1, lines_work (" in said
    assert f"lines.c:{number}\n{number}\t" in said
    assert gdb("print doubled") == "$1 = 40"
    assert "lines_init ()" in gdb("up")
    lines.finish(gdb, insmod)
    said, writer = lines.hit(gdb, work(5))
    assert "Breakpoint 1, lines_work (" in said
    assert gdb("print doubled") == "$2 = 10"
    assert "Value returned is $3 = 11" in gdb("finish")
    lines.finish(gdb, writer)
    assert lines.sh("cat /sys/module/lines/parameters/work") == "11\n"


def test_a_conditional_breakpoint_stops_where_its_condition_holds(lines: Bench, gdb: Gdb) -> None:
    gdb("break lines_work")
    gdb("condition 1 amount == 6")  # cannot be read before there is an `amount`
    gdb("condition -force 1 amount == 6")
    insmod = lines.start(gdb, lambda: lines.machine.load("lines"))
    assert insmod.wait(60, stops=False).result is not None
    said, writer = lines.hit(gdb, work(5, 6, 7))
    assert "lines_work (amount=6)" in said
    assert "breakpoint already hit 1 time" in gdb("info breakpoints")
    lines.finish(gdb, writer)
    assert lines.sh("cat /sys/module/lines/parameters/work") == "15\n"


def test_a_false_condition_costs_little_and_gdb_hears_nothing_of_it(loaded: Bench, gdb: Gdb) -> None:
    """A plain gdb is shown every hit: some 900 bytes each."""
    gdb("break lines_work if amount > 1000")
    writer = loaded.start(gdb, work(1))
    assert writer.wait(60, stops=False).result is not None  # everything is set for the first time
    stops, before = loaded.machine.live.stop, loaded.machine.live.cost
    loaded.sh(work(2, 3, 4, 5))
    cost = loaded.machine.live.cost - before
    print(f"four false hits: {cost}")
    assert loaded.machine.live.stop == stops
    assert cost.bytes_out + cost.bytes_in <= 4 * 290
    said, writer = loaded.hit(gdb, work(6, 1001))
    assert "lines_work (amount=1001)" in said
    assert gdb("print amount * 2").endswith("2002")
    loaded.finish(gdb, writer)


@pytest.mark.parametrize("style", ["agent", "gdb"])
def test_a_dprintf_prints_and_does_not_stop(loaded: Bench, gdb: Gdb, style: str) -> None:
    gdb(f"set dprintf-style {style}")
    gdb('dprintf lines_work,"works on %d\\n", amount')
    writer = loaded.start(gdb, work(7, -8))
    assert writer.wait(60, stops=False).result is not None
    said = loaded.interrupt(gdb)
    assert "works on 7" in said
    assert "works on -8" in said


def test_a_dprintf_may_have_a_condition(loaded: Bench, gdb: Gdb) -> None:
    gdb("set dprintf-style agent")
    gdb('dprintf lines_work,"works on %d\\n", amount')
    gdb("condition 1 amount < 0")
    writer = loaded.start(gdb, work(7, -8))
    assert writer.wait(60, stops=False).result is not None
    said = loaded.interrupt(gdb)
    assert "works on 7" not in said
    assert "works on -8" in said


def test_a_temporary_breakpoint_stops_once(lines: Bench, gdb: Gdb) -> None:
    assert "Temporary breakpoint 1 (lines_work) pending" in gdb("tbreak lines_work")
    said, insmod = lines.load(gdb, "lines")
    assert "Temporary breakpoint 1, lines_work (amount=20)" in said
    assert "No breakpoints" in gdb("info breakpoints")
    lines.finish(gdb, insmod)
    lines.sh(work(5))


def test_catch_load_stops_before_init_has_run_and_for_no_other_module(lines: Bench, gdb: Gdb) -> None:
    lines.build("noinit")
    gdb("catch load lines")
    other = lines.start(gdb, lambda: lines.machine.load("noinit"))
    assert other.wait(60, stops=False).result is not None
    said, insmod = lines.hit(gdb, lambda: lines.machine.load("lines"))
    assert "Catchpoint 1" in said
    assert re.search(r"Inferior loaded (?:\S+\n\s+)*\S*/lines\.ko", said)
    assert "do_init_module (" in said
    assert gdb("print lines_result") == "$1 = 0"
    assert gdb("print lines_version") == "$2 = 1"
    assert "lines.c" in gdb("break lines_init")
    assert "Breakpoint 2, lines_init () at" in gdb("continue")
    lines.finish(gdb, insmod)


def test_catch_unload_stops_when_the_module_goes(loaded: Bench, gdb: Gdb) -> None:
    gdb("catch unload lines")
    rmmod = loaded.start(gdb, lambda: loaded.machine.unload("lines"))
    said = gdb.wait()
    assert "Catchpoint 1" in said
    assert re.search(r"Inferior unloaded .*/lines\.ko", said)
    loaded.finish(gdb, rmmod)
    assert "lines: version 1 unloaded" in loaded.sh("dmesg")


def test_hits_are_counted_and_ignored_as_told(lines: Bench, gdb: Gdb) -> None:
    gdb("break lines_work")
    assert "Will ignore next 3 crossings" in gdb("ignore 1 3")
    insmod = lines.start(gdb, lambda: lines.machine.load("lines"))
    assert insmod.wait(60, stops=False).result is not None
    said, writer = lines.hit(gdb, work(1, 2, 3, 4))  # with init's own call three were passed over
    assert "lines_work (amount=3)" in said
    assert "breakpoint already hit 4 times" in gdb("info breakpoints")
    assert "lines_work (amount=4)" in gdb("continue")
    gdb("disable 1")
    lines.finish(gdb, writer)
    lines.sh(work(5))
    lines.interrupt(gdb)
    assert "breakpoint already hit 5 times" in gdb("info breakpoints")


def test_dprintf_prints_and_the_target_goes_on(lines: Bench, gdb: Gdb) -> None:
    number = marked_line(lines.sources["lines"])
    gdb(f'dprintf lines.c:{number},"amount %d doubled %d\\n", amount, doubled')
    insmod = lines.start(gdb, lambda: lines.machine.load("lines"))
    assert insmod.wait(60, stops=False).result is not None
    lines.sh(work(5, 6))
    said = lines.interrupt(gdb)
    assert re.findall(r"amount \d+ doubled \d+", said) == [
        "amount 20 doubled 40",
        "amount 5 doubled 10",
        "amount 6 doubled 12",
    ]


def test_breakpoint_commands_run_at_each_stop(loaded: Bench, gdb: Gdb) -> None:
    gdb("break lines_work")
    for line in ("commands 1", "silent", 'printf "worked on %d\\n", amount', "continue"):
        gdb.send(line)
    gdb("end")
    writer = loaded.start(gdb, work(5, 6))
    assert writer.wait(60, stops=False).result is not None
    said = loaded.interrupt(gdb)
    assert re.findall(r"worked on \d+", said) == ["worked on 5", "worked on 6"]


def test_breakpoints_in_the_kernel_itself_are_hit_in_a_modules_calls(loaded: Bench, gdb: Gdb) -> None:
    gdb("break param_attr_store")
    writer = loaded.start(gdb, work(5))
    assert "Breakpoint 1, param_attr_store (" in gdb.wait()
    assert '"5\\n"' in gdb("print buf")
    assert "work_set (" in gdb("tbreak work_set") + gdb("continue")
    assert "param_attr_store (" in gdb("bt 2")
    assert "Run till exit" in gdb("finish")
    loaded.finish(gdb, writer)


def test_a_breakpoint_where_none_may_be_is_not_set_and_harms_nobody(loaded: Bench, gdb: Gdb) -> None:
    gdb("break *&lines_result")  # data
    gdb("break lines_init")  # code that the kernel has freed
    going_on(loaded, gdb)
    assert gdb("info breakpoints").count("<PENDING>") == 2
    gdb("break start_kernel")  # the kernel's own, freed as well
    assert "annot insert breakpoint 3" in gdb("continue")
    gdb("delete 3")
    gdb("break lines_work")
    writer = loaded.start(gdb, work(5))
    assert "Breakpoint 4, lines_work (amount=5)" in gdb.wait()
    loaded.finish(gdb, writer)
