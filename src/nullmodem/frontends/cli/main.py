# SPDX-License-Identifier: Apache-2.0
"""The program: `nullmodem`."""

from __future__ import annotations

import click

from nullmodem.frontends.cli.attach import attach
from nullmodem.frontends.cli.by_hand import gdbinit, gdbstart
from nullmodem.frontends.cli.common import Program
from nullmodem.frontends.cli.control import continue_, interrupt, stop
from nullmodem.frontends.cli.doctor import doctor
from nullmodem.frontends.cli.facts import list_, loadmap, modules, status
from nullmodem.frontends.cli.gdb import gdb
from nullmodem.frontends.cli.kdb import kdb
from nullmodem.frontends.cli.kernel import kernel
from nullmodem.frontends.cli.machine import console, exec_, push
from nullmodem.frontends.cli.modules import load, reload, unload
from nullmodem.frontends.cli.oops import oops
from nullmodem.frontends.cli.recordings import replay
from nullmodem.frontends.cli.recover import recover
from nullmodem.frontends.cli.run import run
from nullmodem.version import __version__


@click.group(
    cls=Program,
    sections={
        "Start": (run, attach, doctor, kernel),
        "Look": (status, list_, modules, loadmap, oops, replay),
        "Debug": (gdb, interrupt, continue_, kdb),
        "Modules": (load, unload, reload),
        "Target": (exec_, push, console, stop, recover),
        "By hand": (gdbstart, gdbinit),
    },
)
@click.version_option(__version__, prog_name="nullmodem")
@click.option("--debug", is_flag=True, envvar="NULLMODEM_DEBUG", help="Show where in nullmodem an error came from.")
def main(*, debug: bool) -> None:
    """Debug Linux kernel modules at source level, over kgdb, with your own gdb.

    `run` builds a module, boots a machine for it, and opens gdb on the first line of its init. `attach` opens gdb on a
    kernel that runs already, on a board or anywhere a line leads to. Meanwhile the other commands are for a second
    terminal; one running session needs no name, several are told apart with --session.

    \b
    nullmodem run examples/simple
    nullmodem load simple greeting=hi
    nullmodem exec -- cat /dev/simple

    Exit codes: 0 done, 1 it did not work, 2 the command itself was wrong, 130 ended by Ctrl-C; exec and gdb have those
    of what they ran.

    Completion of commands, sessions and modules, for bash (or zsh, fish):

    \b
    eval "$(_NULLMODEM_COMPLETE=bash_source nullmodem)"
    """
