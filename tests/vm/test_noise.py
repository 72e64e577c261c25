# SPDX-License-Identifier: Apache-2.0
"""The main job over a line that strikes bytes: the same stops, the same values, nothing left behind."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.attach import AttachOptions, attach, look_at_files
from nullmodem.api.boot import BootOptions, boot
from nullmodem.api.commands import RunningCommand
from nullmodem.api.ways import parse_ways
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.kbuild import build_module, cache_root, ensure_kernel
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import QemuSpec
from nullmodem.testing.gdb import Gdb
from nullmodem.testing.noise import NoisyLine
from nullmodem.waiting import wait_readable
from nullmodem.wire.spec import parse_wire
from support.gdb import quick_start, wheel
from support.modules import copy_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.api.machine import Machine

pytestmark = [pytest.mark.vm, pytest.mark.gdb]

PATIENCE = 300.0
"""Seconds: each lost byte costs a deadline, and the embedded machine's line has no rate to compute a short one from."""


CHATTER = "i=0; while [ $i -lt 300 ]; do echo the kernel says something: $i > /dev/kmsg; i=$((i + 1)); done"
Start = Callable[[str], "RunningCommand"]


def job(machine: Machine, gdb: Gdb, insmod_simple: Callable[[], RunningCommand], start: Start) -> None:
    """Stop in init, step, look, go on, stop in a file operation, look, unload. ``start`` runs a command there."""

    def say(command: str) -> str:
        return gdb(command, patience=PATIENCE)

    def until_stopped(start: Callable[[], RunningCommand]) -> tuple[str, RunningCommand]:
        gdb.send("continue")
        machine.live.wait_until_running(PATIENCE)
        running = start()
        return gdb.wait(PATIENCE), running

    say("break simple_init")
    said, insmod = until_stopped(insmod_simple)
    assert "Breakpoint 1, simple_init ()" in said
    say("next")
    assert "do_one_initcall" in say("bt")
    assert "Value returned is" in say("finish")
    say("break simple_read")
    gdb.send("continue")
    result = insmod.wait(PATIENCE, stops=False).result
    assert result is not None
    reading = start("cat /dev/simple")
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
    removed = start("rmmod simple").wait(PATIENCE, stops=False).result
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
        job(machine, gdb, lambda: machine.load("simple"), machine.run)
        return lines[0].struck


@contextlib.contextmanager
def noisy_cable(kernel: Path, client: Path, seed: int, one_in: int) -> Iterator[NoisyLine]:
    """Noise between the Unix socket ``kernel``, which is connected to, and ``client``, where one may connect."""
    with socket.socket(socket.AF_UNIX) as far, contextlib.ExitStack() as stack:
        far.connect(str(kernel))
        line = NoisyLine(far, seed=seed, one_in=one_in)
        stack.callback(line.close)
        listener = stack.enter_context(listen_unix(client))

        def pass_on() -> None:
            with contextlib.suppress(OSError):
                near, _address = listener.accept()
                with near:
                    while ready := wait_readable([near.fileno(), line.client.fileno()]):
                        for here, there in ((near, line.client), (line.client, near)):
                            if here.fileno() in ready:
                                data = here.recv(1 << 16)
                                if not data:
                                    return
                                there.sendall(data)

        passing = threading.Thread(target=pass_on, daemon=True)
        passing.start()
        try:
            yield line
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            passing.join(PATIENCE)


def run_over_noise_on_one_cable(tmp_path: Path, seed: int, one_in: int) -> int:
    """The whole job where the kernel's console is on the noisy line, too; returns how many bytes were struck."""
    kernel = ensure_kernel("6.12")
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nm-")))
        spec = QemuSpec(kernel.image, line=f"socket,path={directory}/line,server=on,wait=off", shared=True)
        board = stack.enter_context(QemuTarget.launch(spec, directory / "board", cache=cache_root()))
        board.exec("dmesg -n 8; echo on > /proc/sys/kernel/printk_devkmsg").check()  # its every word is on the line
        ko = board.push(build_module(copy_module("simple", directory), kernel, directory / "build").ko)
        line = stack.enter_context(noisy_cable(directory / "line", directory / "noisy", seed, one_in))
        options = AttachOptions(
            parse_wire(f"unix:{directory}/noisy"), kernel.vmlinux, search=(directory,), ways=parse_ways(["shell"])
        )
        machine = attach("noise", options, look_at_files(options), tmp_path / "session")
        stack.callback(machine.close)
        server = GdbServer(machine.live, listen_unix(directory / "gdb"))
        stack.callback(server.close)
        gdb = stack.enter_context(Gdb(wheel(), *quick_start(wheel()), machine.live.vmlinux))
        gdb(f"target remote {server.address}", patience=PATIENCE)

        def start(command: str) -> RunningCommand:
            return RunningCommand(machine.live, lambda: board.exec(command, timeout=PATIENCE))

        job(machine, gdb, lambda: start(f"insmod {ko}"), lambda command: start(f"{CHATTER}; {command}"))
        text = (tmp_path / "session" / "console.log").read_bytes()
        # A byte that is wrong spoils a line, or the end of one and with it two.
        assert text.count(b"the kernel says something") >= 2 * 300 - 2 * line.struck
        return line.struck


def test_the_main_job_passes_on_a_line_with_one_byte_in_five_thousand_wrong(tmp_path: Path) -> None:
    assert run_over_noise(tmp_path, seed=1, one_in=5000) > 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 22))
def test_it_passes_twenty_times_of_twenty(tmp_path: Path, seed: int) -> None:
    run_over_noise(tmp_path, seed=seed, one_in=10_000)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(100, 120))
def test_it_passes_twenty_times_of_twenty_with_the_console_on_the_same_line(tmp_path: Path, seed: int) -> None:
    struck = run_over_noise_on_one_cable(tmp_path, seed=seed, one_in=10_000)
    print(f"seed {seed}: {struck} bytes struck")
