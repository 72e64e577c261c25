# SPDX-License-Identifier: Apache-2.0
"""The program: `nullmodem`."""

from __future__ import annotations

import click

from nullmodem.frontends.cli.program import Program
from nullmodem.version import __version__


@click.group(
    cls=Program,
    sections={
        "Start": {
            "run": "nullmodem.frontends.cli.run:run",
            "attach": "nullmodem.frontends.cli.attach:attach",
            "doctor": "nullmodem.frontends.cli.doctor:doctor",
            "kernel": "nullmodem.frontends.cli.kernel:kernel",
        },
        "Look": {
            "status": "nullmodem.frontends.cli.facts:status",
            "list": "nullmodem.frontends.cli.facts:list_",
            "modules": "nullmodem.frontends.cli.facts:modules",
            "loadmap": "nullmodem.frontends.cli.facts:loadmap",
            "oops": "nullmodem.frontends.cli.oops:oops",
            "record": "nullmodem.frontends.cli.recordings:record",
            "replay": "nullmodem.frontends.cli.recordings:replay",
        },
        "Debug": {
            "gdb": "nullmodem.frontends.cli.gdb:gdb",
            "shell": "nullmodem.frontends.cli.python:shell",
            "script": "nullmodem.frontends.cli.python:script",
            "web": "nullmodem.frontends.cli.web:web",
            "dap": "nullmodem.frontends.cli.dap:dap",
            "interrupt": "nullmodem.frontends.cli.control:interrupt",
            "continue": "nullmodem.frontends.cli.control:continue_",
            "kdb": "nullmodem.frontends.cli.kdb:kdb",
        },
        "Modules": {
            "load": "nullmodem.frontends.cli.modules:load",
            "unload": "nullmodem.frontends.cli.modules:unload",
            "reload": "nullmodem.frontends.cli.modules:reload",
        },
        "Target": {
            "exec": "nullmodem.frontends.cli.machine:exec_",
            "push": "nullmodem.frontends.cli.machine:push",
            "console": "nullmodem.frontends.cli.machine:console",
            "stop": "nullmodem.frontends.cli.control:stop",
            "recover": "nullmodem.frontends.cli.recover:recover",
        },
        "By hand": {
            "gdbstart": "nullmodem.frontends.cli.by_hand:gdbstart",
            "gdbinit": "nullmodem.frontends.cli.by_hand:gdbinit",
        },
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
