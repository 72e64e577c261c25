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

from nullmodem import __version__
from nullmodem.api.boot import BootOptions, boot, check_host
from nullmodem.api.control import ControlServer, Service
from nullmodem.api.control_protocol import VERSION
from nullmodem.api.sessions import NAME, SessionRecord, check_free, claim
from nullmodem.api.workdir import WorkDirectory
from nullmodem.errors import UsageError
from nullmodem.frontends.cli.building import building
from nullmodem.frontends.cli.lifetime import Ending, ended_by_signals, uninterrupted
from nullmodem.frontends.cli.progress import steps
from nullmodem.frontends.gdb.server import GdbServer, listen_tcp, listen_unix
from nullmodem.kbuild import build_module, ensure_kernel
from nullmodem.session.model import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from nullmodem.api.machine import Machine
    from nullmodem.kbuild import BuiltModule, Kernel


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user asked for. ``path`` None: a machine without a module. ``name`` empty: named after the module."""

    path: Path | None
    kernel: str
    name: str = ""
    kaslr: bool = True
    cpus: int = 1
    memory_mb: int = 256
    append: str = ""
    listen: str = ""
    policy: Policy = Policy.RELEASE


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


def _start(plan: Plan, console: Console, stack: contextlib.ExitStack) -> Host:
    # What is wrong with the request is said before anything is built.
    if plan.name:
        check_free(plan.name)
    if plan.path is not None and not plan.path.expanduser().exists():
        msg = f"there is no {plan.path}"
        raise UsageError(msg, hint="Name a module's source directory, a .c file or a .ko file.")
    check_host()
    listeners = [listen_tcp(plan.listen)] if plan.listen else []
    for listener in listeners:
        stack.callback(listener.close)
    work = stack.enter_context(WorkDirectory(plan.name or _suggestion(plan.path)))
    log = _log_to(work.path / "session.log", stack)
    with building(console) as progress:
        kernel = ensure_kernel(plan.kernel, progress)
    built = None
    if plan.path is not None:
        with building(console) as progress:
            built = build_module(plan.path, kernel, work.path / "build", progress)

    ending = Ending()
    stack.callback(ending.close)
    record = _record(kernel, built, work.path)
    entry = claim(plan.name or record.module or "target", record, exact=bool(plan.name))
    # Hung up on after everything is cleaned up: who asked for the end waits for that.
    control = ControlServer()
    stack.callback(control.close)
    stack.callback(entry.close)
    control.listen(entry.session.control_socket)
    with steps(console) as tell:
        machine = boot(entry.session.name, _options(plan, kernel), work.path, tell)
    stack.callback(machine.close)
    if built is not None:
        machine.add(built)
    machine.target.serve_console(entry.session.console_socket)
    servers = [GdbServer(machine.live, listener) for listener in [*listeners, listen_unix(entry.session.gdb_socket)]]
    for server in servers:
        stack.callback(server.close)
    addresses = tuple(server.address for server in servers)
    control.serve(Service(entry.session, machine, addresses, ending.ask, log))
    return Host(entry.session.name, machine, built, addresses[0], ending)


def _options(plan: Plan, kernel: Kernel) -> BootOptions:
    return BootOptions(
        kernel=kernel,
        memory_mb=plan.memory_mb,
        cpus=plan.cpus,
        kaslr=plan.kaslr,
        append=plan.append,
        policy=plan.policy,
    )


def _record(kernel: Kernel, built: BuiltModule | None, workdir: Path) -> SessionRecord:
    return SessionRecord(
        pid=os.getpid(),
        started=time.time(),
        version=__version__,
        protocol=VERSION,
        kernel=kernel.name,
        release=kernel.release,
        vmlinux=str(kernel.vmlinux),
        module=built.name if built is not None else "",
        workdir=str(workdir),
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
