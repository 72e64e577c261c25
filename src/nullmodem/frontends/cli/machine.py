# SPDX-License-Identifier: Apache-2.0
"""`exec`, `push`, `console`: using the target itself."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nullmodem.frontends.cli.common import remote, session_option
from nullmodem.frontends.cli.lifetime import ended_by_signals
from nullmodem.frontends.cli.program import say
from nullmodem.frontends.cli.terminal import ESCAPE_NAME, Terminal, connect


@click.command("exec", short_help="Run a command on the target.", context_settings={"allow_interspersed_args": False})
@session_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def exec_(ctx: click.Context, *, session: str | None, command: tuple[str, ...]) -> None:
    """Run a command in the target's shell; its output and its exit code become ours.

    One word is a line for the shell, with its pipes and quotes. Several words are a program and its arguments, taken
    as they are. Ctrl-C ends the command, too. It has no input; `nullmodem console` is the target's terminal.

    A command does not begin while the target is stopped. When a breakpoint stops the target under it, it stands still
    until the target goes on.

    \b
    nullmodem exec -- cat /dev/simple
    nullmodem exec 'dmesg | tail'
    nullmodem exec -- sh -c 'echo text > /dev/simple'
    """

    def show(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    with ended_by_signals():
        ctx.exit(remote(session).execute(command, show, say))


@click.command(short_help="Copy a file to the target.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("destination", required=False, default="")
@session_option
def push(*, file: Path, destination: str, session: str | None) -> None:
    """Copy a file to the target, and print its path there.

    Without a DESTINATION it goes to /host, the directory that both machines share, also while the target is stopped.
    DESTINATION is a file or an existing directory of the target, relative to /root.

    A target that was attached is given files over ssh, if one of its ways to break in is ssh:HOST, else by typing them
    into the shell on its console; without a DESTINATION into a directory made for that.

    \b
    nullmodem push exercise
    nullmodem exec -- "$(nullmodem push exercise)"
    nullmodem push data.bin /tmp
    """
    click.echo(remote(session).push(file.expanduser(), destination, say))


@click.command(short_help="The target's console.")
@click.option("--follow", "-f", is_flag=True, help="Go on when the input has ended, until the session does.")
@session_option
def console(*, session: str | None, follow: bool) -> None:
    """Connect this terminal to the target's console, where the kernel's messages appear and a shell waits.

    Ctrl-] ends the connection; every other key goes to the target. When input or output is not a terminal, bytes are
    copied as they are, until the input has ended and the console says no more.

    \b
    nullmodem console
    nullmodem console < commands
    nullmodem console --follow < /dev/null | tee console.log
    """
    found = remote(session).session
    with ended_by_signals(), connect(found) as connection:
        terminal = Terminal(sys.stdin.fileno(), sys.stdout.fileno())
        if terminal.is_interactive:
            say(f"console of {found.name}; {ESCAPE_NAME} ends the connection")
        terminal.join(connection, found.name, follow=follow)
