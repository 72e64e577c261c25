# SPDX-License-Identifier: Apache-2.0
"""Making a session and serving it: from a module's path to a booted machine that others find and may use."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from nullmodem.api.boot import BootOptions, boot, check_host
from nullmodem.api.control import ControlServer, Service
from nullmodem.api.control_protocol import VERSION
from nullmodem.api.notices import Notices
from nullmodem.api.parameters import parameters_for
from nullmodem.api.recording import check_new
from nullmodem.api.sessions import NAME, SessionRecord, check_free, claim
from nullmodem.api.workdir import WorkDirectory
from nullmodem.errors import UsageError
from nullmodem.frontends.cli.building import building
from nullmodem.frontends.cli.lifetime import Ending, ended_by_signals, uninterrupted
from nullmodem.frontends.cli.program import say
from nullmodem.frontends.cli.progress import steps
from nullmodem.frontends.gdb.server import GdbServer, listen_tcp, listen_unix
from nullmodem.frontends.python.room_server import RoomServer
from nullmodem.frontends.web.starting import open_web
from nullmodem.kbuild import build_module, ensure_kernel
from nullmodem.session.model import Policy
from nullmodem.version import __version__
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from nullmodem.api.machine import Machine
    from nullmodem.api.sessions import RunningSession, SessionEntry
    from nullmodem.kbuild import BuiltModule, Kernel


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user asked for. ``path`` None: a machine without a module. ``name`` empty: named after the module.
    ``record`` is a file for the wire's recording; ``parameters`` are those the module will be loaded with.
    """

    path: Path | None
    kernel: str
    name: str = ""
    kaslr: bool = True
    cpus: int = 1
    memory_mb: int = 256
    append: str = ""
    listen: str = ""
    policy: Policy = Policy.RELEASE
    record: Path | None = None
    wire_log: Path | None = None
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """A session of this process: the machine runs, and nothing is loaded yet.

    ``remote`` is what to type after `target remote`; ``ending`` is readable when somebody has asked for the end.
    """

    name: str
    machine: Machine
    built: BuiltModule | None
    remote: str
    ending: Ending


@contextlib.contextmanager
def hosting(plan: Plan, console: Console) -> Iterator[Host]:
    """Build, boot and serve; at the end, however it comes, nothing is left running and no file is left behind.

    Raises what building and booting raise; UsageError for a name or an address that is taken.
    """
    with ended_by_signals(), contextlib.ExitStack() as stack:
        try:
            yield _start(plan, console, stack)
        finally:
            with uninterrupted():
                stack.close()


@dataclass(frozen=True, slots=True)
class Beginning:
    """Before there is a target: where files go, where to listen for gdb, and the file this process logs in."""

    work: Path
    log: Path
    listeners: tuple[socket.socket, ...]


@dataclass(frozen=True, slots=True)
class Entrance:
    """A session that others can see, and not use yet."""

    session: RunningSession
    control: ControlServer
    ending: Ending

    @property
    def name(self) -> str:
        return self.session.name


def begin(suggestion: str, listen: str, stack: contextlib.ExitStack) -> Beginning:
    """Raises UsageError for an address that cannot be listened on."""
    listeners = (listen_tcp(listen),) if listen else ()
    for listener in listeners:
        stack.callback(listener.close)
    work = stack.enter_context(WorkDirectory(suggestion)).path
    return Beginning(work, _log_to(work / "session.log", stack), listeners)


def enter(name: str, record: SessionRecord, stack: contextlib.ExitStack, *, exact: bool) -> Entrance:
    """Take a place among the sessions. Raises UsageError for a name that is taken."""
    ending = Ending()
    stack.callback(ending.close)
    entry = claim(name, record, exact=exact)
    # Hung up on after everything is cleaned up: who asked for the end waits for that.
    control = ControlServer()
    stack.callback(control.close)
    stack.callback(_leave, entry)
    control.listen(entry.session.control_socket)
    return Entrance(entry.session, control, ending)


def _leave(entry: SessionEntry) -> None:
    if entry.close():
        name = entry.session.name
        say(f"the target could not be freed of what is armed in it: `nullmodem recover --session {name}` does that")


