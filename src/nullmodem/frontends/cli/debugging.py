# SPDX-License-Identifier: Apache-2.0
"""What `run` and `attach` share: the options of a session that is served, and a gdb on it for as long as it lasts."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from nullmodem.errors import UsageError
from nullmodem.frontends.cli.common import PORT
from nullmodem.frontends.cli.gdb_command import tell_of_death
from nullmodem.frontends.cli.hosting import page_of, serve
from nullmodem.frontends.cli.lifetime import hold_leash
from nullmodem.frontends.cli.program import say
from nullmodem.frontends.gdb.launch import Invitation, command_line, find_gdb, run_in_foreground
from nullmodem.frontends.web.starting import require_port, require_web

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.frontends.cli.hosting import Host
    from nullmodem.frontends.gdb.launch import Gdb

NOWHERE: Final = ("", "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the user wants to debug. ``name`` empty: the session is named after what it debugs."""

    breakpoints: tuple[str, ...]
    gdb_path: str | None
    name: str
    record: Path | None
    wire_log: Path | None
    keep: bool
    no_gdb: bool
    listen: str
    web: bool
    web_port: int | None

    @property
    def page(self) -> int | None:
        """The port to serve a page on, 0 for a free one; None for no page."""
        return self.web_port if self.web_port is not None else 0 if self.web else None


_OPTIONS: Final = (
    click.option(
        "--break", "breakpoints", multiple=True, metavar="LOCATION", help="A breakpoint to set; may be repeated."
    ),
    click.option("--gdb", "gdb_path", metavar="PATH", help="The gdb to use, instead of the first one found."),
    click.option("--session", "-s", "name", default="", metavar="NAME", help="What to call the session."),
    click.option(
        "--record",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Record every byte from and to kgdb to this new file.",
    ),
    click.option(
        "--wire-log",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write every packet on the wire to this file: when, which way, what, and whose doing it was.",
    ),
    click.option("--keep", is_flag=True, help="Go on serving when gdb has ended, as with --no-gdb."),
    click.option("--no-gdb", is_flag=True, help="Serve only: print what a gdb needs, and wait for Ctrl-C."),
    click.option(
        "--listen",
        default="",
        metavar="HOST:PORT",
        help="Serve gdb on this TCP port of the loopback interface, too. Whoever can reach it owns the target.",
    ),
    click.option("--web", is_flag=True, help="Serve a page for a browser meanwhile, as `nullmodem web` does."),
    click.option(
        "--web-port",
        type=PORT,
        metavar="PORT",
        help="The same, on this port: one that a tunnel leads to, say (0: a free one, as without it).",
    ),
    click.option(
        "--leash",
        is_flag=True,
        hidden=True,
        expose_value=False,
        is_eager=True,
        callback=lambda _ctx, _param, wanted: hold_leash(0) if wanted else None,
        help="For programs that start a session: it ends when its standard input does.",
    ),
)


def debugging_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it gets them as ``wanted``."""

    @functools.wraps(command)
    def gather(*arguments: object, **given: object) -> None:
        values = {field.name: given.pop(field.name) for field in fields(Wanted)}
        command(*arguments, wanted=Wanted(**values), **given)  # type: ignore[arg-type]  # click has converted them

    decorated: Callable[..., None] = gather
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def gdb_for(wanted: Wanted, arguments: tuple[str, ...]) -> Gdb | None:
    """The gdb to run, None for none. ``arguments`` are gdb's own.

    Raises UsageError for what means nothing without a gdb, or when there is no such gdb; for what a page needs and is
    not there.
    """
    if wanted.page is not None:
        require_web()
        require_port(wanted.page)
    if not wanted.no_gdb:
        return find_gdb(wanted.gdb_path)
    given = {"--break": wanted.breakpoints, "--gdb": wanted.gdb_path, "arguments for gdb": arguments}
    for option, value in given.items():
        if value:
            raise UsageError(f"{option} and --no-gdb exclude each other")
    return None


def debug(
    host: Host,
    gdb: Gdb | None,
    wanted: Wanted,
    arguments: tuple[str, ...],
    *,
    outcome: str,
    go_to: Callable[[], tuple[str, str]] = lambda: NOWHERE,
) -> int:
    """Run gdb on the session, or only serve it, until it is over; returns what the command exits with.

    ``outcome`` says what the end of gdb means for the session, where it does not go on. ``go_to`` brings the target to
    where gdb is to begin, and says to which function and file it goes on from there.
    """
    with contextlib.ExitStack() as meanwhile:
        if wanted.page is not None:
            say(f"web view: {meanwhile.enter_context(page_of(host.machine, wanted.page))}")
        return _debug(host, gdb, wanted, arguments, outcome, go_to)


def _debug(
    host: Host,
    gdb: Gdb | None,
    wanted: Wanted,
    arguments: tuple[str, ...],
    outcome: str,
    go_to: Callable[[], tuple[str, str]],
) -> int:
    code = 0
    if gdb is not None:
        function, file = go_to()
        invitation = Invitation(host.machine.live.vmlinux, host.remote, function, file, wanted.breakpoints, arguments)
        told = tell_of_death("the session goes on" if wanted.keep else outcome)
        code = run_in_foreground(command_line(gdb, invitation), host.ending, on_killed=told)
        host.machine.require_alive()
    if gdb is None or (wanted.keep and not host.ending.asked):
        serve(host)
    if host.ending.asked:
        say(f"{host.name} was ended from elsewhere")
        code = 0
    return code
