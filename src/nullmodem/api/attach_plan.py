# SPDX-License-Identifier: Apache-2.0
"""Which target to attach to: what a user asks for, and what the configuration adds to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nullmodem.api.attach import RECONNECT_SECONDS, AttachOptions, parse_console
from nullmodem.api.config import configured_target
from nullmodem.api.lines import ConsoleAt
from nullmodem.api.sessions import NAME
from nullmodem.api.ways import DEFAULT_WAYS, parse_ways
from nullmodem.api.which_kernel import possible_kernels, running_one
from nullmodem.errors import UsageError
from nullmodem.wire.opening import check_wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_VMLINUX_HINT = """Give it with --vmlinux FILE. It is at the top of the kernel's build tree, or in a distribution's
package with debug information, as /usr/lib/debug/boot/vmlinux-RELEASE or /usr/lib/debug/lib/modules/RELEASE/vmlinux.
It was looked for there, in /lib/modules/*/build, and in the directories given with --modules."""


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
    wire_log: Path | None = None
    away: float = RECONNECT_SECONDS


def options_of(plan: AttachPlan, progress: Callable[[str], None] | None = None) -> AttachOptions:
    """The plan and the configuration as one. Where no vmlinux is named, and several might be it, the target is asked.

    Raises UsageError; WireError for a line that is not there: what is the matter with it is said first. When the target
    is asked, what `attach` raises.
    """
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
            wire_log=plan.wire_log,
            away=plan.away,
        )
    wire = parse_console(plan.target)
    if isinstance(wire, ConsoleAt):
        raise UsageError(f"{plan.target!r} is no line")
    check_wire(wire)
    first, *others = _vmlinux(plan)
    options = AttachOptions(
        wire=wire,
        vmlinux=first,
        console=parse_console(plan.console or ConsoleAt.SAME.value),
        search=tuple(path.expanduser().absolute() for path in plan.modules),
        build_tree=plan.build_tree.expanduser().absolute() if plan.build_tree is not None else None,
        ways=parse_ways(plan.ways or DEFAULT_WAYS),
        debuginfod=plan.debuginfod,
        record=plan.record,
        wire_log=plan.wire_log,
        away=plan.away,
    )
    return replace(options, vmlinux=running_one((first, *others), options, progress)) if others else options


def _vmlinux(plan: AttachPlan) -> tuple[Path, ...]:
    """The file that was named, or those that may be meant when none was."""
    if plan.vmlinux is not None:
        return (plan.vmlinux.expanduser().absolute(),)
    if plan.build_tree is not None:
        return (plan.build_tree.expanduser().absolute() / "vmlinux",)
    found = possible_kernels(tuple(path.expanduser().absolute() for path in plan.modules))
    if not found:
        raise UsageError("the target's vmlinux is not known, and none was found", hint=_VMLINUX_HINT)
    return found
