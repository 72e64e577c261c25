# SPDX-License-Identifier: Apache-2.0
"""The embedded target on real kernels: commands, console, files, break-in, and every way it can end."""

from __future__ import annotations

import contextlib
import os
import posixpath
import queue
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import CommandError, CommandTimeout, TargetError, TargetLost, UsageError
from nullmodem.kbuild import ensure_kernel
from nullmodem.targets import Accel, QemuSpec, QemuTarget, TargetExit
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.vm

# Starts a target, says QEMU's process id, and waits to be killed.
SESSION = """
import sys
from pathlib import Path
from nullmodem.targets import Accel, QemuSpec, QemuTarget

target = QemuTarget.launch(QemuSpec(Path(sys.argv[1]), accel=Accel.TCG), Path(sys.argv[2]))
print(target.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", params=["6.1", pytest.param("6.12", marks=pytest.mark.soak)])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QemuTarget]:
    """One machine for all tests that leave it as it was."""
    spec = QemuSpec(ensure_kernel(request.param).image, accel=Accel.TCG)
    with QemuTarget.launch(spec, tmp_path_factory.mktemp("target")) as machine:
        yield machine


@pytest.fixture
def spec() -> QemuSpec:
    return QemuSpec(ensure_kernel("6.1").image, accel=Accel.TCG)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., QemuTarget]]:
    """A function that boots a machine of the test's own."""
    with contextlib.ExitStack() as stack:

        def start(spec: QemuSpec, **options: object) -> QemuTarget:
            machine = QemuTarget.launch(spec, tmp_path / "work", **options)  # type: ignore[arg-type]
            return stack.enter_context(machine)

        yield start


class Stub:
    """Just enough of the debugger's side to stop and continue."""

    def __init__(self, line: socket.socket) -> None:
        line.settimeout(30)
        self.line = line
        self.request(b"$?#3f")

    def request(self, packet: bytes) -> bytes:
        self.line.sendall(packet)
        return self.reply()

    def reply(self) -> bytes:
        heard = b""
        while b"#" not in heard[:-2]:
            heard += self.line.recv(1)
        self.line.sendall(b"+")
        return heard[heard.index(b"$") + 1 : -3]

    def resume(self) -> None:
        self.line.sendall(b"$c#63")
        while self.line.recv(1) != b"+":
            pass


def test_it_comes_up_as_a_machine_one_can_work_on(target: QemuTarget) -> None:
    assert target.alive
    assert target.boot_seconds > 0
    assert target.exec("hostname; cat /proc/sys/kernel/sysrq; cut -f1 /proc/sys/kernel/printk; echo $PATH").text == (
        "target\n1\n7\n/sbin:/usr/sbin:/bin:/usr/bin\n"
    )
    mounts = {line.split()[2]: line.split()[4] for line in target.exec("mount").text.splitlines()}
    assert mounts.items() >= {"/proc": "proc", "/sys": "sysfs", "/dev": "devtmpfs", "/host": "9p"}.items()
    assert "Kernel command line: console=ttyS0 kgdboc=ttyS1,115200" in target.console_text()


def test_it_takes_the_processor_from_nobody(target: QemuTarget) -> None:
    """Under emulation and with KVM: one that stands takes a whole processor for asking its line."""
    assert os.getpriority(os.PRIO_PROCESS, target.pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + 5, 19)


@pytest.mark.parametrize("code", [0, 1, 2, 127, 128, 200, 255])
def test_the_exit_status_comes_back(target: QemuTarget, code: int) -> None:
    assert target.exec(f"exit {code}").code == code


def test_a_shell_that_kills_itself_has_an_exit_status(target: QemuTarget) -> None:
    result = target.exec("echo before; kill -9 $$; echo after")
    assert (result.code, result.output) == (137, b"before\n")
    result = target.exec("echo before; kill 0; echo after")
    assert (result.code, result.output) == (143, b"before\n")


