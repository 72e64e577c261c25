# SPDX-License-Identifier: Apache-2.0
"""Boot a kernel and take it over: from files to a session, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.api.beginning import begin
from nullmodem.api.files import read_files
from nullmodem.api.machine import Machine
from nullmodem.api.recording import record
from nullmodem.kbuild import cache_root
from nullmodem.session.events import EventBus
from nullmodem.session.model import Policy
from nullmodem.session.session import Session
from nullmodem.stub.arch import by_elf_machine
from nullmodem.stub.client import KgdbStub
from nullmodem.targets.initramfs import find_busybox
from nullmodem.targets.qemu import QemuTarget, find_qemu
from nullmodem.targets.spec import Accel, QemuSpec
from nullmodem.wire.log import WireLog
from nullmodem.wire.recorder import Recorder
from nullmodem.wire.streams import SocketStream

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.kbuild import Kernel
    from nullmodem.session.world import Files
    from nullmodem.wire.streams import ByteStream

TAKE_OVER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class BootOptions:
    """The machine to boot. ``search`` are directories with modules' files, besides those built in the session;
    ``record`` is a new file to which every byte of the wire is recorded, ``wire_log`` one to which every packet is
    written with its cause.
    """

    kernel: Kernel
    memory_mb: int = 256
    cpus: int = 1
    kaslr: bool = True
    append: str = ""
    search: tuple[Path, ...] = ()
    policy: Policy = Policy.RELEASE
    accel: Accel = Accel.AUTO
    record: Path | None = None
    wire_log: Path | None = None


def check_host() -> None:
    """Raise UsageError when this machine lacks a program that `boot` needs: better than after building a kernel."""
    find_qemu()
    find_busybox()


def boot(
    name: str,
    options: BootOptions,
    workdir: Path,
    progress: Callable[[str], None] | None = None,
    *,
    through: Callable[[socket.socket], socket.socket] | None = None,
) -> Machine:
    """Boot, break in, verify the kernel, watch its modules, and let it run.

    ``workdir`` is made if need be, with mode 0700. ``progress`` gets a line for each step. ``through`` gets the wire
    and returns the one to use instead: something stands between, to count or to slow down what travels.

    Raises:
        UsageError, BootError: the machine cannot be started, or does not come up, or the recording cannot be made.
            Nothing is left running.
        IdentityError: the kernel that came up is not ``options.kernel.vmlinux``.
    """
    kernel = options.kernel
    files = open_files(kernel, workdir, options.search)
    spec = QemuSpec(
        kernel=kernel.image,
        memory_mb=options.memory_mb,
        cpus=options.cpus,
        kaslr=options.kaslr,
        append=options.append,
        accel=options.accel,
    )
    target = QemuTarget.launch(spec, workdir / "target", progress=progress, cache=cache_root())
    try:
        wire = SocketStream(through(target.kgdb) if through is not None else target.kgdb)
        log = WireLog(options.wire_log)
        if options.record is None:
            return take_over(name, target, wire, files, kernel, workdir, options.policy, log)
        about = {"kernel": kernel.release, "wire": "qemu"}
        arch = by_elf_machine(files.vmlinux.machine).name
        return record(
            wire,
            Recorder(options.record, arch, about),
            lambda taped: take_over(name, target, taped, files, kernel, workdir, options.policy, log, recorded=True),
        )
    except BaseException:
        target.close()
        raise


def open_files(kernel: Kernel, workdir: Path, search: tuple[Path, ...] = ()) -> Files:
    """Everything a session knows from files: the kernel's, and where modules' are looked for.

    Raises SymbolError when a file of the kernel is no good.
    """
    return read_files(kernel.vmlinux, (*search, kernel.build_tree), workdir)


def take_over(
    name: str,
    target: QemuTarget,
    wire: ByteStream,
    files: Files,
    kernel: Kernel,
    workdir: Path,
    policy: Policy = Policy.RELEASE,
    log: WireLog | None = None,
    *,
    recorded: bool = False,
) -> Machine:
    """Begin a session on a machine that runs; see `begin` for ``recorded``.

    Raises what `LiveSession.start` does; the machine is left as it is.
    """
    stub = KgdbStub(wire, by_elf_machine(files.vmlinux.machine), log=log)
    session = Session(stub, files, EventBus(), policy=policy)
    live = begin(session, target.break_in, TAKE_OVER_SECONDS, recorded=recorded)
    return Machine(name, live, target, kernel, workdir)
