# SPDX-License-Identifier: Apache-2.0
"""No byte of a breakpoint stays behind: not in a module, not in freed memory, not in the kernel; and nothing leaks.

Memory is read through QEMU while the target runs: while it stands still, the kernel's stub takes its breakpoints out.
"""

from __future__ import annotations

import gc
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.boot import BootOptions, boot
from nullmodem.kbuild import ensure_kernel
from nullmodem.symbols.vmlinux import Vmlinux
from support.gdb import EVERY_KERNEL_ONE_GDB
from support.inside import TROUBLE, differences, kernel_text, read_memory

if TYPE_CHECKING:
    from conftest import Bench
    from nullmodem.api.machine import Machine
    from nullmodem.testing.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb]
one_gdb = pytest.mark.parametrize("booted", EVERY_KERNEL_ONE_GDB, indirect=True, scope="module")

FUNCTIONS = ("simple_init", "simple_read", "simple_exit")
TRAP = 0xCC
PAGE = 4096


def physical_address(machine: Machine, address: int) -> int:
    said = machine.target.monitor("human-monitor-command", **{"command-line": f"gva2gpa {address:#x}"})
    return int(str(said).split(":")[1], 16)


def addresses(gdb: Gdb) -> dict[str, int]:
    """Where gdb's breakpoints stand, by function."""
    shown = re.findall(r"(0x[0-9a-f]{16}) in (\w+) at", gdb("info breakpoints"))
    return {function: int(address, 16) for address, function in shown}


@one_gdb
def test_a_modules_memory_holds_the_breakpoints_that_are_set_and_no_other_byte_of_them(
    shared_bench: Bench, tmp_path: Path
) -> None:
    bench, machine = shared_bench, shared_bench.machine
    bench.build("simple", "noinit")
    kernel = kernel_text(machine)
    kernel_before = read_memory(machine, kernel, tmp_path)
    gdb = bench.gdb()
    for function in FUNCTIONS:
        gdb(f"break {function}")
    said, insmod = bench.load(gdb, "simple")
    assert "simple_init ()" in said
    loaded = machine.live.module("simple").loaded
    (text,) = (region for region in loaded.text if region not in loaded.init)
    original = machine.live.read_memory(text.start, text.size)
    where = addresses(gdb)
    physical = physical_address(machine, where["simple_init"])
    init_page = machine.live.read_memory(where["simple_init"] & -PAGE, PAGE)
    bench.finish(gdb, insmod)

    # Init has returned, and its memory is free: either it holds still what it held, or it is somebody else's.
    dump = tmp_path / "page"
    machine.target.monitor("pmemsave", val=physical & -PAGE, size=PAGE, filename=str(dump))
    at = where["simple_init"] % PAGE
    assert dump.read_bytes() != init_page[:at] + bytes([TRAP]) + init_page[at + 1 :]

    def traps() -> set[int]:
        found = differences(original, read_memory(machine, text, tmp_path))
        assert set(found.values()) <= {TRAP}
        return {text.start + offset for offset in found}

    assert traps() == {where["simple_read"], where["simple_exit"]}
    bench.interrupt(gdb)
    gdb("delete 2")
    gdb.send("continue")
    machine.live.wait_until_running(60)
    assert traps() == {where["simple_exit"]}
    bench.interrupt(gdb)
    gdb("delete")
    gdb.send("continue")
    machine.live.wait_until_running(60)
    assert traps() == set()

    # Unloaded with breakpoints set: the next module in the same place has none of them.
    bench.interrupt(gdb)
    for function in FUNCTIONS[1:]:
        gdb(f"break {function}")
    rmmod = bench.start(gdb, lambda: machine.unload("simple"))
    assert "simple_exit ()" in gdb.wait()
    bench.finish(gdb, rmmod)
    assert machine.load("noinit").wait(60).result is not None
    heir = machine.live.module("noinit").loaded.text[0]
    assert heir.overlaps(text)
    running = read_memory(machine, heir, tmp_path)
    bench.interrupt(gdb)
    assert running == machine.live.read_memory(heir.start, heir.size)
    gdb("detach")
    machine.live.wait_until_running(60)
    assert differences(kernel_before, read_memory(machine, kernel, tmp_path)) == {}


@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_a_session_that_ends_leaves_the_kernels_code_as_it_found_it(version: str, tmp_path: Path) -> None:
    machine = boot("ends", BootOptions(kernel=ensure_kernel(version)), tmp_path / "work")
    try:
        kernel = kernel_text(machine)
        watched = read_memory(machine, kernel, tmp_path)
        machine.live.close(release=True)
        released = read_memory(machine, kernel, tmp_path)
        assert machine.target.exec("echo alive", timeout=60).text == "alive\n"
    finally:
        machine.target.close()
    changed = differences(watched, released)
    assert 0 < len(changed) <= 2  # what the session watches modules with
    vmlinux = Vmlinux.open(machine.kernel.vmlinux)
    for offset, byte in changed.items():
        assert watched[offset] == TRAP
        assert bytes([byte]) == vmlinux.read_static(vmlinux.text.start + offset, 1)


def rounds(bench: Bench, gdb: Gdb, count: int) -> None:
    """Load the module, read from its device once, and unload it, ``count`` times, each with its stop."""
    for _ in range(count):
        for function, start in (
            ("simple_init", lambda: bench.machine.load("simple")),
            ("simple_read", lambda: bench.machine.run("dd if=/dev/simple bs=64 count=1 2>/dev/null", check=True)),
            ("simple_exit", lambda: bench.machine.unload("simple")),
        ):
            said, command = bench.hit(gdb, start)
            assert f" {function} (" in said
            bench.finish(gdb, command)
            command.close()


def resources() -> tuple[int, int]:
    """Open descriptors and threads of this process, the session's among them."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208  # a Path would open one more


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1])


def go_round(bench: Bench, before: int, count: int) -> int:
    """``before`` rounds, then ``count``; returns by how many KiB the process has grown in the latter."""
    bench.build("simple")
    gdb = bench.gdb()
    for function in FUNCTIONS:
        gdb(f"break {function}")
    gdb.send("continue")
    bench.machine.live.wait_until_running(60)
    rounds(bench, gdb, before)
    open_before, resident = resources(), resident_kib()
    rounds(bench, gdb, count)
    assert resources() == open_before
    grown = resident_kib() - resident
    bench.interrupt(gdb)
    listed = gdb("info breakpoints")
    assert listed.count(f"already hit {before + count} times") == len(FUNCTIONS)
    assert "simple" not in bench.machine.live.status().where
    gdb("detach")
    bench.machine.live.wait_until_running(60)
    assert not TROUBLE.search(bench.sh("dmesg"))
    assert bench.machine.live.modules() == ()
    return grown


@pytest.mark.parametrize("booted", EVERY_KERNEL_ONE_GDB[1:], indirect=True, scope="module")
def test_ten_loads_stop_thirty_times_and_leave_nothing_open(shared_bench: Bench) -> None:
    go_round(shared_bench, 2, 8)


@pytest.mark.soak
@one_gdb
def test_two_hundred_loads_stop_six_hundred_times_and_take_no_memory(shared_bench: Bench) -> None:
    assert go_round(shared_bench, 50, 150) < 4096
