# SPDX-License-Identifier: Apache-2.0
"""Attaching to a target and serving it: from what was typed and configured to a session that others find."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.api.attach import AttachOptions, ConsoleAt, attach, look_at_files, parse_console
from nullmodem.api.config import configured_target
from nullmodem.api.recording import check_new
from nullmodem.api.sessions import NAME, check_free
from nullmodem.api.ways import DEFAULT_WAYS, parse_ways
from nullmodem.errors import UsageError
from nullmodem.frontends.cli.hosting import begin, enter, new_record, open_doors
from nullmodem.frontends.cli.lifetime import ended_by_signals, uninterrupted
from nullmodem.frontends.cli.progress import steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from nullmodem.frontends.cli.hosting import Host


_VMLINUX_HINT = """Give it with --vmlinux FILE. It is at the top of the kernel's build tree, or in a distribution's
package with debug information, as /usr/lib/debug/boot/vmlinux-RELEASE or /usr/lib/debug/lib/modules/RELEASE/vmlinux."""


@dataclass(frozen=True, slots=True)
class AttachPlan:
    """What the user asked for; what is empty, or None, comes from the configuration if ``target`` is a name there."""

    target: str
    vmlinux: Path | None = None
    modules: tuple[Path, ...] = ()
    build_tree: Path | None = None
    console: str = ""
    ways: tuple[str, ...] = ()
    name: str = ""
    listen: str = ""
    debuginfod: bool = False
    record: Path | None = None


@contextlib.contextmanager
def attaching(plan: AttachPlan, console: Console) -> Iterator[Host]:
    """Attach and serve; at the end, however it comes, breakpoints are lifted and the target runs on.

    Raises what attaching raises; UsageError for what is wrong with the request, before a line is opened.
    """
    with ended_by_signals(), contextlib.ExitStack() as stack:
        try:
            yield _start(plan, console, stack)
        finally:
            with uninterrupted():
                stack.close()


def options_of(plan: AttachPlan) -> AttachOptions:
    """The plan and the configuration as one. Raises UsageError."""
    if NAME.fullmatch(plan.target):
        named = configured_target(plan.target)
        plan = AttachPlan(
            target=named.wire,
            vmlinux=plan.vmlinux or named.vmlinux,
            modules=(*plan.modules, *named.modules),
            build_tree=plan.build_tree or named.build_tree,
            console=plan.console or named.console,
            ways=plan.ways or named.break_in,
            debuginfod=plan.debuginfod,
            record=plan.record,
        )
    wire = parse_console(plan.target)
    if isinstance(wire, ConsoleAt):
        raise UsageError(f"{plan.target!r} is no line")
    return AttachOptions(
        wire=wire,
        vmlinux=_vmlinux(plan),
        console=parse_console(plan.console or ConsoleAt.SAME.value),
        search=tuple(path.expanduser().absolute() for path in plan.modules),
        build_tree=plan.build_tree.expanduser().absolute() if plan.build_tree is not None else None,
        ways=parse_ways(plan.ways or DEFAULT_WAYS),
        debuginfod=plan.debuginfod,
        record=plan.record,
    )


def _vmlinux(plan: AttachPlan) -> Path:
    if plan.vmlinux is not None:
        return plan.vmlinux.expanduser().absolute()
    if plan.build_tree is not None:
        return plan.build_tree.expanduser().absolute() / "vmlinux"
    raise UsageError(
        "the target's vmlinux is not known",
        hint=_VMLINUX_HINT,
    )


def _start(plan: AttachPlan, console: Console, stack: contextlib.ExitStack) -> Host:
    if plan.name:
        check_free(plan.name)
    if plan.record is not None:
        check_new(plan.record)
    options = options_of(plan)
    found = look_at_files(options)
    suggestion = plan.target if NAME.fullmatch(plan.target) else "board"
    beginning = begin(plan.name or suggestion, plan.listen, stack)
    kernel = found.kernel.name if found.kernel is not None else str(options.vmlinux)
    record = new_record(kernel, found.release, options.vmlinux, "", beginning.work)
    entrance = enter(plan.name or suggestion, record, stack, exact=bool(plan.name))
    with steps(console) as tell:
        machine = attach(entrance.name, options, found, beginning.work, tell, journal=entrance.session.journal)
    stack.callback(machine.close)
    return open_doors(beginning, entrance, machine, None, stack)
