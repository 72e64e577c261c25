# SPDX-License-Identifier: Apache-2.0
"""What the commands share: errors as a user sees them, finding the session, printing facts."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem
from rich.console import Console

from nullmodem.api.records import to_json
from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import find_session, running_sessions
from nullmodem.errors import BuildError, NullmodemError
from nullmodem.kbuild import list_kernels, standard_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nullmodem.api.facts import StopFacts


INTERRUPTED = 130
"""The exit status a shell expects of a program that Ctrl-C ended."""

COMPLETION_SECONDS = 2.0


class Program(click.Group):
    """The group of all commands, listed in sections. An error of nullmodem's tree becomes its message and exit code."""

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[click.Command]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections: dict[str, Sequence[click.Command]] = {}
        for title, commands in sections.items():
            self.add_section(title, commands)

    def add_section(self, title: str, commands: Sequence[click.Command]) -> None:
        """Add commands, listed last, under a title that is new."""
        if title in self._sections:  # the module that adds it was imported under two names, as `python -m` does
            return
        self._sections[title] = commands
        for command in commands:
            self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click calls it
        return [str(command.name) for commands in self._sections.values() for command in commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.list_commands(ctx))
        for title, commands in self._sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(str(c.name).ljust(width), c.get_short_help_str(formatter.width)) for c in commands]
                )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except NullmodemError as error:
            self._show_traceback(ctx)
            show_error(error)
            ctx.exit(error.exit_code)
        except Exception as error:
            if not self._show_traceback(ctx):
                say(f"{type(error).__name__}: {error}", style="red")
                say("This is a bug in nullmodem; `nullmodem --debug …` shows where it happened.")
            ctx.exit(1)

    def _show_traceback(self, ctx: click.Context) -> bool:
        if ctx.params.get("debug"):
            click.echo(traceback.format_exc(), err=True)
            return True
        return False


def say(text: str, *, style: str | None = None) -> None:
    """One thing a person should know, on standard error, so that what is printed for programs stays clean."""
    click.echo(f"{click.style('nullmodem:', fg=style, bold=True)} {printable(text)}", err=True)


def show_error(error: NullmodemError) -> None:
    if isinstance(error, BuildError) and error.output:
        click.echo(printable(error.output.rstrip()), err=True)
    say(error.message, style="red")
    if error.hint:
        click.echo(printable(error.hint), err=True)


def printable(text: str) -> str:
    """Text that may come from the target, without what would command the terminal."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else f"\\x{ord(character):02x}"
        for character in text
    )


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
