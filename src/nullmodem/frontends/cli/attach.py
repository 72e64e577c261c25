# SPDX-License-Identifier: Apache-2.0
"""`nullmodem attach`: a kernel that runs already, on any machine that a line leads to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nullmodem.api.attach import RECONNECT_SECONDS
from nullmodem.api.attach_plan import AttachPlan
from nullmodem.api.config import configured_targets
from nullmodem.errors import NullmodemError
from nullmodem.frontends.cli.attaching import attaching
from nullmodem.frontends.cli.common import errors_console
from nullmodem.frontends.cli.debugging import Wanted, debug, debugging_options, gdb_for
from nullmodem.frontends.cli.gdb_command import WithGdbArguments, gdb_arguments

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def _complete_target(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    try:
        return [name for name in sorted(configured_targets()) if name.startswith(incomplete)]
    except NullmodemError:
        return []  # a shell that completes has no place for an error


@click.command(cls=WithGdbArguments, short_help="A kernel that runs already, through a line to it.")
@click.argument("target", metavar="WIRE|NAME", shell_complete=_complete_target)
@click.option(
    "--vmlinux",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The running kernel's vmlinux; otherwise it is looked for where --modules and distributions have one.",
)
@click.option(
    "--modules",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to look for modules' files; may be repeated.",
)
@click.option(
    "--build-tree",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The kernel's build tree: modules of it are found, and modules are built against it.",
)
@click.option(
    "--console",
    default="",
    metavar="same|none|WIRE",
    help="The target's console: on the same line, which is the default, not to be had, or on a line of its own.",
)
@click.option(
    "--break-in",
    "ways",
    multiple=True,
    metavar="WAY",
    help="How to stop the running kernel: break, shell, ssh:USER@HOST, qmp:SOCKET; repeated, they are tried in order.",
)
@click.option("--debuginfod", is_flag=True, help="Ask the servers in $DEBUGINFOD_URLS for debug info that is not here.")
@click.option(
    "--reconnect",
    type=click.FloatRange(min=0),
    default=RECONNECT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long a line that goes away is waited for, and opened again; 0: the session ends with it.",
)
@debugging_options
@click.pass_context
def attach(
    ctx: click.Context,
    *,
    target: str,
    vmlinux: Path | None,
    modules: tuple[Path, ...],
    build_tree: Path | None,
    console: str,
    ways: tuple[str, ...],
    debuginfod: bool,
    reconnect: float,
    wanted: Wanted,
) -> None:
    """Stop a kernel that runs already, and open gdb where it was. At the end it runs on, without breakpoints.

    WIRE is the line to its kgdb:

    \b
    serial:/dev/ttyUSB0?baud=115200     also parity=, stop=, flow=rtscts|xonxoff
    rfc2217:HOST:PORT?baud=115200       ser2net, conserver, a terminal server
    telnet:HOST:PORT   tcp:HOST:PORT    the same without its settings; plain bytes
    unix:PATH   pty:PATH                a virtual machine's

    NAME is a target that a nullmodem.toml describes. The kernel needs kgdb on that line (kgdboc=ttyS0,115200). Its
    console may be on the same line: text and packets are told apart, and `nullmodem console` shows the text.

    \b
    nullmodem attach serial:/dev/ttyUSB0 --vmlinux build/vmlinux --modules drivers/
    nullmodem attach rfc2217:lab:3001 --build-tree ~/linux --break-in break --break-in ssh:root@board
    nullmodem attach lab-board --break my_probe
    """
    arguments = gdb_arguments(ctx)
    gdb = gdb_for(wanted, arguments)
    plan = AttachPlan(
        target,
        vmlinux,
        modules,
        build_tree,
        console,
        ways,
        wanted.name,
        wanted.listen,
        debuginfod=debuginfod,
        record=wanted.record,
        wire_log=wanted.wire_log,
        away=reconnect,
    )
    with attaching(plan, errors_console()) as host:
        code = debug(host, gdb, wanted, arguments, outcome="the session ends with it, and the target runs on")
    ctx.exit(code)
