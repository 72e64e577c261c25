# SPDX-License-Identifier: Apache-2.0
"""`nullmodem gdb`: one more gdb on a running session."""

from __future__ import annotations

import click

from nullmodem.errors import NullmodemError, TargetLost
from nullmodem.frontends.cli.common import remote, session_option
from nullmodem.frontends.cli.gdb_command import WithGdbArguments, gdb_arguments, tell_of_death
from nullmodem.frontends.cli.lifetime import ended_by_signals
from nullmodem.frontends.gdb.launch import Invitation, command_line, find_gdb, run_in_foreground


@click.command(cls=WithGdbArguments, short_help="One more gdb on a running session.")
@click.option("--break", "breakpoints", multiple=True, metavar="LOCATION", help="A breakpoint to set; may be repeated.")
@click.option("--gdb", "path", metavar="PATH", help="The gdb to use.")
@session_option
@click.pass_context
def gdb(ctx: click.Context, *, breakpoints: tuple[str, ...], path: str | None, session: str | None) -> None:
    """Open one more gdb on a session. A target that runs is stopped, as whenever a gdb connects; quitting gdb lets it
    run on, unless another debugger is at its prompt.

    What stands after -- is for gdb, and comes after everything else on its command line.

    \b
    nullmodem gdb
    nullmodem gdb --break simple_write -- -ex continue
    nullmodem gdb -- -batch -ex 'info threads'
    """
    found = find_gdb(path)
    machine = remote(session)
    status = machine.status()
    invitation = Invitation(
        status.target.vmlinux, status.gdb[-1], breakpoints=breakpoints, arguments=gdb_arguments(ctx)
    )
    with ended_by_signals():
        code = run_in_foreground(command_line(found, invitation), on_killed=tell_of_death("the session goes on"))
    try:
        state = machine.status().target.state
    except NullmodemError as error:
        msg = f"the session {status.name!r} has ended meanwhile"
        raise TargetLost(msg) from error
    if state == "lost":
        msg = f"the target of {status.name!r} has ended meanwhile"
        raise TargetLost(msg, hint="`nullmodem stop` ends the session, too.")
    ctx.exit(code)
