# SPDX-License-Identifier: Apache-2.0
"""A session is killed with SIGKILL, and its target, which nullmodem did not start, is recovered: stopped or running."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.kbuild import build_module, cache_root, ensure_kernel
from nullmodem.targets import Accel, QemuSpec, QemuTarget
from support.cli import Cli, finish
from support.gdb import wheel
from support.modules import copy_module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from nullmodem.kbuild import Kernel
    from nullmodem.targets.target import ExecResult

pytestmark = pytest.mark.vm

READ = "cat /dev/simple"
SECONDS = 60.0


@dataclass
class Board:
    """A machine with its kgdb line on a socket that anybody may connect to, and sessions that are killed on it."""

    machine: QemuTarget
    kernel: Kernel
    wire: str
    modules: Path
    pool: ThreadPoolExecutor

    @property
    def landing_pads(self) -> bool:
        """Whether its functions begin with an instruction that marks them as called through pointers (IBT)."""
        return self.kernel.settings().get("X86_KERNEL_IBT") == "y"

    def doomed(self, cli: Cli) -> Doomed:
        """A session that has stopped the machine."""
        command = [sys.executable, "-m", "support.doomed", self.wire, str(self.kernel.vmlinux), str(self.modules)]
        environment = cli.environment
        environment["PYTHONPATH"] += f":{Path(__file__).parents[1]}"
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        session = Doomed(process)
        assert session.hears() == "break in"
        self.machine.break_in()
        assert session.hears() == "stopped"
        return session

    def run(self, command: str) -> Future[ExecResult]:
        """Start a command, which the machine may be stopped under."""
        return self.pool.submit(self.machine.exec, command, timeout=SECONDS)


@dataclass
class Doomed:
    """A session in a process of its own."""

    process: subprocess.Popen[str]

    def hears(self) -> str:
        """The next line it says."""
        assert self.process.stdout is not None
        timer = threading.Timer(SECONDS, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline().strip()
        finally:
            timer.cancel()

    def __call__(self, command: str) -> str:
        """Tell it something; returns what it says."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.hears()

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module", params=["6.1", pytest.param("6.12", marks=pytest.mark.soak)])
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    kernel = ensure_kernel(request.param)
    directory = tmp_path_factory.mktemp("board")
    socket = directory / "kgdb.sock"
    line = ("-chardev", f"socket,id=board,path={socket},server=on,wait=off", "-serial", "chardev:board")
    spec = QemuSpec(kernel.image, accel=Accel.TCG, append="kgdboc=ttyS2,115200", qemu_args=line)
    built = build_module(copy_module("simple", directory), kernel, directory / "build")
    with QemuTarget.launch(spec, directory / "target", cache=cache_root()) as machine, ThreadPoolExecutor(4) as pool:
        path = machine.push(built.ko)
        machine.exec(f"insmod {path}").check()
        yield Board(machine, kernel, f"unix:{socket}", built.ko.parent, pool)


