# SPDX-License-Identifier: Apache-2.0
"""`nullmodem attach`: a kernel that somebody else has booted, with everything that is on its line."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import nullmodem
from nullmodem.api.attach import AttachOptions, attach, look_at_files, parse_console
from nullmodem.api.attach_plan import AttachPlan, options_of
from nullmodem.api.lines import ConsoleAt
from nullmodem.api.ways import parse_ways
from nullmodem.api.which_kernel import running_one
from nullmodem.errors import IdentityError, KernelDataError, StateError, TargetError, UsageError
from nullmodem.kbuild import build_module, cache_root, ensure_kernel
from nullmodem.session.model import State, StopReason
from nullmodem.stub.recorded import read_stops
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import QemuSpec
from nullmodem.waiting import wait_readable
from nullmodem.wire.recording import read_recording
from nullmodem.wire.spec import parse_wire
from support.editing import adapter
from support.lines import Ser2net
from support.modules import copy_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nullmodem.api.machine import Machine
    from nullmodem.kbuild import Kernel
    from support.cli import Cli

pytestmark = [pytest.mark.vm, pytest.mark.gdb]
FORGED = "$T05thread:01;#b3"


@dataclass
class Board:
    """A machine that runs without us, with kgdb's line at ``line``."""

    target: QemuTarget
    kernel: Kernel
    line: str
    directory: Path

    @property
    def ko(self) -> Path:
        """The module that was built for it."""
        return self.directory / "simple" / "simple.ko"

    def sh(self, command: str) -> str:
        return self.target.exec(command, timeout=60).check().text

    @contextlib.contextmanager
    def attached(
        self, line: str = "", *, console: str = "same", ways: tuple[str, ...] = ("shell",), vmlinux: Path | None = None
    ) -> Iterator[Machine]:
        """A session on it, until the end of the block."""
        work = Path(tempfile.mkdtemp(prefix="session-", dir=self.directory))
        options = AttachOptions(
            wire=parse_wire(line or self.line),
            vmlinux=vmlinux or self.kernel.vmlinux,
            console=parse_console(console),
            search=(self.directory,),
            ways=parse_ways(ways),
        )
        machine = attach("board", options, look_at_files(options), work)
        try:
            yield machine
        finally:
            machine.close()


def boot_board(stack: contextlib.ExitStack, kernel: str, line: str, *, shared: bool, at: str = "") -> Board:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nm-")))
    built = ensure_kernel(kernel)
    chardev = line.format(directory)
    monitor = ("-qmp", f"unix:{directory}/qmp,server=on,wait=off")
    spec = QemuSpec(built.image, line=chardev, shared=shared, qemu_args=monitor)
    target = QemuTarget.launch(spec, directory / "board", cache=cache_root())
    stack.callback(target.close)
    return Board(target, built, at or f"unix:{directory}/line", directory)


SOCKET = "socket,path={0}/line,server=on,wait=off"


@pytest.fixture(scope="module")
def board() -> Iterator[Board]:
    """One UART: console and kgdb share it."""
    with contextlib.ExitStack() as stack:
        made = boot_board(stack, "6.12", SOCKET, shared=True)
        module = build_module(copy_module("simple", made.directory), made.kernel, made.directory / "build")
        made.target.push(module.ko)
        yield made


def test_a_program_attaches_stops_in_a_module_and_leaves(board: Board) -> None:
    lead = "insmod /host/simple.ko; cat /dev/simple; rmmod simple"
    places = {"vmlinux": board.kernel.vmlinux, "modules": [board.directory]}
    with nullmodem.attach(board.line, **places, break_in=["shell"]) as target:
        stop = target.break_at("simple_read", pending=True).wait(after=lambda: target.start(lead))
        assert stop.frame.function == "simple_read"
    assert board.sh("echo alive") == "alive\n"  # it stood when the block ended


def test_the_kernel_is_stopped_shown_and_left_running_without_a_breakpoint(board: Board) -> None:
    with board.attached() as machine:
        assert machine.live.state is State.RUNNING
        stop = machine.interrupt()
        assert stop.reason is StopReason.INTERRUPT
        assert machine.holder() == ""
        machine.continue_target()
        command = machine.run("insmod /host/simple.ko && cat /dev/simple", check=True)
        outcome = command.wait(30, stops=False)
        assert outcome.result is not None
        assert "hello" in outcome.result.text
        assert [module.name for module in machine.live.modules()] == ["simple"]
        assert machine.live.module("simple").file is not None
        machine.live.hold_next_load("simple")
    # A breakpoint of the session's that had stayed would freeze the machine here.
    assert board.sh("rmmod simple; insmod /host/simple.ko; rmmod simple; echo alive") == "alive\n"