def open_doors(
    beginning: Beginning,
    entrance: Entrance,
    machine: Machine,
    built: BuiltModule | None,
    stack: contextlib.ExitStack,
) -> Host:
    """Serve a machine to gdbs and to other commands."""
    session = entrance.session
    machine.target.serve_console(session.console_socket)
    listeners = [*beginning.listeners, listen_unix(session.gdb_socket)]
    servers = [GdbServer(machine.live, listener) for listener in listeners]
    for server in servers:
        stack.callback(server.close)
    stack.callback(RoomServer(machine, session.python_socket).close)
    addresses = tuple(server.address for server in servers)
    entrance.control.serve(
        Service(
            session, machine, addresses, entrance.ending.ask, beginning.log, page=lambda port: page_of(machine, port)
        )
    )
    return Host(session.name, machine, built, addresses[0], entrance.ending)


@contextlib.contextmanager
def page_of(machine: Machine, port: int) -> Iterator[str]:
    """Serve a page for browsers meanwhile, on a free port if ``port`` is 0.

    Raises UsageError when what it needs is not installed, SessionError for a port that is in use.
    """
    with contextlib.closing(open_web(machine, port)) as server:
        yield server.url


def serve(host: Host) -> None:
    """Until somebody asks for the end, or the target comes to its own. Raises TargetLost."""
    with contextlib.closing(Notices(host.machine.live.subscribe(), say)):
        try:
            host.machine.on_lost(host.ending.ask)
            click.echo(f"file {host.machine.live.vmlinux}\ntarget remote {host.remote}")
            wait_readable([host.ending])
        except KeyboardInterrupt:
            return
    host.machine.require_alive()


def new_record(kernel: str, release: str, vmlinux: Path, module: str, workdir: Path) -> SessionRecord:
    """The record of a session of this process."""
    return SessionRecord(
        pid=os.getpid(),
        started=time.time(),
        version=__version__,
        protocol=VERSION,
        kernel=kernel,
        release=release,
        vmlinux=str(vmlinux),
        module=module,
        workdir=str(workdir),
    )


def _start(plan: Plan, console: Console, stack: contextlib.ExitStack) -> Host:
    # What is wrong with the request is said before anything is built.
    if plan.name:
        check_free(plan.name)
    if plan.path is not None and not plan.path.expanduser().exists():
        msg = f"there is no {plan.path}"
        raise UsageError(msg, hint="Name a module's source directory, a .c file or a .ko file.")
    if plan.record is not None:
        check_new(plan.record)
    check_host()
    beginning = begin(plan.name or _suggestion(plan.path), plan.listen, stack)
    with building(console) as progress:
        kernel = ensure_kernel(plan.kernel, progress)
    built = None
    if plan.path is not None:
        with building(console) as progress:
            built = build_module(plan.path, kernel, beginning.work / "build", progress)
        parameters_for(built, plan.parameters)
    module = built.name if built is not None else ""
    record = new_record(kernel.name, kernel.release, kernel.vmlinux, module, beginning.work)
    entrance = enter(plan.name or module or "target", record, stack, exact=bool(plan.name))
    with steps(console) as tell:
        machine = boot(entrance.name, _options(plan, kernel), beginning.work, tell)
    stack.callback(machine.close)
    if built is not None:
        machine.add(built)
    return open_doors(beginning, entrance, machine, built, stack)


def _options(plan: Plan, kernel: Kernel) -> BootOptions:
    return BootOptions(
        kernel=kernel,
        memory_mb=plan.memory_mb,
        cpus=plan.cpus,
        kaslr=plan.kaslr,
        append=plan.append,
        policy=plan.policy,
        record=plan.record,
        wire_log=plan.wire_log,
    )


def _log_to(path: Path, stack: contextlib.ExitStack) -> Path:
    """Away from the terminal, which is gdb's."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    logger = logging.getLogger("nullmodem")
    logger.addHandler(handler)
    stack.callback(handler.close)
    stack.callback(logger.removeHandler, handler)
    return path


def _suggestion(path: Path | None) -> str:
    """A name for the work directory, before it is known what the module calls itself."""
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", path.expanduser().absolute().stem)[:30] if path is not None else ""
    return stem if NAME.fullmatch(stem) else "target"
