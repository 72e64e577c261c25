# SPDX-License-Identifier: Apache-2.0
"""A command whose words after ``--`` are gdb's."""

from __future__ import annotations

from typing import cast

import click

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
