# SPDX-License-Identifier: Apache-2.0
"""The whole debugging session again, as on a board with one cable: console and kgdb share it, and a terminal server is
between.

::

    QEMU, one UART  --pty--  ser2net  --rfc2217-->  nullmodem attach  -->  gdb
                                                         └-->  console, where insmod and rmmod are typed

The kernel is not started by the session and knows nothing of it: it is stopped by `echo g > /proc/sysrq-trigger`, typed
on its console. At the end it runs on. Exits with 1 at the first answer that is not what it should be.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from session import EXAMPLE, PATIENCE, Dialogue, compile_exercise, fail, report, whole_job

from nullmodem.api.attach import AttachOptions, attach, look_at_files
from nullmodem.api.ways import parse_ways
from nullmodem.errors import NullmodemError
from nullmodem.frontends.gdb.launch import find_gdb, index_cache
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.kbuild import build_module, cache_root, ensure_kernel
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import QemuSpec
from nullmodem.testing.gdb import Gdb
from nullmodem.waiting import wait_readable
from nullmodem.wire.spec import parse_wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nullmodem.api.commands import RunningCommand
    from nullmodem.api.machine import Machine
    from nullmodem.kbuild import Kernel

PACKET = re.compile(rb"\$[^#$\r\n]{1,1100}#[0-9a-f]{2}")


class ByConsole:
    """A user at the target's console, which is on the debugger's line."""

    def __init__(self, machine: Machine) -> None:
        self.live = machine.live
        self._machine = machine

    def load(self, name: str, parameters: Sequence[str] = ()) -> RunningCommand:
        return self.run(" ".join((f"insmod /host/{name}.ko", *parameters)))

    def unload(self, name: str) -> RunningCommand:
        return self.run(f"rmmod {name}")

    def run(self, command: str) -> RunningCommand:
        return self._machine.run(command, check=True)


@contextlib.contextmanager
def terminal_server(device: str, directory: Path) -> Iterator[int]:
    """A real ser2net with RFC 2217 on a free port of the loopback interface; the port."""
    program = shutil.which("ser2net", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        fail("ser2net is missing: apt-get install ser2net")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = directory / "ser2net.yaml"
    configuration.write_text(
        "%YAML 1.1\n---\nconnection: &board\n"
        f"  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}\n"
        f"  connector: serialdev,{device},115200n81,local\n",
        encoding="ascii",
    )
    with subprocess.Popen([program, "-n", "-d", "-c", configuration], stderr=subprocess.DEVNULL) as process:
        try:
            listening = f"0100007F:{port:04X} 00000000:0000 0A"
            for _ in range(500):
                if listening in Path("/proc/net/tcp").read_text(encoding="ascii"):
                    break
                wait_readable([], 0.01)
            yield port
        finally:
            process.kill()


def start_board(kernel: Kernel, directory: Path) -> tuple[QemuTarget, str]:
    """A machine with one UART, and the pseudo terminal that its other end is."""
    board = QemuTarget.launch(
        QemuSpec(kernel.image, line="pty", shared=True), directory, progress=click.echo, cache=cache_root()
    )
    chardevs = board.monitor("query-chardev")
    assert isinstance(chardevs, list)
    name = next(str(chardev["filename"]) for chardev in chardevs if chardev["label"] == "kgdb")
    return board, name.removeprefix("pty:")


@click.command(help=__doc__)
@click.option("--gdb", "gdb_path", default="gdb", show_default=True, help="The gdb to use.")
@click.option(
    "--kernel", "kernel_name", default="6.1", show_default=True, help="One that `nullmodem kernel list` shows."
)
def main(gdb_path: str, kernel_name: str) -> None:
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nullmodem-demo-")))
        try:
            kernel = ensure_kernel(kernel_name)
            board, device = start_board(kernel, work / "board")
            stack.callback(board.close)
            built = build_module(EXAMPLE, kernel, work / "build")
            board.push(built.ko)
            exercise = board.push(compile_exercise(work))
            port = stack.enter_context(terminal_server(device, work))

            wire = f"rfc2217:127.0.0.1:{port}?baud=115200"
            click.echo(click.style(f"$ nullmodem attach {wire} --vmlinux {kernel.vmlinux}", fg="cyan"))
            options = AttachOptions(
                wire=parse_wire(wire), vmlinux=kernel.vmlinux, search=(built.ko.parent,), ways=parse_ways(["shell"])
            )
            machine = attach("demo", options, look_at_files(options), work / "session", click.echo)
            ended = stack.enter_context(contextlib.ExitStack())
            ended.callback(machine.close)
            server = GdbServer(machine.live, listen_unix(work / "gdb"))
            ended.callback(server.close)
            gdb = ended.enter_context(
                Gdb(gdb_path, *index_cache(find_gdb(gdb_path)), machine.live.vmlinux, patience=PATIENCE)
            )
            talk = Dialogue(gdb, machine.live)
            talk.type(f"target remote {server.address}", "Remote debugging using")
            whole_job(talk, ByConsole(machine), exercise)
            gdb.quit()
            report(machine)
            ended.close()
            show_console(work / "session" / "console.log")
            board.exec("true", timeout=PATIENCE)  # it runs on, and nobody has the line
        except NullmodemError as error:
            fail(str(error))


def show_console(log: Path) -> None:
    """What a terminal on the shared line has shown meanwhile: the kernel's words and a user's, and no packet."""
    text = log.read_bytes()
    if packet := PACKET.search(text):
        fail(f"a packet was shown on the console: {packet[0]!r}")
    click.echo("\n" + click.style("== The console, on the same cable", bold=True))
    click.echo(text.decode(errors="replace").replace("\r", ""))


if __name__ == "__main__":
    sys.exit(main())
