# SPDX-License-Identifier: Apache-2.0
"""Which target to attach to: what a user asks for, and what the configuration adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.api.attach import RECONNECT_SECONDS, AttachOptions, parse_console
from nullmodem.api.config import configured_target
from nullmodem.api.lines import ConsoleAt
from nullmodem.api.sessions import NAME
from nullmodem.api.ways import DEFAULT_WAYS, parse_ways
from nullmodem.errors import UsageError
from nullmodem.wire.opening import check_wire

if TYPE_CHECKING:
    from pathlib import Path

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
    wire_log: Path | None = None
    away: float = RECONNECT_SECONDS


def options_of(plan: AttachPlan) -> AttachOptions:
    """The plan and the configuration as one.

    Raises UsageError; WireError for a line that is not there: what is the matter with it is said first.
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
    return AttachOptions(
        wire=wire,
        vmlinux=_vmlinux(plan),
        console=parse_console(plan.console or ConsoleAt.SAME.value),
        search=tuple(path.expanduser().absolute() for path in plan.modules),
        build_tree=plan.build_tree.expanduser().absolute() if plan.build_tree is not None else None,
        ways=parse_ways(plan.ways or DEFAULT_WAYS),
        debuginfod=plan.debuginfod,
        record=plan.record,
        wire_log=plan.wire_log,
        away=plan.away,
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