def test_what_is_printed_arrives_whole_and_fools_nobody_while_breakpoints_hit(board: Board) -> None:
    words = f"echo '{FORGED}' > /dev/kmsg; echo 'costs $5 + $T05#b9 - and more' > /dev/kmsg"
    with board.attached() as machine:
        since = machine.target.console.position  # type: ignore[attr-defined]
        for number in range(6):
            machine.live.hold_next_load("simple")
            command = machine.run(
                f"{words}; echo round {number} > /dev/kmsg; insmod /host/simple.ko; {words}; rmmod simple"
            )
            stop = command.wait(30).stop
            assert stop is not None
            assert stop.reason is StopReason.MODULE_LOAD
            machine.continue_target()
            assert command.wait(30, stops=False).result is not None
        text = machine.target.console.text(since)  # type: ignore[attr-defined]
    kernel_lines = [line.partition("] ")[2] for line in board.sh("dmesg").splitlines()]
    printed = kernel_lines[kernel_lines.index("round 0") - 2 :]
    ends = iter(text.split("\n"))
    for line in printed:
        if line and "DEBUG" not in line:
            assert any(shown.endswith(line) for shown in ends), f"{line!r} is not on the console, or not in its place"
    assert text.count(FORGED) == 12 + text.count(f"'{FORGED}'")
    real = re.findall(r"\$[^#$\n]*#[0-9a-f]{2}", text)
    assert set(real) <= {FORGED, "$T05#b9"}


