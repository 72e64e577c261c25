# SPDX-License-Identifier: Apache-2.0
"""Several processors: what each of them runs is seen, whichever stopped the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.gdb import EVERY_KERNEL_ONE_GDB, debian

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Bench
    from nullmodem.api.commands import RunningCommand
    from support.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb]

MOST_LOOKS = 10
MANY_ROUNDS = 40
CROWD = "/sys/module/busy/parameters/crowd"
SPIN_ON_1 = "echo 1 > /sys/module/spinner/parameters/spin_on"


FIRST, OTHER = EVERY_KERNEL_ONE_GDB
MACHINES = [
    pytest.param(
        *pair.values[0], cpus, id=f"{pair.id}-{cpus}", marks=() if (pair, cpus) == (FIRST, 2) else pytest.mark.soak
    )
    for pair in (FIRST, OTHER)
    for cpus in (2, 4)
]


@pytest.fixture
def smp(request: pytest.FixtureRequest, make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(cpus=request.param)


@pytest.mark.parametrize(("kernel", "gdb_path", "smp"), MACHINES, indirect=True)
def test_every_processor_is_shown_with_its_task_and_its_place_in_the_module(smp: Bench) -> None:
    smp.build("spinner", "simple")
    smp.machine.load("spinner").wait()
    smp.sh(SPIN_ON_1)
    smp.machine.target.wait_console("looping on CPU 1", 30)
    gdb = smp.gdb()

    cpus = smp.machine.live.status().processors
    for _ in range(MOST_LOOKS):
        listed = gdb("info threads")
        spinning = next(line for line in listed.splitlines() if "CPU 1" in line)
        if "spinner_loop" in spinning:
            break
        # It was met in its timer's interrupt, on top of the loop.
        gdb.send("continue")
        smp.machine.live.wait_until_running(60)
        smp.interrupt(gdb)
    assert "spinner_loop" in spinning
    assert "spinner" in spinning.split("(CPU 1")[0]
    assert len([line for line in listed.splitlines() if "CPU " in line]) == cpus
    number = spinning.replace("*", " ").split()[0]

    assert "spinner_loop" in gdb(f"thread {number}")
    assert "checksum = " in gdb("info locals")
    frames = gdb("bt")
    assert "spinner_run (" in frames
    assert "spinner_thread_main (" in frames
    assert "kthread (" in frames

    # A stop on one processor while another is in the module.
    gdb("thread 1")
    gdb("break simple_init")
    said, insmod = smp.load(gdb, "simple")
    assert "Breakpoint 1, simple_init" in said
    assert "spinner" in next(line for line in gdb("info threads").splitlines() if "CPU 1" in line)
    assert "simple.c" in gdb("next") + gdb("frame")
    smp.finish(gdb, insmod)
    smp.sh("echo 1 > /sys/module/spinner/parameters/stop")
    assert "simple" in smp.sh("lsmod")


def test_a_processor_that_does_not_stop_is_shown_as_one_and_with_no_registers(make_bench: Callable[..., Bench]) -> None:
    """The kernel is told not to stop the others, so that the one that spins does so on."""
    bench = make_bench(cpus=2, append="nokgdbroundup")
    gdb = bench.gdb()
    listed = gdb("info threads")
    line = next(line for line in listed.splitlines() if "did not stop" in line)
    assert "CPU" in line
    number = line.replace("*", " ").split()[0]
    gdb(f"thread {number}")
    assert "unavailable" in gdb("print $pc")
    assert "unavailable" in gdb("print $rsp")
    gdb("thread 1")
    assert "0x" in gdb("print $pc")
    said = [text for _when, text in bench.machine.live.events.said]
    assert sum("did not stop with the others" in text for text in said) == 1
    gdb.send("continue")
    bench.machine.live.wait_until_running(60)
    assert bench.sh("echo alive") == "alive\n"


@pytest.mark.parametrize("kernel", ["6.1"], indirect=True)
@pytest.mark.parametrize("gdb_path", [pytest.param(debian, id="gdb-13.1")], indirect=True)
@pytest.mark.parametrize("rounds", [1, pytest.param(MANY_ROUNDS, marks=(pytest.mark.soak, pytest.mark.timeout(1800)))])
def test_no_processor_keeps_a_debug_register_that_was_taken_out(make_bench: Callable[..., Bench], rounds: int) -> None:
    """A thread of the crowd on each processor passes there, and ends only when it has.

    Now and then two come there at once, and the second one stops when the first one's stop is over.
    """
    bench = make_bench(cpus=2)
    bench.build("busy")
    bench.machine.load("busy").wait()
    gdb = bench.gdb()
    for _ in range(rounds):
        # A hardware breakpoint that is deleted where it stopped one of them.
        gdb("hbreak busy_lines")
        crowd = bench.start(gdb, f"echo 1 > {CROWD}")
        assert "busy_lines (" in gdb.wait()
        gdb("delete")
        leave_crowd(bench, gdb, crowd)

        # A watchpoint that is set where a thread was stepped off a breakpoint, which a debug register holds then.
        for processor in (0, 1):
            gdb("break busy_lines")
            crowd = bench.start(gdb, f"echo 1 > {CROWD}")
            assert "busy_lines (" in gdb.wait()
            gdb("stepi")
            gdb("delete")
            gdb(f"watch busy_states[{processor}].turns")
            assert f"busy_states[{processor}].turns" in gdb("continue")
            assert gdb("print state->who").endswith(f"= {processor}")
            gdb("delete")
            leave_crowd(bench, gdb, crowd)

    # The session's end where a thread was stepped off a breakpoint.
    gdb("break busy_lines")
    bench.start(gdb, f"echo 1 > {CROWD}")
    assert "busy_lines (" in gdb.wait()
    gdb("stepi")
    bench.machine.live.close(release=True)
    assert bench.sh(f"echo 0 > {CROWD}; echo gone") == "gone\n"


def leave_crowd(bench: Bench, gdb: Gdb, crowd: RunningCommand) -> None:
    """Let the crowd come to its end, and stop the target."""
    bench.finish(gdb, crowd)
    assert bench.sh(f"echo 0 > {CROWD}; echo gone") == "gone\n"
    bench.interrupt(gdb)