def test_words_are_not_interpreted(target: QemuTarget) -> None:
    assert target.exec(["printf", "%s|", "a  b", "$HOME", "'", "\\n", "é\n"]).text == "a  b|$HOME|'|\\n|é\n|"


def test_bytes_arrive_as_they_are(target: QemuTarget) -> None:
    (target.share / "bytes").write_bytes(bytes(range(256)) * 16)
    assert target.exec("cat /host/bytes").output == bytes(range(256)) * 16
    assert target.exec("printf 'no newline'").output == b"no newline"
    assert target.exec("echo to stderr >&2; echo again >/dev/stderr; echo out >/dev/stdout").output == (
        b"to stderr\nagain\nout\n"
    )


def test_ten_megabytes_arrive(target: QemuTarget) -> None:
    block = os.urandom(10 << 20)
    (target.share / "big").write_bytes(block)
    assert target.exec("cat /host/big").output == block
    (target.share / "big").unlink()


def test_a_command_reads_nothing(target: QemuTarget) -> None:
    assert target.exec("cat").output == b""


def test_output_is_heard_while_the_command_runs(target: QemuTarget) -> None:
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    with ThreadPoolExecutor() as pool:
        call = pool.submit(
            target.exec, "echo first; until [ -e /host/go ]; do usleep 10000; done; echo second", on_output=heard.put
        )
        assert heard.get(timeout=30) == b"first\n"
        (target.share / "go").touch()
        assert heard.get(timeout=30) == b"second\n"
        assert call.result(30).code == 0
    (target.share / "go").unlink()


def test_four_commands_run_at_once_and_a_fifth_is_told_why_it_does_not(target: QemuTarget) -> None:
    with ThreadPoolExecutor() as pool:
        calls = [
            pool.submit(target.exec, f"touch /host/at{n}; until [ -e /host/go ]; do usleep 10000; done; echo {n}")
            for n in range(4)
        ]
        target_sees = "until [ -e /host/at0 ] && [ -e /host/at1 ] && [ -e /host/at2 ] && [ -e /host/at3 ]"
        target.console.write(f"{target_sees}; do usleep 10000; done; echo all at $((2 + 2))\n".encode())
        target.wait_console("all at 4", 30)
        with pytest.raises(TargetError, match=r"`ls` was not run: all 4 command ports are busy with `touch /host/at"):
            target.exec("ls")
        (target.share / "go").touch()
        assert [call.result(30).text for call in calls] == [f"{n}\n" for n in range(4)]
    target.exec("rm /host/go /host/at?").check()


def test_a_command_that_takes_too_long_is_left_alone_and_its_port_comes_back(target: QemuTarget) -> None:
    with pytest.raises(CommandTimeout, match=r"still runs after 0.5 s; its last words: 'waiting'"):
        target.exec("echo waiting; until [ -e /host/go ]; do usleep 10000; done; touch /host/done", timeout=0.5)
    assert target.exec("echo others work").text == "others work\n"
    (target.share / "go").touch()
    target.exec("until [ -e /host/done ]; do usleep 10000; done; rm /host/go /host/done").check()


def test_what_a_command_leaves_running_neither_keeps_its_port_nor_speaks_on_it(target: QemuTarget) -> None:
    for _ in range(6):
        assert target.exec("while :; do echo noise; usleep 1000; done & echo started").code == 0
    for _ in range(8):
        assert target.exec("echo clean").output == b"clean\n"
    # Still alive: nobody broke its pipe.
    assert target.exec("ps | grep -c '[u]sleep 1000'").output.strip() != b"0"


def test_everything_but_pid_1_may_be_killed(target: QemuTarget) -> None:
    with pytest.raises(CommandError, match=r"shell that ran `kill -9 -1` was killed"):
        target.exec("kill -9 -1")
    position = target.console.position
    assert target.exec("echo back", timeout=30).text == "back\n"
    assert "usleep" not in target.exec("ps").text
    target.wait_console("# ", 30, since=position - 200)


