# SPDX-License-Identifier: Apache-2.0
"""`record` and `replay`: keeping what is on the wire of a running session, and looking at it again."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from nullmodem.api.replay import ReplaySession, StubServer, read_recording
from nullmodem.api.workdir import WorkDirectory
from nullmodem.errors import UsageError
from nullmodem.frontends.cli.common import remote, session_option
from nullmodem.frontends.cli.gdb_command import WithGdbArguments, gdb_arguments, tell_of_death
from nullmodem.frontends.cli.lifetime import Ending, ended_by_signals
from nullmodem.frontends.cli.program import say
from nullmodem.frontends.gdb.launch import Invitation, command_line, find_gdb, run_in_foreground
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.waiting import wait_readable

EXISTING = click.Path(path_type=Path)


@click.command(short_help="Record a running session's wire.")
@click.argument("file", type=click.Path(path_type=Path))
@session_option
def record(*, file: Path, session: str | None) -> None:
    """Record what is on the wire between a running session and kgdb to this new file, from now on until Ctrl-C.

    What the session knew before is not in it: begin while the target runs. `run --record` and `attach --record` keep
    everything from the first byte on, which a replay with --vmlinux needs.

    \b
    nullmodem record bug.rec
    nullmodem replay bug.rec
    """
    machine = remote(session)
    with ended_by_signals():
        ending = Ending()
        try:
            if not machine.record(file, ending.fileno(), say):
                say(f"the session {machine.session.name!r} has ended; {file} is recorded")
        except KeyboardInterrupt:
            say(f"{file} is recorded")
        finally:
            ending.close()


@click.command(cls=WithGdbArguments, short_help="Look again at the stops of a recording.")
@click.argument("file", type=EXISTING)
@click.option("--vmlinux", type=EXISTING, help="The kernel that was recorded, with its symbols.")
@click.option("--modules", multiple=True, type=EXISTING, metavar="DIR|KO", help="Where its modules' files are.")
@click.option("--stop", "first", default=1, show_default=True, type=click.IntRange(min=1), help="Begin at this stop.")
@click.option("--gdb", "gdb_path", metavar="PATH", help="The gdb to use.")
@click.option("--no-gdb", is_flag=True, help="Serve only: print what a gdb needs, and wait for Ctrl-C.")
@click.pass_context
def replay(
    ctx: click.Context,
    *,
    file: Path,
    vmlinux: Path | None,
    modules: tuple[Path, ...],
    first: int,
    gdb_path: str | None,
    no_gdb: bool,
) -> None:
    """Serve a recording (`nullmodem run --record FILE`) as a target, and open gdb on it: the machine may be gone.

    What was read at a stop can be read again; anything else is an error that says so. To let the target run, in
    whatever way, leads to the next stop that was recorded.

    With --vmlinux it is a session with modules and all, which begins where that one began. Without, it is the bare
    stub of the kernel, for any program that speaks to one; nothing is opened then, and --stop says where to begin.

    \b
    nullmodem replay bug.rec --vmlinux vmlinux --modules path/to/module
    nullmodem replay bug.rec --stop 3
    """
    if vmlinux is None and (modules or gdb_path):
        raise UsageError("--modules and --gdb are a session's, and --vmlinux was not given")
    if vmlinux is not None and first != 1:
        raise UsageError("a session begins at the first stop", hint="`continue` in gdb leads to the next one.")
    gdb = find_gdb(gdb_path) if vmlinux is not None and not no_gdb else None
    recording = read_recording(file)
    if recording.cut:
        say(f"{file} ends in the middle of a line, as when a session is killed; what is whole is used")
    with ended_by_signals(), contextlib.ExitStack() as stack:
        work = stack.enter_context(WorkDirectory("replay"))
        place = work.path / "gdb.sock"
        address = str(place)
        if vmlinux is None:
            stack.callback(StubServer(recording, listen_unix(place), first=first, say=say).close)
            _serve(f"target remote {address}", stack)
            return
        session = ReplaySession(recording, vmlinux, modules, work.path, say)
        stack.callback(session.close)
        stack.callback(GdbServer(session.live, listen_unix(place)).close)
        if gdb is None:
            _serve(f"file {session.live.vmlinux}\ntarget remote {address}", stack)
            return
        invitation = Invitation(session.live.vmlinux, address, arguments=gdb_arguments(ctx))
        on_killed = tell_of_death("the replay has ended")
        ctx.exit(run_in_foreground(command_line(gdb, invitation), on_killed=on_killed))


def _serve(lines: str, stack: contextlib.ExitStack) -> None:
    """Until Ctrl-C."""
    ending = Ending()
    stack.callback(ending.close)
    click.echo(lines)
    with contextlib.suppress(KeyboardInterrupt):
        wait_readable([ending])
