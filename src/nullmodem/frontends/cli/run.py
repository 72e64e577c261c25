# SPDX-License-Identifier: Apache-2.0
"""`nullmodem run`: a module, its machine, and gdb on the first line of its init."""

from __future__ import annotations

import select
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nullmodem.errors import UsageError
from nullmodem.frontends.cli.common import errors_console, say
from nullmodem.frontends.cli.hosting import Host, Plan, hosting
from nullmodem.frontends.cli.progress import steps
from nullmodem.frontends.gdb.launch import Invitation, command_line, find_gdb, run_in_foreground

if TYPE_CHECKING:
    from rich.console import Console

    from nullmodem.frontends.gdb.launch import Gdb

_REST = "nullmodem.rest"


class WithRest(click.Command):
    """A command whose words after ``--`` are for another program. They are in the context's meta."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_REST] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- GDB_ARGUMENTS]"]


def rest_of(ctx: click.Context) -> tuple[str, ...]:
    """The words after ``--``."""
    words: Any = ctx.meta.get(_REST, ())
    return tuple(words)


@click.command(cls=WithRest)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--break", "breakpoints", multiple=True, metavar="LOCATION", help="A breakpoint; may be repeated.")
@click.option("--kernel", default="6.1", show_default=True, metavar="NAME|DIR", help="The target's kernel.")
@click.option("--no-kaslr", is_flag=True, help="Boot the kernel where it is linked.")
@click.option("--smp", default=1, show_default=True, type=click.IntRange(1, 64), metavar="N", help="Processors.")
@click.option("--memory", default=256, show_default=True, metavar="MIB", type=click.IntRange(64), help="Memory in MiB.")
@click.option("--append", default="", metavar="WORDS", help="More for the kernel's command line.")
@click.option("--gdb", "gdb_path", metavar="PATH", help="The gdb to use.")
@click.option("--init-args", default="", metavar='"A=1 B=2"', help="Parameters for the module.")
@click.option("--session", "-s", "name", default="", metavar="NAME", help="What to call the session.")
@click.option("--no-gdb", is_flag=True, help="Serve only: print what a gdb needs, and wait.")
@click.option("--keep", is_flag=True, help="Serve on when gdb has ended.")
@click.option("--listen", default="", metavar="HOST:PORT", help="Serve gdb on this TCP port, too.")
@click.pass_context
def run(
    ctx: click.Context,
    *,
    path: Path | None,
    breakpoints: tuple[str, ...],
    kernel: str,
    no_kaslr: bool,
    smp: int,
    memory: int,
    append: str,
    gdb_path: str | None,
    init_args: str,
    name: str,
    no_gdb: bool,
    keep: bool,
    listen: str,
) -> None:
    """Debug a module from the first line of its init."""
    plan = Plan(path, kernel, name, not no_kaslr, smp, memory, append, listen)
    arguments = rest_of(ctx)
    if no_gdb:
        _refuse_without_gdb(breakpoints, gdb_path, init_args, arguments)
    gdb = None if no_gdb else find_gdb(gdb_path)
    parameters = _words(init_args)
    console = errors_console()
    with hosting(plan, console) as host:
        code = 0
        if gdb is not None:
            code = _debug(host, gdb, parameters, Invitation("", "", "", "", breakpoints, arguments), console)
        if gdb is None or keep:
            _serve(host)
    ctx.exit(code)


def _refuse_without_gdb(
    breakpoints: tuple[str, ...], gdb_path: str | None, init_args: str, arguments: tuple[str, ...]
) -> None:
    given = {"--break": breakpoints, "--gdb": gdb_path, "--init-args": init_args, "arguments for gdb": arguments}
    for option, value in given.items():
        if value:
            msg = f"{option} and --no-gdb exclude each other"
            raise UsageError(msg)


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        msg = f"--init-args {text!r} cannot be split into words: {error}"
        raise UsageError(msg) from None


def _debug(host: Host, gdb: Gdb, parameters: tuple[str, ...], wanted: Invitation, console: Console) -> int:
    machine, live = host.machine, host.machine.live
    function = file = ""
    if host.built is not None:
        init = machine.init_function(host.built)
        live.hold_next_load(host.built.name)
        with steps(console) as tell:
            tell(f"loading {host.built.name}")
            command = machine.load(host.built.name, parameters)
            command.wait()
            command.leave(live.say)
        if init is None:
            say(f"{host.built.name} has no init function; gdb stands in the kernel's loader, at its end")
        else:
            function, file = init.name, init.file
    invitation = Invitation(live.vmlinux, host.remote, function, file, wanted.breakpoints, wanted.arguments)
    return run_in_foreground(command_line(gdb, invitation), host.ending)


def _serve(host: Host) -> None:
    click.echo(f"file {host.machine.live.vmlinux}\ntarget remote {host.remote}")
    try:
        select.select([host.ending], [], [])
    except KeyboardInterrupt:
        click.echo(err=True)