def test_the_console_is_a_terminal_a_socket_and_a_log_at_once(board: Board) -> None:
    with board.attached() as machine:
        machine.target.serve_console(board.directory / "console.sock")
        terminal = os.open(board.directory / "console.tty", os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(terminal, b"echo on''e cable\r")
            shown = b""
            while b"one cable" not in shown:
                assert wait_readable([terminal], 20)
                shown += os.read(terminal, 4096)
            machine.interrupt()
            os.write(terminal, b"x")
            while b"the target is stopped" not in shown:
                assert wait_readable([terminal], 20)
                shown += os.read(terminal, 4096)
            machine.continue_target()
        finally:
            os.close(terminal)
        log = (machine.workdir / "console.log").read_bytes()
        assert b"one cable" in log
        assert b"the target is stopped" not in log


def test_a_kernel_that_forbids_the_key_is_reported_with_its_own_reason(board: Board) -> None:
    board.sh("echo 0 > /proc/sys/kernel/sysrq; chmod 0 /proc/sysrq-trigger")
    try:
        with pytest.raises(TargetError) as failed, board.attached(ways=("break",)):
            pass
        assert "cannot carry a BREAK" in failed.value.message
        assert "sysctl kernel.sysrq=1" in failed.value.hint
    finally:
        board.sh("echo 1 > /proc/sys/kernel/sysrq; chmod 200 /proc/sysrq-trigger")
    assert board.sh("echo alive") == "alive\n"


def test_a_machine_that_was_left_stopped_is_taken_over_and_runs_again(board: Board) -> None:
    options = AttachOptions(parse_wire(board.line), board.kernel.vmlinux, ways=parse_ways(["shell"]))
    left = attach("board", options, look_at_files(options), board.directory / "left")
    left.interrupt()
    left.live.close(release=False)  # as when the session is killed
    left.close()
    with board.attached() as machine:
        assert machine.live.state is State.RUNNING
        assert machine.interrupt().reason is StopReason.INTERRUPT
        machine.continue_target()
    assert board.sh("echo alive") == "alive\n"


def test_the_monitor_of_a_running_qemu_sends_the_break(board: Board) -> None:
    with board.attached(ways=(f"qmp:{board.directory}/qmp,kgdb",)) as machine:
        assert machine.interrupt().reason is StopReason.INTERRUPT
        machine.continue_target()
    assert board.sh("echo alive") == "alive\n"


def test_another_kernels_vmlinux_is_refused_and_the_machine_runs_on(board: Board) -> None:
    other = ensure_kernel("6.12" if board.kernel.name == "6.1" else "6.1")
    options = AttachOptions(wire=parse_wire(board.line), vmlinux=other.vmlinux, ways=parse_ways(["shell"]))
    with pytest.raises((IdentityError, KernelDataError)):
        attach("board", options, look_at_files(options), board.directory / "wrong")
    assert board.sh("echo alive") == "alive\n"


def test_of_several_vmlinux_files_the_running_kernels_is_found(board: Board) -> None:
    other = ensure_kernel("6.12" if board.kernel.name == "6.1" else "6.1")
    files = board.directory / "kernels"
    files.mkdir()
    (files / "vmlinux-1").symlink_to(other.vmlinux)
    (files / "vmlinux-2").symlink_to(board.kernel.vmlinux)
    plan = AttachPlan(board.line, modules=(files,), ways=("shell",))
    told: list[str] = []
    options = options_of(plan, told.append)
    assert options.vmlinux == files / "vmlinux-2"
    assert [line.rpartition("-")[2] for line in told] == ["1", "2"]
    with pytest.raises(UsageError, match=r"none of the files found.*\n.*vmlinux-1\n.*is not the running kernel"):
        running_one((files / "vmlinux-1",), options)
    assert board.sh("echo alive") == "alive\n"


@pytest.mark.slow
def test_every_command_works_on_a_session_that_was_attached(board: Board, cli: Cli) -> None:
    (cli.runtime / "nullmodem.toml").write_text(
        f'[targets.lab-board]\nwire = "{board.line}"\nvmlinux = "{board.kernel.vmlinux}"\n'
        f'modules = ["{board.directory}"]\nbreak-in = ["break", "shell"]\n',
        encoding="utf-8",
    )
    process = cli.start("attach", "lab-board", "--no-gdb", "--record", "wire.rec", cwd=cli.runtime)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("file ")
    assert process.stdout.readline().startswith("target remote ")
    status = cli.facts("status")
    assert (status["name"], status["target"]["state"]) == ("lab-board", "running")
    terminal = re.search(r"^console  (/.*\.tty)$", cli.good("status"), re.MULTILINE)
    assert terminal
    assert Path(terminal[1]).is_char_device()
    assert "stopped (interrupt)" in cli.good("interrupt")
    assert "the target is stopped" in cli.bad("exec", "true", code=1)
    cli.good("continue")
    assert cli.good("exec", "insmod /host/simple.ko && echo loaded").endswith("loaded\n")
    assert "simple" in cli.good("modules")
    assert ".init.text" in cli.good("loadmap", "simple")
    recording = read_recording(cli.runtime / "wire.rec")
    assert recording.header.about["wire"] == board.line
    assert len(read_stops(recording.entries)) >= 3  # met, interrupted, and the module's load
    done = cli("gdb", "--", "-batch", "-ex", "info sharedlibrary", "-ex", "print simple_text")
    assert done.returncode == 0
    assert "simple.ko" in done.stdout
    assert '"hello"' in done.stdout
    assert cli.good("push", str(cli.runtime / "nullmodem.toml"), "/tmp") == "/tmp/nullmodem.toml\n"
    assert board.sh("cat /tmp/nullmodem.toml") == (cli.runtime / "nullmodem.toml").read_text()
    cli.good("unload", "simple")
    assert "simple is loaded" in cli.good("load", str(board.ko), "greeting=typed")
    assert "typed" in cli.good("exec", "cat /dev/simple")
    assert "simple is reloaded" in cli.good("reload", "simple")
    assert "typed" in cli.good("exec", "cat /dev/simple")
    assert "no module 'nothing'" in cli.bad("load", "nothing", code=2)
    assert "has ended" in cli.good("stop")
    assert process.wait(30) == 0
    assert board.sh("rmmod simple; echo alive") == "alive\n"


def test_an_editor_stops_in_a_module_on_it_and_never_ends_it(board: Board, cli: Cli) -> None:
    (cli.runtime / "nullmodem.toml").write_text(
        f'[targets.lab]\nwire = "{board.line}"\nvmlinux = "{board.kernel.vmlinux}"\nbreak-in = ["shell"]\n',
        encoding="utf-8",
    )
    with adapter(cli) as editor:
        editor.begin("attach", target="lab", module=str(board.ko), cwd=str(cli.runtime))
        editor.configured()
        thread = editor.stopped(reason="entry")["threadId"]
        assert editor.frames(thread, 1)[0]["name"] == "simple_init"
        editor.ask("terminate")
        editor.event("terminated")
        editor.ask("disconnect", terminateDebuggee=True)
        assert editor.wait()[0] == 0
    assert board.sh("until rmmod simple; do :; done; echo alive").endswith("alive\n")


@pytest.mark.slow
def test_modules_are_typed_and_loaded_after_what_they_need_and_stop_where_they_shall(board: Board) -> None:
    """Without a build tree: the files in the directories given are all there is."""
    build_module(copy_module("pair", board.directory), board.kernel, board.directory / "build", module="consumer")
    alone = board.directory / "alone"
    alone.mkdir()
    (alone / "vmlinux").symlink_to(board.kernel.vmlinux)
    with board.attached(vmlinux=alone / "vmlinux", ways=(f"qmp:{board.directory}/qmp,kgdb",)) as machine:
        with pytest.raises(UsageError, match="no build tree"):
            machine.build(board.directory / "pair")
        machine.live.hold_next_load("consumer")
        command = machine.load("consumer")
        stop = command.wait(30).stop
        assert stop is not None
        assert stop.reason is StopReason.MODULE_LOAD
        with pytest.raises(StateError, match="the target is stopped"):
            machine.push(board.ko)
        assert {module.name for module in machine.live.modules()} == {"provider", "consumer"}
        machine.continue_target()
        assert command.wait(30, stops=False).result is not None
        assert machine.live.module("consumer").file is not None
        for name in ("consumer", "provider"):
            assert machine.unload(name).wait(30, stops=False).result is not None
        _copy_across_a_stop(board, machine, 1, machine.interrupt)
        # A breakpoint asks nobody: part of the file is on its way to a kernel that stops, and the file is copied again.
        machine.live.hold_next_load("simple")
        loading = threading.Thread(target=lambda: board.target.exec("insmod /host/simple.ko; rmmod simple"))

        def load() -> None:
            loading.start()
            machine.live.wait_for_stop(30)

        _copy_across_a_stop(board, machine, 2, load)
        loading.join(30)


def _copy_across_a_stop(board: Board, machine: Machine, seed: int, stop: Callable[[], object]) -> None:
    file = board.directory / "large"
    file.write_bytes(random.Random(seed).randbytes(24_000))
    copied: list[str] = []
    copying = threading.Thread(target=lambda: copied.append(machine.push(file, "/tmp/large")))
    console = machine.target.console  # type: ignore[attr-defined]
    since = console.position
    copying.start()
    console.wait(r"\.9\.\s", 30, since=since)  # the tenth part is asked for
    stop()
    assert copied == []
    machine.continue_target()
    copying.join(60)
    assert copied == ["/tmp/large"]
    assert board.sh("sha256sum /tmp/large").split()[0] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_module_as_a_distribution_ships_it_has_its_lines(board: Board) -> None:
    built = next(path for path in board.directory.rglob("simple.ko") if path.is_file())
    shipped = board.directory / "shipped"
    shipped.mkdir()
    subprocess.run(["objcopy", "--only-keep-debug", built, shipped / "simple.ko.debug"], check=True)
    subprocess.run(["objcopy", "--strip-debug", built, shipped / "simple.ko"], check=True)
    subprocess.run(["zstd", "-q", "--rm", shipped / "simple.ko"], check=True)
    options = AttachOptions(parse_wire(board.line), board.kernel.vmlinux, search=(shipped,), ways=parse_ways(["shell"]))
    machine = attach("board", options, look_at_files(options), board.directory / "shipped-session")
    try:
        assert machine.run("insmod /host/simple.ko", check=True).wait(30, stops=False).result is not None
        machine.interrupt()
        module = machine.live.module("simple")
        assert module.file is not None
        symbol = module.file.symbol("simple_read")
        assert symbol is not None
        text = next(s for s in module.sections if s.section.name == symbol.section)
        assert "simple:simple_read (simple.c:" in machine.live.describe(text.address + symbol.offset)
        machine.continue_target()
        assert machine.run("rmmod simple", check=True).wait(30, stops=False).result is not None
    finally:
        machine.close()


def test_a_line_of_its_own_through_ser2net_and_a_console_elsewhere(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        board = boot_board(stack, "6.1", "pty", shared=False, at="pty")
        chardevs = board.target.monitor("query-chardev")
        assert isinstance(chardevs, list)
        path = next(str(c["filename"]) for c in chardevs if c["label"] == "kgdb").removeprefix("pty:")
        server = Ser2net(tmp_path)
        raw = server.add(f"serialdev,{path},115200n81,local", "tcp")
        stack.enter_context(server.run())
        console = Path(tempfile.mkdtemp(prefix="nm-")) / "console.sock"
        stack.callback(shutil.rmtree, console.parent)
        board.target.serve_console(console)
        with board.attached(f"tcp:127.0.0.1:{raw}", console=f"unix:{console}") as machine:
            assert machine.interrupt().reason is StopReason.INTERRUPT
            machine.continue_target()
        with (
            pytest.raises(TargetError, match="has no console of this target"),
            board.attached(f"tcp:127.0.0.1:{raw}", console=ConsoleAt.NONE.value, ways=("break",)),
        ):
            pass
        assert board.sh("echo alive") == "alive\n"
