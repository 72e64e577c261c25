# SPDX-License-Identifier: Apache-2.0
"""The beginning of a program's debugging: a machine that is booted, or one that runs already."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nullmodem.api.attach import attach as attach_machine
from nullmodem.api.attach import look_at_files
from nullmodem.api.attach_plan import AttachPlan, options_of
from nullmodem.api.boot import BootOptions, check_host
from nullmodem.api.boot import boot as boot_machine
from nullmodem.api.sessions import NAME
from nullmodem.api.workdir import WorkDirectory
from nullmodem.frontends.python.target import Target
from nullmodem.kbuild import ensure_kernel
from nullmodem.session.model import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nullmodem.api.machine import Machine


def boot(
    kernel: str = "6.1",
    *,
    module: str | Path | None = None,
    parameters: str | Sequence[str] = (),
    load: bool = True,
    cpus: int = 1,
    memory_mb: int = 256,
    kaslr: bool = True,
    append: str = "",
    search: Sequence[str | Path] = (),
    record: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Target:
    """Boot a kernel in QEMU and take it over. It runs when this returns.

    Args:
        kernel: a version nullmodem builds (built now if it is not there: minutes), or a kernel's build directory.
        module: a module's source directory, a .c file or a .ko to build and, unless ``load`` is false, to load.
        parameters: ``name=value`` to load it with, one or several.
        load: whether to load it. Not yet: set breakpoints in its init first, then `Target.load`.
        cpus: how many processors.
        memory_mb: memory in MiB.
        kaslr: whether the kernel may choose where it runs.
        append: more for the kernel's command line.
        search: directories with more modules' files.
        record: a new file to record the wire in.
        progress: told each step in one line.

    Raises:
        UsageError: a program that is needed is not there, or a path or name is wrong.
        BuildError: the kernel or the module does not build.
        BootError: the machine does not come up.
        CommandError: the module was built and the kernel, or its init, refuses it.
    """
    check_host()
    options = BootOptions(
        kernel=ensure_kernel(kernel),
        memory_mb=memory_mb,
        cpus=cpus,
        kaslr=kaslr,
        append=append,
        search=tuple(map(Path, search)),
        policy=Policy.RELEASE,
        record=_path(record),
    )
    name = Path(module).stem if module is not None else "python"

    def start(options: BootOptions) -> Machine:
        with contextlib.ExitStack() as stack:
            work = stack.enter_context(WorkDirectory("python"))
            machine = boot_machine(name, options, work.path, progress)
            machine.closes(stack.pop_all().close)
            return machine

    # A recording is of one boot: another boot does not go on with it.
    target = Target(start(options), lambda: start(replace(options, record=None)))
    try:
        if module is not None:
            built = target.build(module)
            if load:
                target.load(built.name, *([parameters] if isinstance(parameters, str) else parameters))
    except BaseException:
        target.close()
        raise
    return target


def attach(
    target: str,
    *,
    vmlinux: str | Path | None = None,
    modules: Sequence[str | Path] = (),
    build_tree: str | Path | None = None,
    console: str = "",
    break_in: Sequence[str] = (),
    record: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Target:
    """Take over a kernel that runs already, on whatever machine, through whatever line. It runs when this returns.

    Args:
        target: a name from ``nullmodem.toml``, or a line: ``serial:/dev/ttyUSB0``, ``rfc2217:lab:3001``, ….
        vmlinux: of the kernel that runs; if it is not given, the configuration's, the build tree's, or the one that the
            target runs of those in ``modules``, ``/usr/lib/debug`` and ``/lib/modules/*/build``.
        modules: directories with modules' files.
        build_tree: where modules are built against.
        console: ``"same"`` (as kgdb's line), ``"none"``, or a line of its own.
        break_in: ways to stop the kernel, tried in this order: ``"break"``, ``"shell"``, ``"ssh:user@host"``, ….
        record: a new file to record the wire in.
        progress: told each step in one line.

    Raises:
        UsageError: no target of that name, or something that was named is not there.
        WireError: the line cannot be opened, or nobody answers.
        TargetError: the kernel could not be stopped; the message says what was tried.
        IdentityError: another kernel runs than ``vmlinux``. It runs on.
    """
    plan = AttachPlan(
        target=target,
        vmlinux=_path(vmlinux),
        modules=tuple(map(Path, modules)),
        build_tree=_path(build_tree),
        console=console,
        ways=tuple(break_in),
        record=_path(record),
    )
    options = options_of(plan, progress)
    found = look_at_files(options)
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(WorkDirectory("python"))
        name = target if NAME.fullmatch(target) else "board"
        machine = attach_machine(name, options, found, work.path, progress)
        machine.closes(stack.pop_all().close)
        return Target(machine)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
