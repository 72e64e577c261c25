# SPDX-License-Identifier: Apache-2.0
"""`nullmodem run`: a module, its machine, and gdb on the first line of its init."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nullmodem.errors import UsageError
from nullmodem.frontends.cli.common import complete_kernel, errors_console
from nullmodem.frontends.cli.gdb_command import WithGdbArguments, gdb_arguments, tell_of_death
from nullmodem.frontends.cli.hosting import Host, Plan, hosting, serve
from nullmodem.frontends.cli.program import say
from nullmodem.frontends.cli.progress import steps
from nullmodem.frontends.gdb.launch import Invitation, command_line, find_gdb, run_in_foreground
from nullmodem.kbuild.source import DEFAULT_VERSION
from nullmodem.session.model import Policy

if TYPE_CHECKING:
    from rich.console import Console


PROCESSORS = click.IntRange(1, 64)
MEMORY = click.IntRange(64, 1 << 20)


@click.command(cls=WithGdbArguments, short_help="A module under gdb, from the first line of its init.")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--break", "breakpoints", multiple=True, metavar="LOCATION", help="A breakpoint to set; may be repeated.")
@click.option("--init-args", default="", metavar='"A=1 B=2"', help="Parameters to load the module with.")
@click.option(
    "--kernel",
    default=DEFAULT_VERSION,
    show_default=True,
    metavar="NAME|DIR",
    shell_complete=complete_kernel,
    help="The target's kernel: a name from `nullmodem kernel list`, or a build tree.",
)
@click.option(
    "--smp", "cpus", default=1, show_default=True, type=PROCESSORS, metavar="N", help="How many processors it has."
)
@click.option("--memory", default=256, show_default=True, type=MEMORY, metavar="MIB", help="How much memory it has.")
@click.option("--no-kaslr", is_flag=True, help="Boot the kernel at the addresses it was linked for.")
@click.option("--append", default="", metavar="WORDS", help="More for the kernel's command line.")
@click.option("--gdb", "gdb_path", metavar="PATH", help="The gdb to use, instead of the first one found.")
@click.option("--session", "-s", "name", default="", metavar="NAME", help="What to call the session.")
@click.option(
    "--record", type=click.Path(path_type=Path), metavar="FILE", help="Record every byte of the wire to this new file."
)
@click.option("--keep", is_flag=True, help="Go on serving when gdb has ended, as with --no-gdb.")
@click.option("--no-gdb", is_flag=True, help="Serve only: print what a gdb needs, and wait for Ctrl-C.")
@click.option(
    "--listen",
    default="",
    metavar="HOST:PORT",
    help="Serve gdb on this TCP port of the loopback interface, too. Whoever can reach it owns the target.",
)
@click.option(
    "--unattended",
    "policy",
    type=click.Choice([policy.value for policy in Policy]),
    default=Policy.RELEASE.value,
    show_default=True,
    help="What becomes of a stopped target when no debugger is left, or none was there: it runs on, or stays stopped.",
)
@click.option(
    "--wire-log",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write every packet on the wire to this file: when, which way, what, and whose doing it was.",
)
@click.pass_context
def run(
    ctx: click.Context,
    *,
    path: Path | None,
    breakpoints: tuple[str, ...],
    init_args: str,
    kernel: str,
    cpus: int,
    memory: int,
    no_kaslr: bool,
    append: str,
    gdb_path: str | None,
    name: str,
    record: Path | None,
    keep: bool,
    no_gdb: bool,
    listen: str,
    wire_log: Path | None,
    policy: str,
) -> None:
    """Build a module, boot a machine for it, and open gdb on the first line of the module's init.

    PATH is the module's source directory (with a Kbuild or Makefile), a single .c file, or a .ko built for the target's
    kernel. A kernel that is not built yet is built first, which takes minutes, once. Without a PATH gdb stands where
    the kernel was when it was interrupted; `nullmodem load PATH` brings modules later.

    When gdb ends, the session and the machine end with it. What stands after -- is for gdb, and comes after everything
    else on its command line.

    \b
    nullmodem run examples/simple
    nullmodem run driver.c --break driver_probe --init-args "debug=1 name=eth7"
    nullmodem run . --kernel 6.12 --smp 4 --gdb ~/bin/gdb -- -ex 'info locals'

    With --no-gdb the module is built but not loaded, and the two lines that any gdb needs are printed. Connecting stops
    the target; `detach` lets it run on.

    \b
    nullmodem run examples/simple --no-gdb --listen 127.0.0.1:1234
    """
    arguments = gdb_arguments(ctx)
    if no_gdb:
        _refuse_without_gdb(breakpoints, gdb_path, init_args, arguments)
    if path is None and init_args:
        raise UsageError("--init-args are a module's, and no module's path was given")
    parameters = _words(init_args)
    gdb = None if no_gdb else find_gdb(gdb_path)
    console = errors_console()
    plan = Plan(
        path, kernel, name, not no_kaslr, cpus, memory, append, listen, Policy(policy), record, wire_log, parameters
    )
    with hosting(plan, console) as host:
        code = 0
        if gdb is not None:
            function, file = _load(host, parameters, console)
            wanted = Invitation(host.machine.live.vmlinux, host.remote, function, file, breakpoints, arguments)
            outcome = "the session goes on" if keep else "the session and its machine end with it"
            code = run_in_foreground(command_line(gdb, wanted), host.ending, on_killed=tell_of_death(outcome))
            host.machine.require_alive()
        if gdb is None or (keep and not host.ending.asked):
            serve(host)
        if host.ending.asked:
            say(f"{host.name} was ended from elsewhere")
            code = 0
    ctx.exit(code)


def _refuse_without_gdb(
    breakpoints: tuple[str, ...], gdb_path: str | None, init_args: str, arguments: tuple[str, ...]
) -> None:
    hints = {"--init-args": "Give them to `nullmodem load`, which loads the module then."}
    given = {"--break": breakpoints, "--gdb": gdb_path, "--init-args": init_args, "arguments for gdb": arguments}
    for option, value in given.items():
        if value:
            raise UsageError(f"{option} and --no-gdb exclude each other", hint=hints.get(option, ""))


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--init-args {text!r} cannot be split into words: {error}") from None


def _load(host: Host, parameters: tuple[str, ...], console: Console) -> tuple[str, str]:
    """Load the module as far as its init. Where gdb is to go on to from there: function and file, or nothing."""
    if host.built is None:
        return "", ""
    machine, name = host.machine, host.built.name
    init = machine.init_function(host.built)
    machine.live.hold_next_load(name)
    with steps(console) as tell:
        tell(f"loading {name}")
        command = machine.load(name, parameters)
        try:
            command.wait()
        finally:
            command.leave(machine.live.say)
    if init is None:
        say(f"{name} has no init function; gdb stands where the kernel would call it")
        return "", ""
    return init.name, init.file
