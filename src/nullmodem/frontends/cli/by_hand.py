# SPDX-License-Identifier: Apache-2.0
"""`gdbstart`, `gdbinit`: for people who stop the target, or start gdb, themselves."""

from __future__ import annotations

from pathlib import Path

import click

from nullmodem.api import gdbstart as api
from nullmodem.errors import UsageError
from nullmodem.frontends.cli.common import remote, session_option
from nullmodem.frontends.cli.program import say
from nullmodem.frontends.gdb.gdbinit import DEFAULT_SPEED, Remote, parse_remote, render, write

SPEED = click.IntRange(50, 4_000_000)


@click.command(short_help="A program for the target that stops it for kgdb.")
@click.option("--install", is_flag=True, help="Put it on the target of a running session, or of --ssh.")
@click.option("--print", "print_", is_flag=True, help="Print the program.")
@click.option("--ssh", "host", metavar="HOST", help="Install it on this machine, over ssh.")
@click.argument("destination", required=False, default="")
@session_option
def gdbstart(*, install: bool, print_: bool, host: str | None, destination: str, session: str | None) -> None:
    """Put `gdbstart` on a target: a small shell program that gives a serial line to the kernel's debugger, and stops
    the machine until a debugger on the other end lets it run.

    DESTINATION is a file or a directory of the target, where it may be written; otherwise it goes where root finds it.

    \b
    nullmodem gdbstart --install
    nullmodem gdbstart --install --ssh root@board
    nullmodem gdbstart --print > /srv/nfs/board/sbin/gdbstart

    On the target then, as root:

    \b
    gdbstart -s 115200 -t /dev/ttyS0
    """
    if install == print_:
        raise UsageError("give one of --install and --print", hint="`nullmodem gdbstart --help` has examples.")
    if print_:
        if host is not None or destination or session is not None:
            raise UsageError("--print prints; it takes neither a machine nor a destination")
        click.echo(api.program(), nl=False)
    elif host is not None:
        if session is not None:
            raise UsageError("--ssh and --session exclude each other")
        click.echo(api.install_over_ssh(host, destination))
    else:
        click.echo(api.install(remote(session), destination))


@click.command(short_help="A .gdbinit for a gdb that you start yourself.")
@click.argument("wire", required=False, metavar="[DEVICE|HOST:PORT]")
@click.option("--speed", default=DEFAULT_SPEED, show_default=True, type=SPEED, metavar="BAUD", help="Of the DEVICE.")
@click.option("--vmlinux", type=click.Path(path_type=Path), help="The kernel's symbols, for gdb to read.")
@click.option(
    "--output", "-o", default=".gdbinit", show_default=True, type=click.Path(path_type=Path), help="The file."
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@session_option
def gdbinit(
    *, wire: str | None, speed: int, vmlinux: Path | None, output: Path, force: bool, session: str | None
) -> None:
    """Write a .gdbinit with a command `rmt`, which connects gdb to the target.

    With a DEVICE or HOST:PORT `rmt` is for a plain gdb straight on the kernel's debugger: no modules, no KASLR (boot
    the target with nokaslr). Without one it is for the running session, which has both.

    \b
    nullmodem gdbinit
    nullmodem gdbinit /dev/ttyUSB0 --speed 115200 --vmlinux vmlinux
    nullmodem gdbinit board:2001
    """
    if vmlinux is not None and not vmlinux.is_file():
        raise UsageError(f"there is no file {vmlinux}", hint="--vmlinux is the kernel with its symbols.")
    if wire is not None:
        if session is not None:
            raise UsageError("a wire and --session exclude each other")
        found = parse_remote(wire, speed)
        symbols = str(vmlinux.absolute()) if vmlinux is not None else ""
        found = Remote(found.target, found.about, found.speed, symbols)
    else:
        status = remote(session).status()
        symbols = str(vmlinux.absolute()) if vmlinux is not None else status.target.vmlinux
        found = Remote(status.gdb[-1], f"the nullmodem session {status.name}", file=symbols)
    write(output, render(found), force=force)
    click.echo(output)
    say(f"`gdb -x {output}`, then rmt. To have gdb read it by itself: add-auto-load-safe-path {output.absolute()}")
