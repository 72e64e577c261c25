# SPDX-License-Identifier: Apache-2.0
"""Modules that are not simple: several at once, none to call, parameters that call, and inits that fail or crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import CommandError

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.one_pair]


def test_a_module_that_uses_anothers_symbol_is_debugged_with_it(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("pair", module="consumer")
    gdb = bench.gdb()
    for function in ("provider_init", "consumer_init", "provider_add"):
        gdb(f"break {function}")

    said, insmod = bench.load(gdb, "consumer")
    assert "Breakpoint 1, provider_init () at" in said
    said = gdb("continue")
    assert "Breakpoint 2, consumer_init () at" in said
    said = gdb("continue")
    assert "Breakpoint 3, provider_add (" in said
    frames = gdb("bt 3")
    assert "consumer_use (" in frames
    assert "consumer_init ()" in frames
    assert gdb("info args") == "left = 0\nright = 40"
    assert gdb("print provider_calls") == "$1 = 0"
    said = gdb("finish")
    assert "consumer_use (" in said
    assert "Value returned is $2 = 40" in said
    assert gdb("print provider_calls") == "$3 = 1"
    libraries = gdb("info sharedlibrary")
    assert "/provider.ko" in libraries
    assert "/consumer.ko" in libraries
    bench.finish(gdb, insmod)

    said, writer = bench.hit(gdb, "echo 5 > /sys/module/consumer/parameters/add")
    assert "Breakpoint 3, provider_add (left=" in said
    assert "before = 40" in gdb("up") + gdb("info locals")
    bench.finish(gdb, writer)
    assert bench.sh("cat /sys/module/consumer/parameters/add") == "45\n"


def test_a_module_without_an_init_is_loaded_without_a_stop_and_debugged(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("noinit")
    gdb = bench.gdb()
    gdb("break noinit_set")
    bench.start(gdb, lambda: bench.machine.load("noinit")).wait(60)
    said, writer = bench.hit(gdb, "echo 6 > /sys/module/noinit/parameters/value")
    assert "Breakpoint 1, noinit_set (" in said
    assert '"6\\n"' in said
    assert gdb("print noinit_value") == "$1 = 42"
    assert "Value returned is $2 = 0" in gdb("finish")
    assert gdb("print noinit_value") == "$3 = 6"
    bench.finish(gdb, writer)


def test_a_parameters_function_is_stopped_in_when_sysfs_calls_it(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("sections")
    gdb = bench.gdb()
    gdb("break sections_init")
    said, insmod = bench.load(gdb, "sections", "level=3")
    assert "Breakpoint 1, sections_init (" in said
    assert gdb("print level") == "$1 = 3"
    gdb("break level_set")
    bench.finish(gdb, insmod)
    said, writer = bench.hit(gdb, "echo 4 > /sys/module/sections/parameters/level")
    assert "Breakpoint 2, level_set (" in said
    assert '"4\\n"' in said
    assert "Value returned is $2 = 0" in gdb("finish")
    assert gdb("print level") == "$3 = 4"
    bench.finish(gdb, writer)


@pytest.mark.xfail(
    strict=True, reason="the kernel calls it before do_init_module, where the session learns of a module"
)
def test_a_parameters_function_is_stopped_in_when_insmod_calls_it(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("sections")
    gdb = bench.gdb()
    gdb("break level_set")
    gdb("break sections_init")
    said, insmod = bench.load(gdb, "sections", "level=3")
    gdb("delete")
    bench.finish(gdb, insmod)
    assert "Breakpoint 1, level_set (" in said


def test_an_init_that_fails_is_seen_once_with_its_error_and_its_module_is_gone(shared_bench: Bench) -> None:
    bench = shared_bench
    bench.build("failinit")
    gdb = bench.gdb()
    gdb("break failinit_init")
    gdb("break failinit_probe")
    said, insmod = bench.load(gdb, "failinit")
    assert "Breakpoint 1, failinit_init () at" in said
    assert "failinit_probe (step=" in gdb("continue")
    assert "failinit_probe (step=2)" in gdb("continue")
    assert "Value returned is $1 = 3" in gdb("finish")
    gdb("frame function do_one_initcall")
    assert "Value returned is $2 = -19" in gdb("finish")
    with pytest.raises(CommandError, match="No such device"):
        bench.finish(gdb, insmod)

    assert bench.machine.live.modules() == ()
    assert "failinit" not in bench.sh("lsmod")
    bench.interrupt(gdb)
    assert "failinit" not in gdb("info sharedlibrary")
    assert gdb("info breakpoints").count("<PENDING>") == 2

    # Loaded again, and with success, it is stopped in as if nothing had been.
    said, insmod = bench.load(gdb, "failinit", "error=0")
    assert "Breakpoint 1, failinit_init () at" in said
    gdb("delete 2")
    bench.finish(gdb, insmod)
    assert "failinit" in bench.sh("lsmod")


def test_an_init_that_crashes_stops_on_the_line_and_the_target_lives_on(bench: Bench) -> None:
    bench.build("oopsinit", "simple")
    gdb = bench.gdb()
    said, insmod = bench.load(gdb, "oopsinit")
    assert "received signal SIGSEGV" in said
    assert "oopsinit_read (" in said
    assert "return *wild;" in said
    assert "wild = 0x8" in gdb("info locals")
    frames = gdb("bt")
    assert "oopsinit_init ()" in frames
    assert "do_init_module (" in frames

    with pytest.raises(CommandError):
        bench.finish(gdb, insmod)
    log = bench.sh("dmesg")
    assert "Oops:" in log
    assert "RIP: 0010:oopsinit_read+0x" in log

    # The kernel has killed insmod in the middle of it; what is left goes on, breakpoints included.
    bench.interrupt(gdb)
    gdb("break simple_init")
    said, insmod = bench.load(gdb, "simple")
    assert "Breakpoint 1, simple_init () at" in said
    bench.finish(gdb, insmod)
    assert bench.sh("cat /dev/simple") == "hello"
