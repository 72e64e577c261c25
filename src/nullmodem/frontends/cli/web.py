# SPDX-License-Identifier: Apache-2.0
"""`nullmodem web`: a page on a running session, for a browser."""

from __future__ import annotations

import webbrowser

import click

from nullmodem.frontends.cli.common import remote, session_option
from nullmodem.frontends.cli.lifetime import Ending, ended_by_signals
from nullmodem.frontends.cli.program import say


@click.command(short_help="A page for a browser: source, stack, module map, timeline.")
@click.option("--open", "opens", is_flag=True, help="Open it in the default browser, too.")
@session_option
def web(*, opens: bool, session: str | None) -> None:
    """Serve a page for a browser on a running session, until Ctrl-C, and print its address.

    The page shows source with breakpoints to click, stack, variables, registers, the console, where each module lies in
    memory, and what has happened when. It is one more client of the session, beside gdb: what gdb does shows at once,
    and whoever holds the target is named. When the page or this command ends, its breakpoints are lifted and the target
    is not left standing for it.

    The address is of this machine alone and has a secret in it, which the browser keeps in a cookie instead. From
    another machine, come through a tunnel that keeps the port: ssh -L 40123:127.0.0.1:40123 HOST.

    It needs the extra `web`: pip install 'nullmodem[web]'.

    \b
    nullmodem web
    nullmodem web --session lab-board --open
    """
    machine = remote(session)
    with ended_by_signals():
        ending = Ending()

        def begun(url: str) -> None:
            click.echo(url)
            if opens:
                webbrowser.open(url)

        try:
            if not machine.serve_web(ending.fileno(), begun):
                say(f"the session {machine.session.name!r} has ended")
        except KeyboardInterrupt:
            return
        finally:
            ending.close()
