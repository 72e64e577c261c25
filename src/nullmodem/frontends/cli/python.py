# SPDX-License-Identifier: Apache-2.0
"""`shell` and `script`: Python at a target, in a running session or on a machine of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nullmodem.api.sessions import find_session
from nullmodem.errors import NoSessionError, UsageError
from nullmodem.frontends.cli.common import complete_kernel, errors_console, session_option
from nullmodem.frontends.cli.hosting import Plan, hosting
from nullmodem.frontends.cli.program import printable, say
from nullmodem.frontends.cli.progress import steps
from nullmodem.frontends.cli.prompt import converse
from nullmodem.frontends.python.room_client import RoomClient
from nullmodem.kbuild.source import DEFAULT_VERSION
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nullmodem.frontends.cli.hosting import Host
    from nullmodem.frontends.cli.prompt import Interpreter

_LONGEST_SCRIPT = 4 << 20


def machine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a machine that is booted for one command."""
    for option in (
        click.option("--no-kaslr", is_flag=True, help="Boot the kernel at the addresses it was linked for."),
        click.option("--smp", "cpus", default=1, type=click.IntRange(1, 64), metavar="N", help="Its processors."),
        click.option(
            "--kernel",
            default=DEFAULT_VERSION,
            show_default=True,
            metavar="NAME|DIR",
            shell_complete=complete_kernel,
            help="Its kernel: a name from `nullmodem kernel list`, or a build tree.",
        ),
    ):
        command = option(command)
    return command


@click.command(short_help="Python at the target: breakpoints, drgn, a prompt.")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@machine_options
@click.option("--running", is_flag=True, help="Do not stop the target at the beginning.")
@session_option
@click.pass_context
def shell(
    ctx: click.Context,
    *,
    path: Path | None,
    kernel: str,
    cpus: int,
    no_kaslr: bool,
    running: bool,
    session: str | None,
) -> None:
    """An interactive Python with a target in it, in a running session beside its debuggers.

    The target is stopped first. `target` is a nullmodem.Target: it sets breakpoints, runs commands, loads modules.
    `stop` is where it stands, `prog` drgn's program of the kernel and its modules; drgn's helpers are there, too.
    The tab key completes; a value is shown as drgn shows it; what was typed is remembered. At the end breakpoints of
    this shell are lifted and the target runs on.

    With a PATH a machine is booted for a module, as `run` does, and the module is loaded.

    \b
    nullmodem shell
    nullmodem shell examples/simple --kernel 6.12
    >>> stop = target.break_at("simple_read").wait(after=lambda: target.start("cat /dev/simple"))
    >>> stop.frame.locals
    >>> for task in for_each_task(): print(task.pid.value_(), task.comm.string_().decode())
    """
    if path is not None and session is not None:
        raise UsageError("a PATH is for a machine of its own, and --session means a running one")
    with _interpreter(path, kernel, cpus, session, kaslr=not no_kaslr, boots=path is not None) as interpreter:
        if not running:
            interpreter.feed("target.interrupt() and None")
        ctx.exit(converse(interpreter))


@click.command(short_help="Run a Python script at the target.", context_settings={"allow_interspersed_args": False})
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--boot", is_flag=True, help="Boot a machine for the script, without a module.")
@click.option("--module", type=click.Path(path_type=Path), metavar="PATH", help="Boot one, and load this module on it.")
@machine_options
@session_option
@click.pass_context
def script(
    ctx: click.Context,
    *,
    file: Path,
    arguments: tuple[str, ...],
    boot: bool,
    module: Path | None,
    kernel: str,
    cpus: int,
    no_kaslr: bool,
    session: str | None,
) -> None:
    """Run a Python script at the target of a running session, or of a machine that is booted for it.

    The script has the names that `nullmodem shell` has: target, stop, prog, nullmodem, drgn's helpers; sys.argv holds
    its ARGS. The target runs when it begins, unless it was stopped: then that is the script's first stop. Its exit code
    becomes ours: 0 at its end, that of sys.exit(), 1 (or 2, for a request that cannot be) after an exception, whose
    traceback shows the script's own lines.

    A script for a running session is run by that session's process: its standard input and its working directory are
    not yours.

    \b
    nullmodem script --module examples/simple check.py
    nullmodem script --session lab-board tasks.py --verbose
    """
    boots = boot or module is not None
    if boots and session is not None:
        raise UsageError("--session means a running machine; --boot and --module boot one")
    source = _source(file)
    with _interpreter(module, kernel, cpus, session, kaslr=not no_kaslr, boots=boots) as interpreter:
        code = interpreter.run_script(file.absolute(), source, arguments)
    ctx.exit(code)


def _source(file: Path) -> str:
    """The script's text. One that cannot be compiled is refused before a machine is built for it."""
    try:
        with file.expanduser().open(encoding="utf-8") as opened:
            source = opened.read(_LONGEST_SCRIPT)
        compile(source, str(file), "exec")
    except SyntaxError as error:
        click.echo("".join(traceback.format_exception_only(error)), err=True, nl=False)
        raise click.exceptions.Exit(1) from None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:  # no UTF-8, or a NUL byte
        raise UsageError(f"{file} is no Python source: {error}") from error
    return source


@contextlib.contextmanager
def _interpreter(
    path: Path | None, kernel: str, cpus: int, session: str | None, *, kaslr: bool, boots: bool
) -> Iterator[Interpreter]:
    """Where the Python runs: in a running session's process, or in this one on a machine of its own."""
    if not boots:
        try:
            found = find_session(session)
        except NoSessionError as error:
            hint = f"{error.hint} Or boot a machine now: `nullmodem shell PATH`, `nullmodem script --module PATH FILE`."
            raise NoSessionError(error.message, hint=hint) from None
        with RoomClient(found, lambda text: click.echo(printable(text), nl=False)) as client:
            yield client
        return
    from nullmodem.frontends.python.room import Room  # noqa: PLC0415  # drgn, for a machine of our own
    from nullmodem.frontends.python.target import Target  # noqa: PLC0415

    plan = Plan(path, kernel, kaslr=kaslr, cpus=cpus)
    with hosting(plan, errors_console()) as host, _ended_from_elsewhere(host):
        _load(host)
        target = Target(host.machine)
        try:
            yield Room(target, lambda text: click.echo(printable(text), nl=False))
        finally:
            target.debugger.close()


def _load(host: Host) -> None:
    if host.built is None:
        return
    with steps(errors_console()) as tell:
        tell(f"loading {host.built.name}")
        command = host.machine.load(host.built.name)
        try:
            command.wait()
        finally:
            command.leave(host.machine.live.say)


@contextlib.contextmanager
def _ended_from_elsewhere(host: Host) -> Iterator[None]:
    """`nullmodem stop` ends this process, whatever it waits for."""
    reader, writer = os.pipe()

    def watch() -> None:
        if reader not in wait_readable([host.ending.fileno(), reader]):
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=watch, name="nullmodem-ending", daemon=True)
    thread.start()
    try:
        yield
    except SystemExit:
        if not host.ending.asked:
            raise
        say(f"{host.name} was ended from elsewhere")
    finally:
        os.write(writer, b"x")
        thread.join()
        os.close(reader)
        os.close(writer)
