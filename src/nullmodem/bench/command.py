# SPDX-License-Identifier: Apache-2.0
"""`nullmodem bench`. What it runs is imported when it runs: it needs a package that is not everybody's."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import click

from nullmodem.errors import UsageError
from nullmodem.frontends.cli.common import complete_kernel, json_option
from nullmodem.frontends.cli.program import say

BAUD = 115200


@click.command(short_help="Plain gdb and nullmodem side by side, counted.")
@click.option("--kernel", "kernel_name", default="6.1", show_default=True, shell_complete=complete_kernel,
              help="A kernel of `nullmodem kernel list`.")  # fmt: skip
@click.option("--gdb", "gdbs", multiple=True, metavar="PATH",
              help="A gdb to measure with; may be repeated. Without it, all that are found.")  # fmt: skip
@click.option("--scenarios", "file", type=click.Path(path_type=Path), metavar="FILE",
              help="What to measure, instead of what comes along.")  # fmt: skip
@click.option("--only", multiple=True, metavar="SCENARIO", help="Only this scenario of the file; may be repeated.")
@click.option("--baud", type=click.IntRange(min=0), default=BAUD, show_default=True,
              help="How fast the line is for the seconds measured; 0: as fast as it can be.")  # fmt: skip
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write a picture of the last gdb's figures.")  # fmt: skip
@click.option("--markdown", is_flag=True, help="Print Markdown, with seconds for lines of other speeds.")
@json_option
def bench(
    *,
    kernel_name: str,
    gdbs: tuple[str, ...],
    file: Path | None,
    only: tuple[str, ...],
    baud: int,
    svg: Path | None,
    markdown: bool,
    as_json: bool,
) -> None:
    """Measure what debugging costs on the wire: the same scenario on the same kernel, with a plain gdb straight on kgdb
    and with the same gdb on nullmodem.

    Both kernels are booted in virtual machines, one after the other. Bytes and round trips are counted on the kernel's
    side of the wire, acknowledgements included: they are the same on every machine. Seconds are measured over a line as
    slow as --baud says. It takes some minutes.

    \b
    nullmodem bench
    nullmodem bench --only stepping --baud 0          a minute
    nullmodem bench --json | jq '.[].operations[] | {name, byte_ratio}'
    nullmodem bench --scenarios mine.toml --svg mine.svg

    What the file for --scenarios holds is in the documentation, under benchmarks.
    """
    if as_json and markdown:
        raise UsageError("--json and --markdown exclude each other")
    if find_spec("pexpect") is None:
        raise UsageError("bench drives gdb with pexpect, which is not installed",
                         hint="pip install 'nullmodem[bench]'")  # fmt: skip
    from nullmodem.bench import request  # noqa: PLC0415

    asked = request.Request(kernel_name, gdbs, file, only, baud)
    reports = request.carry_out(asked, say)
    if svg is not None:
        request.write_picture(reports[-1], svg)
    if as_json:
        click.echo(json.dumps([report.as_json() for report in reports], indent=2))
    elif markdown:
        click.echo("\n".join(report.as_markdown() for report in reports), nl=False)
    else:
        request.show(reports)
