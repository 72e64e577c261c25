# SPDX-License-Identifier: Apache-2.0
"""The kernel is found wherever it was put, and everything in it with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.api.boot import BootOptions, boot
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.kbuild import ensure_kernel
from support.gdb import Gdb, quick_start, wheel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.vm, pytest.mark.gdb]


def look_around(version: str, directory: Path, *, kaslr: bool = True) -> int:
    """Boot, compare what gdb says with what the kernel says, and return the slide."""
    machine = boot("kaslr", BootOptions(kernel=ensure_kernel(version), kaslr=kaslr, cpus=2), directory)
    try:
        symbols = machine.target.exec("grep -w -e init_task -e vfs_read -e linux_banner /proc/kallsyms").check().text
        told = {line.split()[2]: int(line.split()[0], 16) for line in symbols.splitlines()}
        server = GdbServer(machine.live, listen_unix(directory / "gdb"))
        with Gdb(wheel(), *quick_start(wheel()), machine.live.vmlinux) as gdb:
            gdb(f"target remote {server.address}")
            for name, address in told.items():
                assert f"{address:#x}" in gdb(f"print &{name}")
            assert "Linux version" in gdb("print linux_banner")
            for cpu in (0, 1):
                queue = f"((struct rq *)((char *)&runqueues + __per_cpu_offset[{cpu}]))"
                assert gdb(f"print {queue}->cpu").endswith(f"= {cpu}")
            gdb("tbreak vfs_read")
            gdb.send("continue")
            machine.live.wait_until_running(60)
            reading = machine.run("cat /proc/uptime")
            assert "vfs_read (file=" in gdb.wait()
            gdb("detach")
            reading.result()
        server.close()
        return machine.live.slide
    finally:
        machine.close()


@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_everything_is_right_wherever_the_kernel_is(version: str, tmp_path: Path) -> None:
    assert look_around(version, tmp_path / "kaslr") % (2 << 20) == 0


@pytest.mark.parametrize("version", ["6.1", pytest.param("6.12", marks=pytest.mark.soak)])
def test_everything_is_right_where_the_kernel_was_linked(version: str, tmp_path: Path) -> None:
    assert look_around(version, tmp_path / "nokaslr", kaslr=False) == 0


@pytest.mark.soak
@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_ten_boots_are_right_ten_times(version: str, tmp_path: Path) -> None:
    slides = [look_around(version, tmp_path / str(number)) for number in range(10)]
    assert len(set(slides)) > 1