def test_a_command_waits_while_the_machine_is_stopped_in_the_debugger(target: QemuTarget) -> None:
    target.break_in()
    stub = Stub(target.kgdb)
    with ThreadPoolExecutor() as pool:
        call = pool.submit(target.exec, "echo patience")
        with pytest.raises(TimeoutError):
            call.result(0.5)
        # The share needs nobody to run.
        (target.workdir / "pushed").write_bytes(b"now")
        assert target.push(target.workdir / "pushed") == "/host/pushed"
        stub.resume()
        assert call.result(30).text == "patience\n"
    assert target.exec("cat /host/pushed").output == b"now"


def test_break_in_stops_the_kernel_fifty_times_out_of_fifty(target: QemuTarget) -> None:
    target.break_in()
    stub = Stub(target.kgdb)
    stub.resume()
    for _ in range(49):
        target.break_in()
        assert stub.reply().startswith(b"T05")
        stub.resume()
    assert target.exec("echo running").text == "running\n"


@pytest.mark.parametrize(
    "load",
    ["while :; do :; done", "while :; do echo flood >/dev/kmsg; done", "yes >/dev/ttyS0"],
    ids=["cpu", "log", "tty"],
)
def test_break_in_works_under_load(target: QemuTarget, load: str) -> None:
    target.exec(f"({load}) & echo $! >/run/load")
    target.break_in()
    stub = Stub(target.kgdb)
    stub.resume()
    for _ in range(9):
        target.break_in()
        assert stub.reply().startswith(b"T05")
        stub.resume()
    target.exec("kill -9 $(cat /run/load); killall -9 yes 2>/dev/null; true").check()


def test_files_arrive_where_they_were_sent(target: QemuTarget, tmp_path: Path) -> None:
    file = tmp_path / "it's a file"
    file.write_bytes(b"\0content\xff")
    file.chmod(0o755)
    target.exec("mkdir -p '/tmp/a directory'").check()
    for dest, path in [
        (None, "/host/it's a file"),
        ("/host/renamed", "/host/renamed"),
        ("/tmp", "/tmp/it's a file"),
        ("/tmp/a directory/", "/tmp/a directory/it's a file"),
        ("/tmp/../tmp/new", "/tmp/new"),
        ("here", posixpath.join("/root", "here")),
    ]:
        assert target.push(file, dest) == path
        assert target.exec(["cat", path]).check().output == b"\0content\xff"
        assert target.exec(["test", "-x", path]).code == 0
    with pytest.raises(CommandError, match="No such file or directory"):
        target.push(file, "/nowhere/x")
    with pytest.raises(UsageError, match="does not exist"):
        target.push(tmp_path / "missing")
    assert [path.name for path in target.share.iterdir() if path.name.startswith(".")] == []


def test_the_console_has_a_shell_with_job_control(target: QemuTarget) -> None:
    position = target.console.position
    # Said by the process in the foreground: the shell forgets an interrupt that comes while it is making one.
    target.console.write(b"sh -c 'echo typed $((6 * 7)); exec sleep 1000'\n")
    target.wait_console("typed 42", 30, since=position)
    target.console.write(b"\x03echo stopped $((6 * 8))\n")
    target.wait_console("stopped 48", 30, since=position)
    position = target.console.position
    target.console.write(b"exit\n")
    target.wait_console("built-in shell", 30, since=position)
    target.wait_console("# ", 30, since=position)
    target.console.write(b"echo respawned $((6 * 9))\n")
    target.wait_console("respawned 54", 30, since=position)


def test_the_console_is_open_to_other_processes(target: QemuTarget, tmp_path: Path) -> None:
    target.serve_console(tmp_path / "console")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(tmp_path / "console"))
        client.sendall(b"echo over $((5 * 5))\n")
        heard = b""
        while b"over 25" not in heard:
            heard += client.recv(4096)


