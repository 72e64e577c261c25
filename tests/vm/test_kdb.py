# SPDX-License-Identifier: Apache-2.0
"""A kernel with kdb: a stop lands in its shell, and the session has the line all the same."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.attach import AttachOptions, attach, look_at_files
from nullmodem.api.ways import parse_ways
from nullmodem.kbuild import cache_root, ensure_kernel
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import QemuSpec
from nullmodem.wire.spec import parse_wire
from support.gdb import debian

if TYPE_CHECKING:
    from conftest import Bench
    from support.cli import Cli

pytestmark = [pytest.mark.vm, pytest.mark.gdb]

# That it comes up shows that a first stop in kdb is taken from it.
with_kdb = pytest.mark.parametrize("booted", [pytest.param(("6.1-kdb", debian), id="6.1-kdb")], indirect=True)


def land_in_kdb(bench: Bench) -> None:
    """Have the kernel's next stops land in kdb again, as they do from its start on."""
    gdb = bench.gdb()
    gdb("set var dbg_kdb_mode = 1")
    gdb("detach")
    bench.machine.live.wait_until_running(30)
    gdb.quit()


@with_kdb
def test_kdb_is_asked_without_leaving_the_session(shared_bench: Bench) -> None:
    bench = shared_bench
    gdb = bench.gdb()
    where = gdb("bt 3")
    before = bench.machine.live.cost
    said = gdb("monitor kdb summary")
    assert "release    6.1" in said
    assert (bench.machine.live.cost - before).round_trips == 1
    assert "swapper" in gdb("monitor kdb ps A")
    long = gdb("monitor kdb dmesg")
    assert "Linux version 6.1" in long
    assert long.count("\n") > 100
    assert "kdb printed nothing" in gdb("monitor kdb md no_such_symbol")
    assert "usage: monitor kdb COMMAND" in gdb("monitor kdb go")
    assert "#0 " in where
    gdb("maintenance flush register-cache")
    assert gdb("bt 3") == where
    gdb("detach")


@with_kdb
def test_a_stop_that_lands_in_kdb_is_taken_from_it(shared_bench: Bench) -> None:
    bench = shared_bench
    land_in_kdb(bench)
    stop = bench.machine.interrupt()
    assert stop.reason.value == "interrupt"
    assert bench.machine.live.registers()["rsp"] != 0
    bench.machine.continue_target()
    assert bench.sh("echo well") == "well\n"


@with_kdb
def test_a_breakpoint_whose_stop_lands_in_kdb_is_a_breakpoint(shared_bench: Bench) -> None:
    bench = shared_bench
    gdb = bench.gdb()
    bench.build("simple")
    gdb("break simple_init")
    gdb("break simple_read")
    gdb("set var dbg_kdb_mode = 1")
    said, loading = bench.load(gdb, "simple")  # the module loader's hook is the first to land there
    assert "hit Breakpoint 1, simple_init" in said
    bench.finish(gdb, loading)
    said, reading = bench.hit(gdb, "cat /dev/simple")
    assert "hit Breakpoint 2, simple_read" in said
    gdb("delete")
    bench.finish(gdb, reading)
    bench.interrupt(gdb)
    gdb("detach")


def test_kdb_is_asked_from_another_terminal(cli: Cli) -> None:
    cli.serve("--kernel", "6.1-kdb")
    assert "the target is running" in cli.bad("kdb", "summary", code=1)
    cli.good("interrupt")
    assert "release    6.1" in cli.good("kdb", "summary")
    assert "Linux version 6.1" in cli.good("kdb", "dmesg")
    assert "would stay in force" in cli.bad("kdb", "dmesg | grep Linux", code=2)
    several = cli("kdb", text="summary\nreboot\nps A\n")
    assert "release    6.1" in several.stdout
    assert "kdb's `reboot` is not sent" in several.stderr
    assert "swapper" in several.stdout
    assert "kdb's `go` is not sent" in cli.bad("kdb", "go", code=2)
    assert cli.facts("status")["target"]["state"] == "stopped"


def test_kdb_on_the_one_cable_with_the_console(tmp_path: Path) -> None:
    kernel = ensure_kernel("6.1-kdb")
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="nm-"))
        chardev = f"socket,path={place}/line,server=on,wait=off"
        target = QemuTarget.launch(
            QemuSpec(kernel.image, line=chardev, shared=True), tmp_path / "board", cache=cache_root()
        )
        stack.callback(target.close)
        options = AttachOptions(parse_wire(f"unix:{place}/line"), kernel.vmlinux, ways=parse_ways(["shell"]))
        machine = attach("board", options, look_at_files(options), Path(place))
        stack.callback(machine.close)
        machine.interrupt()
        said = machine.live.run_kdb("dmesg")
        assert "Linux version 6.1" in said
        assert said.count("\n") > 100
        machine.continue_target()
        assert machine.run("echo well").wait(30).result is not None
        assert "Entering kdb" in machine.target.console.text()  # type: ignore[attr-defined]
