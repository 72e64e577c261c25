# SPDX-License-Identifier: Apache-2.0
"""A module's code and data are found in whichever section they are, and read as the module itself reports them."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Bench
    from nullmodem.testing.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb]

SET_LEVEL = "echo {} > /sys/module/sections/parameters/level"


def value(gdb: Gdb, expression: str) -> int:
    """What gdb prints for an integer."""
    printed = gdb(f"output/d (long)({expression})")
    assert re.fullmatch(r"-?\d+", printed), printed
    return int(printed)


def section_of(gdb: Gdb, address: str) -> str:
    """The section gdb believes an address to be in."""
    said = gdb(f"info symbol {address}")
    found = re.search(r"in section (\S+) of .*/sections\.ko", said)
    assert found, said
    return found[1]


def section_in_file(bench: Bench, function: str) -> str:
    """The section the compiler and the kernel's module linker script have put a function into."""
    table = subprocess.run(
        ["objdump", "-t", bench.sources["sections"] / "sections.ko"], capture_output=True, check=True
    )
    return next(line.split()[-3] for line in table.stdout.decode().splitlines() if line.endswith(f" {function}"))


def per_cpu(name: str) -> str:
    """CPU 0's instance, found as the kernel finds it."""
    return f"*(int *)((char *)&{name} + __per_cpu_offset[0])"


def test_globals_of_every_section_have_their_values_before_and_after_init(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("sections")
    gdb = bench.gdb()
    gdb("break sections_init")
    said, insmod = bench.load(gdb, "sections", "number=9", "several=5,6,7")
    assert "Breakpoint 1, sections_init () at" in said

    places = {
        "sections_data": (".data", 0x11111111),
        "sections_bss": (".bss", 0),
        "sections_rodata[2]": (".rodata", 0x33333332),
        "sections_read_mostly": (".data..read_mostly", 0x44444444),
        "sections_ro_after_init": (".data..ro_after_init", 0x55555555),
        "sections_init_data": (".init.data", 0x66666666),
        "number": (".data", 9),
        "several[2]": (".data", 7),
        "several_count": (".data", 3),
        "part_calls": (".bss", 0),
    }
    assert {name: (section_of(gdb, f"&{name}"), value(gdb, name)) for name in places} == places
    assert value(gdb, per_cpu("sections_per_cpu")) == 0x77777777
    assert value(gdb, "several[3]") == 4

    assert "Value returned is $1 = 0" in gdb("finish")
    assert value(gdb, "sections_init_data") == 0x66666667
    assert value(gdb, "sections_bss") == 0x22222222
    assert value(gdb, "sections_ro_after_init") == 0x55555556
    bench.finish(gdb, insmod)
    mixed = 9 ^ 0x33333330 ^ 0x33333331 ^ 0x33333332 ^ 0x33333333 ^ 0x66666667
    assert f"sections: loaded: number 9, mixed {mixed:#x}" in bench.sh("dmesg")

    bench.interrupt(gdb)
    assert "Cannot access memory" in gdb("print sections_init_data")
    assert value(gdb, "sections_bss") == 0x22222222


def test_a_breakpoint_in_every_section_of_code_is_hit_and_shows_its_own_file(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("sections")
    gdb = bench.gdb()
    functions = {
        "sections_init_helper": ((".init.text",), "sections_main.c"),
        "sections_hot": ((".text",), "sections_part.c"),
        "sections_rare": ((".text.unlikely", ".text"), "sections_part.c"),  # since 6.12 or so the two are one
        "sections_exit_helper": ((".exit.text",), "sections_main.c"),
    }
    for function in functions:
        gdb(f"break {function}")

    def check(said: str, function: str, caller: str, argument: str) -> None:
        sections, file = functions[function]
        assert f"Breakpoint {1 + list(functions).index(function)}, {function} (" in said
        assert f"{argument})" in said
        assert re.search(rf"/{file}:\d+\n\d+\t", said)
        assert section_of(gdb, "$pc") == section_in_file(bench, function)
        assert section_in_file(bench, function) in sections
        frames = gdb("bt 3").splitlines()
        assert any(f" {caller} (" in frame for frame in frames), frames

    said, insmod = bench.load(gdb, "sections")
    check(said, "sections_init_helper", "sections_init", "=7")
    bench.finish(gdb, insmod)

    said, writer = bench.hit(gdb, SET_LEVEL.format(123))
    check(said, "sections_hot", "sections_set_level", "=123")
    assert f"Value returned is $1 = {123 + 0x44444444}" in gdb("finish")
    assert value(gdb, per_cpu("sections_per_cpu")) == 0x77777778
    check(gdb("continue"), "sections_rare", "sections_set_level", "=123")
    assert value(gdb, "part_calls") == 1
    assert "Value returned is $2 = 246" in gdb("finish")
    assert value(gdb, "part_calls") == 2
    bench.finish(gdb, writer)
    assert bench.sh("cat /sys/module/sections/parameters/level") == "123\n"

    said, rmmod = bench.hit(gdb, lambda: bench.machine.unload("sections"))
    check(said, "sections_exit_helper", "sections_exit", "=7")
    last = 7 + 0x11111111 + 123
    assert f"Value returned is $3 = {last}" in gdb("finish")
    bench.finish(gdb, rmmod)
    log = bench.sh("dmesg")
    assert "sections: 123 is rare, call 2" in log
    assert "sections: level 0 to 123: 246" in log
    assert f"sections: unloaded: last {last}" in log


def test_stepping_goes_from_one_file_of_a_module_into_the_other_and_back(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("sections")
    bench.machine.load("sections").wait()
    gdb = bench.gdb()
    gdb("break sections_set_level")
    writer = bench.start(gdb, SET_LEVEL.format(100))
    assert "sections_set_level (wanted=100)" in gdb.wait()
    walked = []
    for _ in range(30):
        gdb("step")
        frame = gdb("info symbol $pc").split()[0]
        if not walked or walked[-1] != frame:
            walked.append(frame)
        if frame == "sections_rare":
            break
    assert walked == ["sections_set_level", "sections_hot", "sections_set_level", "sections_rare"]
    assert "sections_part.c" in gdb("info source")
    assert "twice" in gdb("info locals")
    gdb("delete")
    bench.finish(gdb, writer)


def test_the_load_map_lists_every_section_with_the_addresses_the_kernel_shows(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("sections")
    bench.machine.load("sections").wait()
    shown = bench.sh("cd /sys/module/sections/sections; for s in .[a-z_]* __*; do echo $s $(cat $s); done")
    kernel = dict(line.split() for line in shown.splitlines())
    gdb = bench.gdb()
    said = gdb("monitor loadmap sections")
    listed = dict(re.findall(r"^(\S+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]{16})\s+2\*\*\d+$", said, re.MULTILINE))
    assert listed.pop(".data..percpu") == f"{value(gdb, '&sections_per_cpu'):#018x}"
    # What was freed after init is in sysfs still, and so are two tables that are no part of the module's memory.
    freed = {name for name in kernel if name.startswith(".init.")} | {".symtab", ".strtab"}
    assert listed == {name: address for name, address in kernel.items() if name not in freed}
    assert re.search(r"^\.init\.text +0x[0-9a-f]+ +not in memory ", said, re.MULTILINE)