def test_an_end_from_inside_is_told_to_everybody(launch: Callable[..., QemuTarget], spec: QemuSpec) -> None:
    machine = launch(spec)
    exits: queue.SimpleQueue[TargetExit] = queue.SimpleQueue()
    machine.on_exit(exits.put)
    with ThreadPoolExecutor() as pool:
        call = pool.submit(machine.exec, "sleep 1000")
        with pytest.raises(TargetLost, match=r"while it ran `echo bye.*QEMU ended with exit status 0"):
            machine.exec("echo bye >/dev/kmsg; poweroff -f")
        with pytest.raises(TargetLost, match="while it ran `sleep 1000`"):
            call.result(30)
    ended = exits.get(timeout=30)
    assert ended.code == 0
    assert "bye" in ended.log
    machine.on_exit(exits.put)
    assert exits.get(timeout=30) == ended
    assert not machine.alive
    for use in (lambda: machine.exec("ls"), machine.break_in, lambda: machine.console.write(b"x")):
        with pytest.raises(TargetLost):
            use()


def test_a_killed_qemu_is_told_with_its_signal(launch: Callable[..., QemuTarget], spec: QemuSpec) -> None:
    machine = launch(spec)
    exits: queue.SimpleQueue[TargetExit] = queue.SimpleQueue()
    machine.on_exit(exits.put)
    os.kill(machine.pid, signal.SIGKILL)
    assert exits.get(timeout=30).code == -signal.SIGKILL


def test_closing_ends_everything_and_tells_those_who_wait(launch: Callable[..., QemuTarget], spec: QemuSpec) -> None:
    machine = launch(spec)
    machine.on_exit(lambda ended: pytest.fail(f"told of {ended}"))
    started = threading.Event()
    with ThreadPoolExecutor() as pool:
        call = pool.submit(machine.exec, "echo; sleep 1000", on_output=lambda _: started.set())
        assert started.wait(30)
        watch = os.pidfd_open(machine.pid)
        machine.close()
        with pytest.raises(TargetLost, match="shut down from here"):
            call.result(30)
    assert wait_readable([watch], 10)
    os.close(watch)
    machine.close()
    assert "Run /init" in machine.console_text()
    for use in (lambda: machine.exec("ls"), machine.break_in, lambda: machine.wait_console("never", 10)):
        with pytest.raises(TargetLost):
            use()


def test_qemu_dies_with_a_session_that_is_killed(spec: QemuSpec, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", SESSION, str(spec.kernel), str(tmp_path / "work")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as session:
        assert session.stdout is not None
        watch = os.pidfd_open(int(session.stdout.readline()))
        session.kill()
        assert wait_readable([watch], 10)
        os.close(watch)


def test_two_machines_run_side_by_side_even_in_deep_directories(spec: QemuSpec, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    with (
        QemuTarget.launch(QemuSpec(spec.kernel, accel=Accel.TCG, cpus=2), deep / "one") as one,
        QemuTarget.launch(QemuSpec(spec.kernel, accel=Accel.TCG, kaslr=False, append="quiet"), deep / "two") as two,
    ):
        assert one.exec("nproc").text == "2\n"
        assert two.exec("nproc").text == "1\n"
        assert two.exec("cat /proc/cmdline").text.endswith(" nokaslr quiet\n")
        with pytest.raises(UsageError, match="the system's limit is 107"):
            one.serve_console(deep / "socket")


def test_a_directory_of_the_users_can_be_shared(spec: QemuSpec, tmp_path: Path) -> None:
    share = tmp_path / "with, comma"
    share.mkdir()
    (share / "file").write_text("shared")
    with QemuTarget.launch(QemuSpec(spec.kernel, accel=Accel.TCG, share=share), tmp_path / "work") as machine:
        assert machine.exec("cat /host/file; echo more >/host/other").text == "shared"
        assert (share / "other").read_text() == "more\n"
