# SPDX-License-Identifier: Apache-2.0
"""What the commands that run a gdb share: the words after ``--`` are gdb's, and its death is not passed over."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import click

from nullmodem.frontends.cli.program import say

if TYPE_CHECKING:
    from collections.abc import Callable

_KEY = "nullmodem.gdb_arguments"


class WithGdbArguments(click.Command):
    """They are set aside before anything else is parsed, so that none of them is taken for an argument of ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_KEY] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- GDB_ARGUMENTS]"]


def gdb_arguments(ctx: click.Context) -> tuple[str, ...]:
    """The words after ``--``."""
    return cast("tuple[str, ...]", ctx.meta.get(_KEY, ()))


def tell_of_death(outcome: str) -> Callable[[int], None]:
    """Says that a signal ended gdb, and what becomes of the session then."""

    def tell(number: int) -> None:
        if sys.stderr.isatty():
            click.echo(err=True)  # its prompt stands on the line
        say(f"gdb was killed (signal {number}); {outcome}")

    return tell
