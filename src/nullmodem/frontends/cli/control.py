# SPDX-License-Identifier: Apache-2.0
"""`interrupt`, `continue`, `stop`: the target's running, and the session's end."""

from __future__ import annotations

import click

from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import running_sessions
from nullmodem.errors import UsageError
from nullmodem.frontends.cli.common import json_option, print_json, remote, session_option, stop_text
from nullmodem.frontends.cli.program import say


@click.command(short_help="Stop the target, and say where.")
@session_option
@json_option
def interrupt(*, session: str | None, as_json: bool) -> None:
    """Stop the running target, as Ctrl-C in gdb does, and say where it stands. One that is stopped stays so.

    \b
    nullmodem interrupt
    """
    stop = remote(session).interrupt()
    if as_json:
        print_json(stop)
    else:
        click.echo(stop_text(stop))


@click.command("continue", short_help="Let the stopped target run.")
@click.option("--force", is_flag=True, help="Even when a debugger holds it; that one learns of it at the next stop.")
@session_option
def continue_(*, force: bool, session: str | None) -> None:
    """Let the stopped target run.

    A target that a debugger holds is not taken from it: continue it there.

    \b
    nullmodem continue
    """
    done = remote(session).continue_target(force=force)
    if done.ran:
        click.echo("the target runs already")
    else:
        click.echo("the target runs")
        if done.taken_from:
            say(f"it was held by {done.taken_from}")


@click.command(short_help="End a session, and its target if it booted one.")
@click.option("--all", "everyone", is_flag=True, help="End every session that is running.")
@session_option
def stop(*, everyone: bool, session: str | None) -> None:
    """End a session: its gdb, the files it made, and the target that `run` booted.

    A target that was there before, as `attach` found it, runs on without breakpoints.

    \b
    nullmodem stop
    nullmodem stop --session simple-2
    nullmodem stop --all
    """
    if everyone and session is not None:
        raise UsageError("--all and --session exclude each other")
    machines = [RemoteMachine(found) for found in running_sessions()] if everyone else [remote(session)]
    for machine in machines:
        machine.stop()
        click.echo(f"{machine.session.name} has ended")
    if not machines:
        click.echo("no session is running")
