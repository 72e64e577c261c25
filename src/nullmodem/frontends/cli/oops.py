# SPDX-License-Identifier: Apache-2.0
"""`nullmodem oops`: what a kernel printed when something was wrong with it, with source lines."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nullmodem.api.oops import OopsDecoder, Trouble, decoder_for_files, find_troubles, show_decoded
from nullmodem.errors import CommandError, UsageError
from nullmodem.frontends.cli.common import complete_kernel, remote, session_option
from nullmodem.frontends.cli.program import printable, say
from nullmodem.kbuild import ensure_kernel

_LIMIT = 64 << 20
"""Bytes of a log that are read: a kernel's own buffer is smaller."""


@click.command(short_help="A kernel's oops or warning, with its source lines.")
@click.argument("file", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--vmlinux", type=click.Path(path_type=Path), metavar="FILE", help="The kernel that printed it.")
@click.option("--kernel", metavar="NAME", shell_complete=complete_kernel, help="The same, if nullmodem has built it.")
@click.option(
    "--modules",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR|KO",
    help="Where files of its modules are; may be repeated.",
)
@click.option("--unverified", is_flag=True, help="Use a module's file that may be another build than was loaded.")
@session_option
@click.pass_context
def oops(
    ctx: click.Context,
    *,
    file: Path | None,
    vmlinux: Path | None,
    kernel: str | None,
    modules: tuple[Path, ...],
    unverified: bool,
    session: str | None,
) -> None:
    """Show every oops, warning, lockup and panic in a kernel's log, with the source line of each place in code,
    through inlined functions.

    FILE is a log, a console's output, or - for standard input. Without one, a running session's target is asked for
    its log (dmesg). Kernel and modules are then known; for a FILE from elsewhere name them with --vmlinux (or
    --kernel) and --modules.

    Files are compared with the build-ids in the report. What is another build is not used.

    \b
    nullmodem oops
    nullmodem oops console.log --kernel 6.12 --modules drivers/
    ssh board dmesg | nullmodem oops - --vmlinux build/vmlinux --modules drivers/

    Exit code 1: the log holds no report.
    """
    if vmlinux is not None and kernel is not None:
        raise UsageError("--vmlinux and --kernel exclude each other")
    if kernel is not None:
        vmlinux = ensure_kernel(kernel).vmlinux
    for place in modules:
        if not place.exists():
            raise UsageError(f"there is no {place} to look for modules in")
    log = _of_file(file) if file is not None else _of_session(session)
    if vmlinux is None:
        decoder = _decoder_of_session(session, modules, unverified=unverified)
    else:
        decoder = decoder_for_files(vmlinux.expanduser().absolute(), modules, unverified=unverified)
    troubles = find_troubles(log)
    if not troubles:
        say("there is no oops, warning, lockup or panic in this log")
        ctx.exit(1)
    click.echo("\n\n".join(printable(_shown(trouble, decoder)) for trouble in troubles))


def _shown(trouble: Trouble, decoder: OopsDecoder) -> str:
    return f"== {trouble.kind.value}: {trouble.headline}\n{show_decoded(trouble, decoder)}"


def _of_file(file: Path) -> str:
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(_LIMIT)
        else:
            with file.expanduser().open("rb") as opened:
                raw = opened.read(_LIMIT)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    return raw.decode("utf-8", "replace")


def _of_session(session: str | None) -> str:
    parts: list[bytes] = []
    code = remote(session).execute(("dmesg",), parts.append)
    text = b"".join(parts).decode("utf-8", "replace")
    if code:
        raise CommandError(f"dmesg failed on the target: {text.strip()}", code=code, output=text)
    return text


def _decoder_of_session(session: str | None, modules: tuple[Path, ...], *, unverified: bool) -> OopsDecoder:
    machine = remote(session)
    record = machine.session.record
    loaded = (Path(module.file) for module in machine.modules() if module.file)
    built = Path(record.workdir) / "build"
    places = (*modules, *loaded, *((built,) if built.is_dir() else ()))
    return decoder_for_files(Path(record.vmlinux), places, unverified=unverified)
