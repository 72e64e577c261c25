# SPDX-License-Identifier: Apache-2.0
"""The group of all commands, and errors as a user sees them."""

from __future__ import annotations

import traceback
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import click

from nullmodem.errors import BuildError, NullmodemError

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERRUPTED = 130
"""The exit status a shell expects of a program that Ctrl-C ended."""


class Program(click.Group):
    """The group of all commands, listed in sections. An error of nullmodem's tree becomes its message and exit code.

    ``sections`` has for each title the commands' names and where they are, as ``module:attribute``. A command's module
    is imported when the command is used: `status` is asked again and again, and what `run` needs takes several times
    as long to import as the answer does.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Mapping[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections = dict(sections)

    def add_section(self, title: str, commands: Mapping[str, str]) -> None:
        """Add commands, listed last, under a title."""
        self._sections[title] = commands

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click calls it
        return [name for commands in self._sections.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # as click calls it
        place = next((commands[cmd_name] for commands in self._sections.values() if cmd_name in commands), None)
        if place is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = resolve_name(place)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(name) for name in self.list_commands(ctx))
        for title, commands in self._sections.items():
            shown = {name: self.get_command(ctx, name) for name in commands}
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), c.get_short_help_str(formatter.width)) for name, c in shown.items() if c]
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
        except Exception as error:  # a mistake of ours, which a user sees no traceback of
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
