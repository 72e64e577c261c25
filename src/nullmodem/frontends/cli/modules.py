# SPDX-License-Identifier: Apache-2.0
"""`load`, `unload`, `reload`: modules on a running session."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from nullmodem.frontends.cli.building import building
from nullmodem.frontends.cli.common import (
    complete_known,
    complete_loaded,
    errors_console,
    json_option,
    print_json,
    remote,
    session_option,
    stop_text,
)
from nullmodem.frontends.cli.program import say

if TYPE_CHECKING:
    from nullmodem.api.control_protocol import Done

_FILES = (".c", ".ko")


def _is_path(text: str) -> bool:
    """Whether NAME|PATH is a path: like a shell does with commands, and by the suffix that no module's name has."""
    return os.sep in text or text.endswith(_FILES)


def _complete_name_or_path(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    if os.sep in incomplete or incomplete.startswith((".", "~")):
        return [CompletionItem(incomplete, type="file")]
    return complete_known(ctx, param, incomplete)


@click.command(short_help="Load a module, and say if the target stops.")
@click.argument("name", metavar="NAME|PATH", shell_complete=_complete_name_or_path)
@click.argument("parameters", metavar="[PARAMETER=VALUE]...", nargs=-1)
@session_option
@json_option
def load(*, name: str, parameters: tuple[str, ...], session: str | None, as_json: bool) -> None:
    """Load a module on the target, after what it depends on.

    NAME is a module that this session has built, or one that was built with the target's kernel; of an attached target
    one in the directories of its modules. A PATH (anything with a '/', a .c or a .ko) is built first, like that of
    `nullmodem run`.

    It returns when the module is loaded, or when a debugger's breakpoint in it stops the target: then loading goes on
    when the target does.

    \b
    nullmodem load simple
    nullmodem load simple greeting=hi
    nullmodem load ./driver.c debug=1
    nullmodem load dummy numdummies=2       one of the kernel's own
    """
    machine = remote(session)
    if _is_path(name):
        with building(errors_console()) as progress:
            name = machine.build(Path(name).expanduser(), progress).name
    _report(machine.load(name, parameters, say), "is loaded", "insmod", as_json=as_json)


@click.command(short_help="Unload a module, and say if the target stops.")
@click.argument("name", shell_complete=complete_loaded)
@click.option("--force", is_flag=True, help="rmmod -f: also a module without an exit function, or in use. Dangerous.")
@session_option
@json_option
def unload(*, name: str, force: bool, session: str | None, as_json: bool) -> None:
    """Unload a module on the target. Breakpoints in it are kept for the next time it is loaded.

    It returns when the module is gone, or when a breakpoint in its exit function stops the target.

    \b
    nullmodem unload simple
    """
    _report(remote(session).unload(name, force=force, on_note=say), "is unloaded", "rmmod", as_json=as_json)


@click.command(short_help="Rebuild a module, unload it, load it.")
@click.argument("name", shell_complete=complete_known)
@session_option
@json_option
def reload(*, name: str, session: str | None, as_json: bool) -> None:
    """Rebuild a module from its source, unload it if it is loaded, and load it with the parameters it had.

    Breakpoints stay on the functions and lines they were set on, wherever these are now. When the source does not
    compile the old module stays loaded.

    \b
    nullmodem reload simple
    """
    machine = remote(session)
    with building(errors_console()) as progress:
        done = machine.reload(name, progress, say)
    _report(done, "is reloaded", "it", as_json=as_json)


def _report(done: Done, outcome: str, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    if done.stopped is None:
        click.echo(f"{done.module} {outcome}")
        return
    click.echo(f"{stop_text(done.stopped)}; {what} goes on when the target does")
    if done.holder:
        say(f"{done.holder} holds the target; continue it there")
    else:
        say("nobody holds the target; `nullmodem gdb` looks at it, `nullmodem continue` lets it run")
