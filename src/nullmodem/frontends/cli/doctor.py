# SPDX-License-Identifier: Apache-2.0
"""`doctor`: who is at the other end of a line, and what stands in the way."""

from __future__ import annotations

import json
from typing import Final

import click

from nullmodem.api.doctor import Examination, Verdict, examine
from nullmodem.frontends.cli.common import errors_console, json_option
from nullmodem.frontends.cli.program import printable
from nullmodem.frontends.cli.progress import steps

_COLOURS: Final = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}


@click.command(short_help="Who is on a line, and what is in the way.")
@click.argument("wire")
@json_option
@click.pass_context
def doctor(ctx: click.Context, *, wire: str, as_json: bool) -> None:
    """Look at a line: is kgdb at its other end, kdb, a login, a shell, nobody, or garbage? Each finding has its fix.

    WIRE is a serial device, or written as for `attach`. A return key is pressed there, except at kdb's prompt, and
    where nobody shows himself, the kernel's stub is asked a question; nothing is changed. A shell is asked for the
    target's settings: kgdboc, sysrq, lockdown, watchdogs. No other program may use the line meanwhile.

    The exit code is 1 when something makes debugging impossible. The configuration of a kernel is looked at by `kernel
    doctor`.

    \b
    nullmodem doctor /dev/ttyUSB0
    nullmodem doctor serial:/dev/ttyUSB0?baud=9600
    nullmodem doctor telnet:rack:2001 --json
    """
    with steps(errors_console()) as tell:
        found = examine(wire, tell)
    if as_json:
        click.echo(json.dumps(_record(found), indent=2))
    else:
        _show(found)
    ctx.exit(1 if found.verdict is Verdict.FAIL else 0)


def _record(found: Examination) -> dict[str, object]:
    findings = [
        {"what": each.what, "verdict": each.verdict.value, "says": each.says, "fix": each.fix}
        for each in found.findings
    ]
    return {"wire": found.wire, "found": found.sign.value, "verdict": found.verdict.value, "findings": findings}


def _show(found: Examination) -> None:
    click.echo(found.wire)
    for each in found.findings:
        verdict = click.style(f"{each.verdict.value:<4}", fg=_COLOURS[each.verdict])
        click.echo(f"  {verdict}  {each.what:<9} {printable(each.says)}")
        for line in each.fix.splitlines():
            click.echo(f"{'':<18}{printable(line)}")
