# SPDX-License-Identifier: Apache-2.0
"""`recover`: the target of a session that was killed."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from nullmodem.api.recovery import recover as take_over
from nullmodem.api.sessions import JOURNAL, bury, claim_killed
from nullmodem.api.text import table
from nullmodem.api.workdir import WorkDirectory
from nullmodem.errors import SessionError, TargetLost, UsageError
from nullmodem.frontends.cli.common import errors_console, json_option, print_json
from nullmodem.frontends.cli.lifetime import ended_by_signals, uninterrupted
from nullmodem.frontends.cli.program import say
from nullmodem.frontends.cli.progress import steps
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.session.journal import read_journal
from nullmodem.session.model import Lost
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.api.recovery import Recovered, RecoveryFacts


@click.command(short_help="Free the target of a session that was killed.")
@click.option("--session", "-s", metavar="NAME", help="The session meant, when several were killed.")
@click.option("--continue", "mode", flag_value="continue", default="continue", help="Let the target run (the default).")
@click.option("--attach", "mode", flag_value="attach", help="Keep it stopped, and serve it to a gdb until Ctrl-C.")
@click.option(
    "--wait", default=30.0, show_default=True, metavar="SECONDS", help="How long a target that runs has to stop."
)
@json_option
def recover(*, session: str | None, mode: str, wait: float, as_json: bool) -> None:
    """Free the target of a session that was killed: what it had armed is lifted, and compared with the files.

    A session that is killed leaves its target as it stood: stopped, or running with breakpoints in it, so that it will
    stop where nobody answers. This takes it over, has the kernel drop every breakpoint, looks at each place where one
    was, and lets the target run. A target that nullmodem started ends with its session, and needs no such care.

    \b
    nullmodem recover
    nullmodem recover --session board --attach

    A target that runs is stopped first: by a BREAK where the line has one, else by a breakpoint that it runs into, or
    by `echo g > /proc/sysrq-trigger` in a shell on it.

    Exit codes: 0 it is free, 1 it could not be reached, a trap is left in it, or there is nothing to recover.
    """
    if not 0 < wait <= 86400:
        raise UsageError(f"--wait {wait:g}: it is a number of seconds, more than 0, at most a day")
    with ended_by_signals(), claim_killed(session) as directory, contextlib.ExitStack() as stack:
        try:
            facts = _recover(directory, stack, mode, wait)
        finally:
            with uninterrupted():
                stack.close()
    if as_json:
        print_json(facts)
    else:
        click.echo(_text(facts), nl=False)
    if facts.left:
        msg = f"{facts.left} traps are left in the target, in code that they were not meant for"
        raise SessionError(msg, hint="Unload and load the modules they are in again; in the kernel itself, reboot it.")


def _recover(directory: Path, stack: contextlib.ExitStack, mode: str, wait: float) -> RecoveryFacts:
    try:
        head, armed = read_journal(directory / JOURNAL)
    except OSError as error:
        raise SessionError(f"cannot read {directory / JOURNAL}: {error.strerror}") from error
    work = stack.enter_context(WorkDirectory(directory.name))
    with steps(errors_console()) as tell:
        found = take_over(head, armed, work.path, wait=wait, journal=directory / JOURNAL, progress=tell)
    stack.callback(found.close)
    if mode == "attach":
        _serve(found, directory)
    found.release(wait)
    bury(directory)
    return replace(found.facts, released=True)


def _serve(found: Recovered, directory: Path) -> None:
    """Until Ctrl-C: then the target is let go. Raises TargetLost when it is gone before."""
    (directory / "gdb.sock").unlink(missing_ok=True)
    events = found.live.subscribe()
    server = GdbServer(found.live, listen_unix(directory / "gdb.sock"))
    try:
        click.echo(f"file {found.live.vmlinux}\ntarget remote {server.address}")
        while wait_readable([events]):
            event = events.get()
            if isinstance(event, Lost):
                raise TargetLost(f"the target is lost: {event.reason}")
    except KeyboardInterrupt:
        if found.live.is_running:
            say("the target must stop once more to be freed: `echo g > /proc/sysrq-trigger` on it, if its line cannot")
    finally:
        server.close()
        events.close()


def _text(facts: RecoveryFacts) -> str:
    lines = [f"the target was {facts.state}, at {facts.where}"]
    rows = [("address", "place", "there now"), *((f"{p.address:#x}", p.where, p.found) for p in facts.places)]
    if facts.places:
        lines.append(table(rows).rstrip("\n"))
    lines.append("nothing is armed; the target runs, without a debugger" if facts.released else "nothing is armed")
    return "\n".join(lines) + "\n"
