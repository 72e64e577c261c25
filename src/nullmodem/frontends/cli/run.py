# SPDX-License-Identifier: Apache-2.0
"""`nullmodem run`: a module, its machine, and gdb on the first line of its init."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nullmodem.errors import UsageError
from nullmodem.frontends.cli.common import complete_kernel, errors_console
from nullmodem.frontends.cli.debugging import NOWHERE, Wanted, debug, debugging_options, gdb_for
from nullmodem.frontends.cli.gdb_command import WithGdbArguments, gdb_arguments
from nullmodem.frontends.cli.hosting import Host, Plan, hosting
from nullmodem.frontends.cli.program import say
from nullmodem.frontends.cli.progress import steps
from nullmodem.kbuild.source import DEFAULT_VERSION
from nullmodem.session.model import Policy

if TYPE_CHECKING:
    from rich.console import Console


PROCESSORS = click.IntRange(1, 64)
MEMORY = click.IntRange(64, 1 << 20)


@click.command(cls=WithGdbArguments, short_help="A module under gdb, from the first line of its init.")
@click.argument("path", required=False, type=click.Path(path_type=Path))
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
@click.option(
    "--unattended",
    "policy",
    type=click.Choice([policy.value for policy in Policy]),
    default=Policy.RELEASE.value,
    show_default=True,
    help="What becomes of a stopped target when no debugger is left, or none was there: it runs on, or stays stopped.",
)
@debugging_options
@click.pass_context
def run(
    ctx: click.Context,
    *,
    path: Path | None,
    init_args: str,
    kernel: str,
    cpus: int,
    memory: int,
    no_kaslr: bool,
    append: str,
    policy: str,
    wanted: Wanted,
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
    if wanted.no_gdb and init_args:
        hint = "Give them to `nullmodem load`, which loads the module then."
        raise UsageError("--init-args and --no-gdb exclude each other", hint=hint)
    if path is None and init_args:
        raise UsageError("--init-args are a module's, and no module's path was given")
    parameters = _words(init_args)
    gdb = gdb_for(wanted, arguments)
    console = errors_console()
    plan = Plan(
        path,
        kernel,
        wanted.name,
        not no_kaslr,
        cpus,
        memory,
        append,
        wanted.listen,
        Policy(policy),
        wanted.record,
        wanted.wire_log,
        parameters,
    )
    with hosting(plan, console) as host:
        outcome = "the session and its machine end with it"
        code = debug(host, gdb, wanted, arguments, outcome=outcome, go_to=lambda: _load(host, parameters, console))
    ctx.exit(code)


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--init-args {text!r} cannot be split into words: {error}") from None


def _load(host: Host, parameters: tuple[str, ...], console: Console) -> tuple[str, str]:
    """Load the module as far as its init. Where gdb is to go on to from there: function and file, or nothing."""
    if host.built is None:
        return NOWHERE
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
        return NOWHERE
    return init.name, init.file
