# SPDX-License-Identifier: Apache-2.0
"""`nullmodem kdb`: asking the kernel's own debugger, where the kernel has it."""

from __future__ import annotations

import contextlib
import readline
import sys
from typing import TYPE_CHECKING

import click

from nullmodem.errors import NullmodemError, StateError
from nullmodem.frontends.cli.common import remote, session_option
from nullmodem.frontends.cli.program import printable, say, show_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.api.remote import RemoteMachine

PROMPT = "kdb> "


@click.command(short_help="Ask the kernel's own debugger, kdb.", context_settings={"allow_interspersed_args": False})
@session_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def kdb(*, session: str | None, command: tuple[str, ...]) -> None:
    """Have kdb run a command on the stopped target, and print what it says. Without a command, one after the other is
    read, until Ctrl-D.

    The session keeps the line. Only what reads is sent; anything else is refused, with what to use instead. The kernel
    needs CONFIG_KGDB_KDB; `help` lists its commands.

    \b
    nullmodem kdb summary
    nullmodem kdb dmesg | grep simple
    nullmodem kdb
    """
    machine = remote(session)
    if command:
        _ask(machine, " ".join(command))
        return
    for line in _lines():
        try:
            _ask(machine, line)
        except StateError:
            raise
        except NullmodemError as error:
            show_error(error)


def _ask(machine: RemoteMachine, command: str) -> None:
    said: list[bytes] = []
    machine.ask_kdb(command, said.append)
    text = b"".join(said).decode("utf-8", "replace")
    click.echo(printable(text.replace("\r", "")), nl=False)
    if not text:
        say("kdb printed nothing; `help` lists the commands it has")


def _lines() -> Iterator[str]:
    """What is typed, with a history on a terminal; or what the input holds."""
    interactive = sys.stdin.isatty()
    if interactive:
        readline.set_auto_history(True)  # its only argument
    with contextlib.suppress(EOFError):
        while True:
            line = input(PROMPT if interactive else "").strip()
            if line:
                yield line
