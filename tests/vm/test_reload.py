# SPDX-License-Identifier: Apache-2.0
"""Breakpoints outlive their module: unloaded, rebuilt with other lines, loaded again at another address."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import BuildError
from support.modules import module_directory

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Bench
    from nullmodem.testing.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.one_pair]

WORK = "echo 5 > /sys/module/lines/parameters/work"


def line_of(text: str, directory: Path) -> int:
    """The number of the first line of lines.c that holds ``text``."""
    lines = (directory / "lines.c").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def change_source(bench: Bench, version: str) -> Path:
    """Put the source of another version where the module was built from; returns its directory."""
    directory = bench.sources["lines"]
    shutil.copy(module_directory(version) / "lines.c", directory / "lines.c")
    return directory


@pytest.fixture
def lines(shared_bench: Bench) -> Bench:
    """The first version of the module, built and loaded."""
    shared_bench.build("lines")
    change_source(shared_bench, "lines")
    shared_bench.machine.build(shared_bench.sources["lines"])
    shared_bench.machine.load("lines").wait()
    return shared_bench


@pytest.fixture
def gdb(lines: Bench) -> Gdb:
    gdb = lines.gdb()
    gdb("set print entry-values no")
    return gdb


def test_a_rebuilt_module_is_stopped_in_where_its_functions_are_now(lines: Bench, gdb: Gdb) -> None:
    source = lines.sources["lines"]
    first = lines.machine.live.module("lines")
    gdb("break lines_work")
    gdb("break lines_init")
    gdb("break lines_exit")
    writer = lines.start(gdb, WORK)
    said = gdb.wait()
    before = line_of("int doubled", source)
    assert "Breakpoint 1, lines_work (amount=5)" in said
    gdb("next")
    assert gdb("print doubled") == "$1 = 10"
    lines.finish(gdb, writer)

    change_source(lines, "lines-moved")
    assert line_of("int doubled", source) != before
    said, reload = lines.hit(gdb, lambda: lines.machine.reload("lines"))
    assert "Breakpoint 3, lines_exit () at" in said
    assert "version 1" in lines_version(gdb)
    said = gdb("continue")
    assert "Breakpoint 2, lines_init () at" in said
    assert "version 2" in lines_version(gdb)
    said = gdb("continue")
    assert "Breakpoint 1, lines_work (amount=20)" in said
    shown = int(re.findall(r"^(\d+)\t", said, re.MULTILINE)[-1])
    assert line_of("static noinline int lines_work", source) < shown <= line_of("lines_record(amount);", source)
    assert "lines_init ()" in gdb("bt 2")
    lines.finish(gdb, reload)

    # By line, in the new text: the breakpoint on a function only the new version has, too.
    lines.interrupt(gdb)
    number = line_of("/* the line to break on */", source)
    gdb(f"break lines.c:{number}")
    gdb("break lines_record")
    writer = lines.start(gdb, WORK)
    assert "Breakpoint 1, lines_work (" in gdb.wait()
    assert "Breakpoint 5, lines_record (amount=5)" in gdb("continue")
    said = gdb("continue")
    assert f"lines.c:{number}\n{number}\t" in said
    lines.finish(gdb, writer)
    assert lines.sh("cat /sys/module/lines/parameters/work") == "12\n"
    second = lines.machine.live.module("lines")
    assert second.instance != first.instance
    assert second.loaded.build_id != first.loaded.build_id


def lines_version(gdb: Gdb) -> str:
    """Which build gdb takes the module for."""
    return f"version {gdb('output lines_version')}"


def test_a_module_loaded_at_another_address_is_stopped_in_there(lines: Bench, gdb: Gdb) -> None:
    lines.build("simple")
    gdb("break lines_work")
    gdb("condition 1 amount == 5")
    first = lines.machine.live.module("lines").loaded.address
    rmmod = lines.start(gdb, lambda: lines.machine.unload("lines"))
    assert rmmod.wait(60).result is not None
    assert lines.machine.load("simple").wait(60).result is not None  # takes the place that has become free
    insmod = lines.machine.load("lines")
    assert insmod.wait(60, stops=False).result is not None
    second = lines.machine.live.module("lines")
    assert second.loaded.address != first
    said, writer = lines.hit(gdb, WORK)
    assert "Breakpoint 1, lines_work (amount=5)" in said
    assert f"in section .text of {second.instance}" in gdb("info symbol $pc")
    lines.finish(gdb, writer)


def test_a_breakpoint_by_line_is_on_that_line_of_the_new_text(lines: Bench, gdb: Gdb) -> None:
    source = lines.sources["lines"] / "lines.c"
    number = line_of("/* the line to break on */", source.parent)
    gdb(f"break lines.c:{number}")
    text = source.read_text()
    source.write_text(
        text.replace("\tlines_result = doubled", "\tWRITE_ONCE(lines_result, 0);\n\tlines_result = doubled")
    )
    reload = lines.start(gdb, lambda: lines.machine.reload("lines"))
    said = gdb.wait()
    assert "Breakpoint 1, lines_work (amount=20)" in said
    assert f"lines.c:{number}\n{number}\t\tWRITE_ONCE(lines_result, 0);" in said
    lines.finish(gdb, reload)


def test_a_build_that_fails_leaves_the_loaded_module_and_its_breakpoints(lines: Bench, gdb: Gdb) -> None:
    gdb("break lines_work")
    source = lines.sources["lines"] / "lines.c"
    source.write_text(source.read_text() + "\nthis is no C\n")
    gdb.send("continue")
    lines.machine.live.wait_until_running(60)
    with pytest.raises(BuildError) as caught:
        lines.machine.reload("lines")
    assert re.search(r"lines\.c:\d+:\d+: error: ", caught.value.output)
    said, writer = lines.hit(gdb, WORK)
    assert "Breakpoint 1, lines_work (amount=5)" in said
    lines.finish(gdb, writer)


def test_parameters_are_given_again_at_a_reload(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("sections")
    gdb = bench.gdb()
    gdb("break sections_init")
    said, insmod = bench.load(gdb, "sections", "number=11")
    assert "sections_init ()" in said
    bench.finish(gdb, insmod)
    said, reload = bench.hit(gdb, lambda: bench.machine.reload("sections"))
    assert "Breakpoint 1, sections_init ()" in said
    assert gdb("print number") == "$1 = 11"
    bench.finish(gdb, reload)
