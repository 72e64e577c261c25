# SPDX-License-Identifier: Apache-2.0
"""`nullmodem web`: a page on a running session, for a browser."""

from __future__ import annotations

import contextlib
import html
import os
import webbrowser
from typing import TYPE_CHECKING

import click

from nullmodem.frontends.cli.common import PORT, remote, session_option
from nullmodem.frontends.cli.lifetime import Ending, ended_by_signals
from nullmodem.frontends.cli.program import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@click.command(short_help="A page for a browser: source, stack, module map, timeline.")
@click.option("--open", "opens", is_flag=True, help="Open it in the default browser, too.")
@click.option(
    "--port", default=0, type=PORT, metavar="PORT", help="Serve it on this port; 0, and without it, on a free one."
)
@session_option
def web(*, opens: bool, port: int, session: str | None) -> None:
    """Serve a page for a browser on a running session, until Ctrl-C, and print its address.

    The page shows source with breakpoints to click, stack, variables, registers, the console, where each module lies in
    memory, and what has happened when. It is one more client of the session, beside gdb: what gdb does shows at once,
    and whoever holds the target is named. When the page or this command ends, its breakpoints are lifted and the target
    is not left standing for it.

    The address is of this machine alone and has a secret in it, which the browser's tab keeps instead: another tab
    needs the address again. --open leads the browser there through a file that only you can read, because everybody on
    this machine can read a program's arguments; where the browser may not read that file, open the address yourself.

    From another machine, come through a tunnel that keeps the port: nullmodem web --port 40123 here, and there
    ssh -L 40123:127.0.0.1:40123 HOST.

    It needs the extra `web`: pip install 'nullmodem[web]'.

    \b
    nullmodem web
    nullmodem web --session lab-board --open
    """
    machine = remote(session)
    with ended_by_signals(), contextlib.ExitStack() as stack:
        ending = Ending()
        stack.callback(ending.close)

        def begun(url: str) -> None:
            click.echo(url)
            if opens:
                webbrowser.open(stack.enter_context(leading_to(url, machine.session.directory)).as_uri())

        try:
            if not machine.serve_web(ending.fileno(), begun, port):
                say(f"the session {machine.session.name!r} has ended")
        except KeyboardInterrupt:
            return


@contextlib.contextmanager
def leading_to(url: str, directory: Path) -> Iterator[Path]:
    """A file that leads a browser to an address, and that nobody else can read, as long as it is wanted."""
    path = directory / f"page-{os.getpid()}.html"
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    try:
        path.touch(0o600, exist_ok=False)
        path.write_text(
            '<!doctype html><meta charset="utf-8"><title>nullmodem</title>'
            f'<meta http-equiv="refresh" content="0;url={html.escape(url)}">\n',
            encoding="utf-8",
        )
        yield path
    finally:
        path.unlink(missing_ok=True)  # the session, which may have ended, takes its directory along
