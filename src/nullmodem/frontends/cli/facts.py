# SPDX-License-Identifier: Apache-2.0
"""`status`, `list`, `modules`, `loadmap`: what a session can tell without anything being changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import running_sessions
from nullmodem.api.text import add_symbol_file, load_map_text, modules_text, table, target_text
from nullmodem.errors import NullmodemError, UsageError
from nullmodem.frontends.cli.common import complete_loaded, json_option, print_json, remote, session_option

if TYPE_CHECKING:
    from nullmodem.api.control_protocol import SessionStatus
    from nullmodem.api.sessions import RunningSession

LOOK_SECONDS = 2.0
"""How long `list` waits for a session that is busy."""


@click.command(short_help="What a session does, and what the wire has cost.")
@session_option
@json_option
def status(*, session: str | None, as_json: bool) -> None:
    """Show what a session does: whether its target runs or where it stands, who is attached and who holds it, and what
    has travelled on the wire.

    \b
    nullmodem status
    nullmodem status --json | jq -r .target.state     running, stopped or lost
    nullmodem status --json | jq -r '.gdb[0]'         what follows `target remote`
    """
    found = remote(session).status()
    if as_json:
        print_json(found)
    else:
        click.echo(_status_text(found), nl=False)


def _status_text(found: SessionStatus) -> str:
    module = f", module {found.module}" if found.module else ""
    known = f"known    {', '.join(found.known)}\n" if found.known else ""
    return (
        f"session  {found.name}{module}, Linux {found.release}, process {found.pid}, since {_clock(found.started)}\n"
        f"{target_text(found.target)}"
        f"{known}"
        f"gdb      {', '.join(f'target remote {address}' for address in found.gdb)}\n"
        f"{_terminal(found.console)}"
    )


def _terminal(console: str) -> str:
    """Where a terminal program finds the console, if it is offered as a terminal."""
    terminal = Path(console).with_suffix(".tty")
    return f"console  {terminal}\n" if terminal.is_symlink() else ""


def _clock(started: float) -> str:
    return f"{datetime.fromtimestamp(started, UTC).astimezone():%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class Listed:
    """One running session. ``state`` is that of its target, or what it is instead of answering."""

    name: str
    state: str
    module: str
    kernel: str
    release: str
    pid: int
    started: float
    directory: str


@click.command("list", short_help="The sessions that are running.")
@json_option
def list_(*, as_json: bool) -> None:
    """List the running sessions, with the state of each one's target.

    \b
    nullmodem list
    nullmodem list --json | jq -r '.[].name'
    """
    listed = tuple(_listed(session) for session in running_sessions())
    if as_json:
        print_json(listed)
    elif not listed:
        click.echo("No session is running. `nullmodem run PATH` starts one.")
    else:
        rows = [("NAME", "STATE", "MODULE", "KERNEL", "PROCESS", "SINCE")]
        rows += [(s.name, s.state, s.module or "-", s.kernel, str(s.pid), _clock(s.started)) for s in listed]
        click.echo(table(rows, right=(4,)), nl=False)


def _listed(session: RunningSession) -> Listed:
    if session.gdb_socket.exists():
        try:
            state = RemoteMachine(session).status(LOOK_SECONDS).target.state
        except NullmodemError:
            state = "not answering"
    else:
        state = "starting"  # it takes commands already, and answers when its target has booted
    record = session.record
    return Listed(
        name=session.name,
        state=state,
        module=record.module,
        kernel=record.kernel,
        release=record.release,
        pid=record.pid,
        started=record.started,
        directory=str(session.directory),
    )


@click.command(short_help="The modules that are loaded.")
@session_option
@json_option
def modules(*, session: str | None, as_json: bool) -> None:
    """List the modules that the target's kernel has loaded: where each one's code is, how large it is, and the file
    with its symbols. A module without one has a note that says why.

    \b
    nullmodem modules
    nullmodem modules --json | jq -r '.[] | "\\(.name) \\(.text)"'
    """
    loaded = remote(session).modules()
    if as_json:
        print_json(loaded)
    else:
        click.echo(modules_text(loaded), nl=False)


@click.command(short_help="Every section of a loaded module.")
@click.argument("name", shell_complete=complete_loaded)
@click.option("--gdb", "for_gdb", is_flag=True, help="Print it as an add-symbol-file command.")
@session_option
@json_option
def loadmap(*, name: str, for_gdb: bool, session: str | None, as_json: bool) -> None:
    """Show where a loaded module is: every section of its file with size, address and alignment.

    With --gdb it is the add-symbol-file command for a gdb that talks to something else, such as QEMU's own stub or a
    crash dump. A gdb connected to the session needs none. It is right until the module is unloaded.

    \b
    nullmodem loadmap simple
    nullmodem loadmap simple --gdb
    nullmodem loadmap simple --json | jq -r '.sections[] | select(.name == ".text").address'
    """
    if for_gdb and as_json:
        raise UsageError("--gdb and --json exclude each other")
    found = remote(session).load_map(name)
    if as_json:
        print_json(found)
    elif not for_gdb:
        click.echo(load_map_text(found), nl=False)
    elif found.sections:
        click.echo(add_symbol_file(found))
    else:
        problem = f"{found.module.name}: {found.module.problem}"
        raise UsageError(f"there is no file to give to gdb for {problem}", hint=found.module.explanation)
