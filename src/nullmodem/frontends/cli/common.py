# SPDX-License-Identifier: Apache-2.0
"""What the commands share: finding the session, completing names, printing facts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem
from rich.console import Console

from nullmodem.api.records import to_json
from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import find_session, running_sessions
from nullmodem.errors import NullmodemError
from nullmodem.kbuild import list_kernels, standard_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.facts import StopFacts


COMPLETION_SECONDS = 2.0
PORT = click.IntRange(0, (1 << 16) - 1)


def errors_console() -> Console:
    """Where progress is shown: standard error."""
    return Console(stderr=True)


def stop_text(stop: StopFacts) -> str:
    """Where and why a target stands, in a line."""
    return f"stopped ({stop.reason}) at {stop.where}"


def print_json(value: object) -> None:
    """A dataclass of facts, or a tuple of them."""
    click.echo(json.dumps(to_json(value), indent=2))


# -- sessions --------------------------------------------------------------------------------------------------------


def complete_session(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    """Names of running sessions, for the shell."""
    try:
        return [session.name for session in running_sessions() if session.name.startswith(incomplete)]
    except NullmodemError:
        return []


def complete_kernel(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    """Names of kernels that are built or can be, for the shell; directories for a path."""
    if "/" in incomplete:
        return [CompletionItem(incomplete, type="dir")]
    try:
        names = {*standard_names(), *(kernel.name for kernel in list_kernels())}
    except NullmodemError:
        return []
    return [name for name in sorted(names) if name.startswith(incomplete)]


def complete_loaded(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    """Names of the modules that are loaded in the session, for the shell."""
    return _complete(ctx, incomplete, lambda remote: [module.name for module in remote.modules()])


def complete_known(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str | CompletionItem]:
    """Names of the modules the session can load, for the shell."""
    return _complete(ctx, incomplete, lambda remote: list(remote.status(COMPLETION_SECONDS).known))


def _complete(
    ctx: click.Context, incomplete: str, names: Callable[[RemoteMachine], list[str]]
) -> list[str | CompletionItem]:
    try:
        return [name for name in names(remote(ctx.params.get("session"))) if name.startswith(incomplete)]
    except NullmodemError:
        return []  # a shell that completes has no place for an error


session_option = click.option(
    "--session",
    "-s",
    metavar="NAME",
    shell_complete=complete_session,
    help="The session meant, when several are running (`nullmodem list`).",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def remote(name: str | None) -> RemoteMachine:
    """The session of that name, or the only one. Raises NoSessionError."""
    return RemoteMachine(find_session(name))
