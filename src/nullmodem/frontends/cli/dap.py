# SPDX-License-Identifier: Apache-2.0
"""`nullmodem dap`: a debug adapter, for editors to start."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from pathlib import Path

import click

from nullmodem.frontends.cli.lifetime import Ending, ended_by_signals
from nullmodem.frontends.cli.program import say
from nullmodem.frontends.dap.gdb_adapter import find_adapter
from nullmodem.frontends.dap.log import Log
from nullmodem.frontends.dap.serve import converse, listen, serve
from nullmodem.waiting import wait_readable


@click.command(short_help="A debug adapter, for editors.")
@click.option(
    "--listen",
    "address",
    default="",
    metavar="HOST:PORT|PATH",
    help="Wait for editors on this port of the loopback interface or this socket, instead of serving one that has"
    " started this program.",
)
@click.option(
    "--gdb", "gdb_path", metavar="PATH", help="The gdb to use, 14.1 or newer, instead of the first one found."
)
@click.option(
    "--log", "log_path", type=click.Path(path_type=Path), metavar="FILE",
    help="Write all that is said to this file, both ways, a message a line in JSON: for a report of what went wrong.",
)  # fmt: skip
@click.pass_context
def dap(ctx: click.Context, *, address: str, gdb_path: str | None, log_path: Path | None) -> None:
    """Serve the Debug Adapter Protocol: what editors speak to debuggers.

    An editor starts this program and speaks to it on standard input and output. What is debugged stands in the editor's
    configuration: `launch` builds a module, boots a machine for it and stops in the module's init; `attach` takes a
    line to a kernel, a name in nullmodem.toml, or a session that runs. VS Code, Neovim and Emacs: see "Debug in an
    editor" in the documentation, and "Launch configurations" for every attribute.

    It needs gdb 14.1 or newer; pip install 'nullmodem[gdb]' brings one.

    \b
    nullmodem dap
    nullmodem dap --listen 127.0.0.1:4711
    nullmodem dap --log /tmp/editor.jsonl
    """
    if gdb_path is not None:
        find_adapter(gdb_path)
    log = ctx.with_resource(Log(log_path)) if log_path is not None else None
    if not address:
        source, sink = _own_channel()
        with ended_by_signals():
            ctx.exit(converse(source, sink, gdb_path, log))
    with contextlib.closing(listen(address)) as listener, contextlib.closing(Ending()) as ending:
        click.echo(_name(listener))
        thread = threading.Thread(target=_serve, args=(listener, gdb_path, ending, log), name="nullmodem-dap-listener")
        thread.start()
        try:
            with ended_by_signals():
                wait_readable([ending])
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _own_channel() -> tuple[int, int]:
    """Standard input and output for the editor alone: what anything else prints goes to standard error."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if os.isatty(source):
        say("this is for an editor to start; it waits for one on this terminal. `nullmodem dap --help` says more.")
        sys.stderr.flush()
    return source, sink


def _serve(listener: socket.socket, gdb_path: str | None, ending: Ending, log: Log | None) -> None:
    try:
        serve(listener, gdb_path, say, log)
    finally:
        ending.ask()


def _name(listener: socket.socket) -> str:
    name = listener.getsockname()
    return name if isinstance(name, str) else f"{name[0]}:{name[1]}"