def recovered(cli: Cli, *arguments: str) -> dict[str, object]:
    done = cli("recover", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    facts: dict[str, object] = json.loads(done.stdout)
    return facts


@contextlib.contextmanager
def session(board: Board, cli: Cli) -> Iterator[Doomed]:
    doomed = board.doomed(cli)
    try:
        yield doomed
    finally:
        doomed.kill()


def test_a_machine_left_at_a_breakpoint_goes_on_from_the_instruction_it_stood_at(board: Board, cli: Cli) -> None:
    with session(board, cli) as doomed:
        address = doomed("break simple:simple_read")
        doomed("continue")
        reading = board.run(READ)
        assert doomed("wait").startswith("breakpoint simple:simple_read (")
    facts = recovered(cli)
    assert facts["state"] == "stopped"
    assert str(facts["where"]).startswith("simple:simple_read (")
    places = {place["address"]: place for place in facts["places"]}  # type: ignore[attr-defined]
    assert places[address]["where"].startswith("simple:simple_read (")
    assert {place["found"] for place in places.values()} <= {"as in its file", "as the kernel has patched it"}
    assert (facts["left"], facts["released"]) == (0, True)
    assert reading.result(SECONDS).check().text == "hello"
    assert board.machine.exec(READ, timeout=SECONDS).check().text == "hello", "nothing stops there any more"
    again = cli("recover")
    assert again.returncode == 1
    assert "no killed session has left a target" in again.stderr


def test_a_machine_left_running_that_froze_at_a_breakpoint_is_freed(board: Board, cli: Cli) -> None:
    with session(board, cli) as doomed:
        doomed("break simple:simple_read")
        doomed("continue")
    reading = board.run(READ)
    facts = recovered(cli)
    assert str(facts["where"]).startswith("simple:simple_read (")
    assert reading.result(SECONDS).check().text == "hello"


def test_a_machine_left_in_the_middle_of_stepping_is_not_set_back(board: Board, cli: Cli) -> None:
    """simple_dev_open begins with a push of one byte, after a landing pad: a trap there would end where it ends."""
    with session(board, cli) as doomed:
        pushes = 4 if board.landing_pads else 0
        address = doomed(f"break simple:simple_dev_open {pushes}")
        doomed("continue")
        reading = board.run(READ)
        doomed("wait")
        after = doomed("step")
        assert after.startswith(f"step simple:simple_dev_open+{pushes + 1:#x} (")
    facts = recovered(cli)
    assert after.removeprefix("step ") == facts["where"]
    assert address in {place["address"] for place in facts["places"]}  # type: ignore[attr-defined]
    assert reading.result(SECONDS).check().text == "hello"


def test_a_machine_left_running_is_stopped_from_outside_and_freed(board: Board, cli: Cli) -> None:
    with session(board, cli) as doomed:
        doomed("break simple:simple_write")
        doomed("continue")
    recovering = board.pool.submit(recovered, cli)
    board.run("echo g > /proc/sysrq-trigger")
    facts = recovering.result(SECONDS)
    assert facts["left"] == 0
    board.machine.exec("printf x > /dev/simple", timeout=SECONDS).check()
    board.machine.exec("printf hello > /dev/simple", timeout=SECONDS).check()


def test_a_machine_that_runs_and_that_nothing_stops_is_reported_and_kept_for_the_next_try(
    board: Board, cli: Cli
) -> None:
    with session(board, cli) as doomed:
        doomed("break simple:simple_write")
        doomed("continue")
    done = cli("recover", "--wait", "1")
    assert done.returncode == 1
    assert "did not stop within 1 s" in done.stderr
    assert "/proc/sysrq-trigger" in done.stderr
    taken = cli("run", "--no-gdb", "--session", "board")
    assert taken.returncode == 2
    assert "nullmodem recover --session board" in taken.stderr
    board.run("printf x > /dev/simple")
    recovered(cli)
    board.machine.exec("printf hello > /dev/simple", timeout=SECONDS).check()


@pytest.mark.gdb
def test_a_recovered_machine_is_handed_to_a_gdb(board: Board, cli: Cli) -> None:
    with session(board, cli) as doomed:
        doomed("break simple:simple_read")
        doomed("continue")
        reading = board.run(READ)
        doomed("wait")
    terminal = cli.terminal("recover", "--attach")
    terminal.expect(r"file (\S+)\r\ntarget remote (\S+)\r\n")
    vmlinux, address = terminal.match.group(1), terminal.match.group(2)
    commands = [wheel(), "-nx", "-batch", vmlinux, "-ex", f"target remote {address}", "-ex", "bt 1", "-ex", "detach"]
    said = subprocess.run(commands, capture_output=True, text=True, timeout=SECONDS, check=False).stdout
    assert "#0  simple_read (" in said
    assert reading.result(SECONDS).check().text == "hello"
    terminal.sendintr()
    terminal.expect("must stop once more")
    board.run("echo g > /proc/sysrq-trigger")
    terminal.expect("nothing is armed; the target runs, without a debugger")
    assert finish(terminal) == 0


@pytest.mark.slow
def test_an_attached_session_that_is_killed_is_recovered_by_the_ways_it_had(tmp_path: Path, cli: Cli) -> None:
    """Console and kgdb share a line: once it is killed at a stop, and once while the machine runs."""
    kernel = ensure_kernel("6.1")
    socket = tmp_path / "line"
    spec = QemuSpec(kernel.image, accel=Accel.TCG, line=f"socket,path={socket},server=on,wait=off", shared=True)
    with QemuTarget.launch(spec, tmp_path / "target", cache=cache_root()) as machine:
        for state in ("stopped", "running"):
            wire = f"unix:{socket}"
            command = ("attach", wire, "--vmlinux", str(kernel.vmlinux), "--break-in", "shell", "--no-gdb")
            process = cli.start(*command, "--session", "lab")
            assert process.stdout is not None
            assert process.stdout.readline().startswith("file "), process.communicate()[1]
            assert process.stdout.readline().startswith("target remote ")
            if state == "stopped":
                cli.good("interrupt")
            process.kill()
            process.wait()
            facts = recovered(cli, "--session", "lab")
            assert (facts["state"], facts["left"], facts["released"]) == (state, 0, True)
            assert machine.exec("echo alive", timeout=SECONDS).check().text == "alive\n"
