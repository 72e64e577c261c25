# SPDX-License-Identifier: Apache-2.0
"""The main job over a line that strikes bytes: the same stops, the same values, nothing left behind."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.boot import BootOptions, boot
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.kbuild import ensure_kernel
from nullmodem.testing.gdb import Gdb
from nullmodem.testing.noise import NoisyLine
from support.gdb import quick_start, wheel
from support.modules import copy_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.api.commands import RunningCommand
    from nullmodem.api.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.gdb]

PATIENCE = 300.0
"""Seconds: each lost byte costs a deadline, and the embedded machine's line has no rate to compute a short one from."""


def job(machine: Machine, gdb: Gdb) -> None:
    """Stop in init, step, look, go on, stop in a file operation, look, unload."""

    def say(command: str) -> str:
        return gdb(command, patience=PATIENCE)

    def until_stopped(start: Callable[[], RunningCommand]) -> tuple[str, RunningCommand]:
        gdb.send("continue")
        machine.live.wait_until_running(PATIENCE)
        running = start()
        return gdb.wait(PATIENCE), running

    say("break simple_init")
    said, insmod = until_stopped(lambda: machine.load("simple"))
    assert "Breakpoint 1, simple_init ()" in said
    say("next")
    assert "do_one_initcall" in say("bt")
    assert "Value returned is" in say("finish")
    say("break simple_read")
    gdb.send("continue")
    result = insmod.wait(PATIENCE, stops=False).result
    assert result is not None
    reading = machine.run("cat /dev/simple")
    assert "Breakpoint 2, simple_read (" in gdb.wait(PATIENCE)
    assert '"hello"' in say("print simple_text")
    for _ in range(3):
        say("next")
    assert "info: no line" not in say("bt")
    say("delete")
    gdb.send("continue")
    result = reading.wait(PATIENCE, stops=False).result
    assert result is not None
    assert result.text == "hello"
    removed = machine.run("rmmod simple").wait(PATIENCE, stops=False).result
    assert removed is not None
    assert removed.code == 0


def run_over_noise(tmp_path: Path, seed: int, one_in: int) -> int:
    """The whole job; returns how many bytes were struck."""
    lines: list[NoisyLine] = []
    with contextlib.ExitStack() as stack:

        def through(kernel: object) -> object:
            lines.append(NoisyLine(kernel, seed=seed, one_in=one_in))  # type: ignore[arg-type]
            stack.callback(lines[0].close)
            return lines[0].client

        machine = boot("test", BootOptions(kernel=ensure_kernel("6.1")), tmp_path / "work", through=through)  # type: ignore[arg-type]
        stack.callback(machine.close)
        machine.build(copy_module("simple", tmp_path))
        server = GdbServer(machine.live, listen_unix(tmp_path / "gdb.sock"))
        stack.callback(server.close)
        gdb = stack.enter_context(Gdb(wheel(), *quick_start(wheel()), machine.live.vmlinux))
        gdb(f"target remote {server.address}", patience=PATIENCE)
        job(machine, gdb)
        return lines[0].struck


def test_the_main_job_passes_on_a_line_with_one_byte_in_five_thousand_wrong(tmp_path: Path) -> None:
    assert run_over_noise(tmp_path, seed=1, one_in=5000) > 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 22))
def test_it_passes_twenty_times_of_twenty(tmp_path: Path, seed: int) -> None:
    run_over_noise(tmp_path, seed=seed, one_in=10_000)
