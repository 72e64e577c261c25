# SPDX-License-Identifier: Apache-2.0
"""A whole debugging session, by itself: from connecting to the last unload, on a real kernel, with a real gdb.

What is printed after each ``(gdb)`` is gdb's own answer. Nothing is typed but what a user would type; no address, no
gdb script, no change to the module's source. Exits with 1 at the first answer that is not what it should be.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import click

from nullmodem.api.boot import BootOptions, boot
from nullmodem.errors import NullmodemError
from nullmodem.frontends.gdb.launch import find_gdb, index_cache
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.kbuild import ensure_kernel
from nullmodem.testing.gdb import Gdb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nullmodem.api.commands import RunningCommand
    from nullmodem.api.live import LiveSession
    from nullmodem.api.machine import Machine

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "simple"
PATIENCE = 60.0
BAUD = 115200
MAX_STEPS = 8


class Hands(Protocol):
    """Who does on the target what a user does there. A `Machine` is one."""

    live: LiveSession

    def load(self, name: str, parameters: Sequence[str] = ()) -> RunningCommand: ...

    def unload(self, name: str) -> RunningCommand: ...

    def run(self, command: str) -> RunningCommand: ...


class Dialogue:
    """Types into gdb, shows what it says, and stops the show when it says something else than it should."""

    def __init__(self, gdb: Gdb, live: LiveSession) -> None:
        self._gdb = gdb
        self._live = live

    def chapter(self, title: str) -> None:
        click.echo("\n" + click.style(f"== {title}", bold=True))

    def type(self, command: str, *expected: str) -> str:
        """Type a command; every ``expected`` must be in the answer."""
        click.echo(click.style("(gdb) ", dim=True) + click.style(command, fg="cyan"))
        return self._answer(self._gdb(command, patience=PATIENCE), command, expected)

    def next_until(self, line: str) -> None:
        """Step over lines until the one that is about to run is ``line``; where a compiler puts them differs."""
        for _ in range(MAX_STEPS):
            if line in self.type("next"):
                return
        fail(f"{MAX_STEPS} times `next` did not lead to {line!r}")

    def continue_to(self, *expected: str) -> None:
        """Let the target run to gdb's next stop."""
        self._continue()
        self._answer(self._gdb.wait(PATIENCE), "continue", expected)

    def continue_and(self, command: str, start: Callable[[], RunningCommand], *expected: str) -> RunningCommand:
        """Let the target run, start something on it, and wait for gdb's next stop."""
        self._continue()
        self._live.wait_until_running(PATIENCE)
        click.echo(click.style(f"target# {command}", fg="green"))
        running = start()
        self._answer(self._gdb.wait(PATIENCE), "continue", expected)
        return running

    def _continue(self) -> None:
        click.echo(click.style("(gdb) ", dim=True) + click.style("continue", fg="cyan"))
        self._gdb.send("continue")

    def let_run(self, command: RunningCommand) -> None:
        """Let the target run until a command on it has ended."""
        self._continue()
        outcome = command.wait(PATIENCE, stops=False)
        if outcome.result is None:
            fail("a command on the target did not end")
        click.echo(outcome.result.text, nl=False)
        click.echo(click.style(f"target# exit status {outcome.result.code}", fg="green"))

    def interrupt(self) -> None:
        """Ctrl-C."""
        click.echo(click.style("^C", fg="cyan"))
        self._gdb.interrupt()
        self._answer(self._gdb.wait(PATIENCE), "Ctrl-C", ("SIGINT",))

    def _answer(self, text: str, command: str, expected: tuple[str, ...]) -> str:
        if text:
            click.echo(text)
        for wanted in expected:
            if wanted not in text:
                fail(f"{command!r} should have answered with {wanted!r}")
        return text


def fail(why: str) -> NoReturn:
    click.echo(click.style(f"the demonstration failed: {why}", fg="red"), err=True)
    raise SystemExit(1)


def load_and_step(talk: Dialogue, hands: Hands) -> None:
    """A breakpoint in a module that is not there, and its init from the first line to the last."""
    talk.chapter("A breakpoint in a module that is not loaded yet")
    talk.type("break simple_init", "pending")

    talk.chapter("Load it: gdb stands on the first line of its init, which has not run")
    loading = talk.continue_and(
        "insmod simple.ko greeting=hi", lambda: hands.load("simple", ("greeting=hi",)), "simple_init () at"
    )
    talk.type("backtrace", "do_init_module (mod=")
    talk.type("info sharedlibrary", "simple.ko")
    talk.type("monitor loadmap simple", ".init.text", ".bss")

    talk.chapter("Step through it; look at locals and globals")
    talk.next_until("kept = simple_remember(greeting, length);")
    talk.type("info locals", "length = 2")
    talk.type("print greeting", '"hi"')
    talk.type("step", "simple_remember (text=")
    talk.type("info args", "length = 2")
    talk.type("finish", "Value returned is", "= 2")
    talk.type("print simple_text", '"hi"')
    talk.type("print simple_operations.read", "<simple_read>")

    talk.chapter("Breakpoints in its file operations and its exit; then let init finish")
    for function in ("simple_dev_open", "simple_write", "simple_read", "simple_ioctl", "simple_release"):
        talk.type(f"break {function}", "Breakpoint")
    talk.type("break simple_exit", "simple.c")
    talk.let_run(loading)
    talk.interrupt()


def use_the_device(talk: Dialogue, hands: Hands, exercise: str) -> None:
    """Every file operation stopped in and stepped."""
    talk.chapter("A program uses the device: open, write, read, ioctl, close")
    program = f"{exercise} nullmodem"
    using = talk.continue_and(program, lambda: hands.run(program), "simple_dev_open (inode=")
    talk.type("next")
    talk.type("next")
    talk.continue_to("simple_write (file=", "size=9")
    talk.type("print (char *)file->f_path.dentry->d_iname", '"simple"')
    talk.type("next")
    talk.continue_to("simple_read (file=")
    talk.type("next")
    talk.type("print simple_text", "nullmodem")
    talk.type("print simple_length", "= 9")
    talk.continue_to("simple_ioctl (file=")
    talk.type("next")
    talk.type("backtrace 3", "vfs_ioctl")
    talk.continue_to("simple_release (inode=")
    talk.type("next")
    talk.let_run(using)
    talk.interrupt()


def unload_and_load_again(talk: Dialogue, hands: Hands) -> None:
    """Its exit, and its init once more at another address."""
    talk.chapter("Unload it: gdb stands in its exit")
    unloading = talk.continue_and("rmmod simple", lambda: hands.unload("simple"), "simple_exit () at")
    talk.type("next")
    talk.type("print simple_count", "= 5")
    talk.let_run(unloading)
    talk.interrupt()

    talk.chapter("Load it again, wherever it lands: the same breakpoints hold")
    again = talk.continue_and("insmod simple.ko", lambda: hands.load("simple"), "simple_init () at")
    talk.type("print greeting", '"hello"')
    talk.type("info breakpoints", "breakpoint already hit 2 times")
    talk.type("delete")
    talk.let_run(again)
    talk.interrupt()
    talk.type("detach", "detached")


def whole_job(talk: Dialogue, hands: Hands, exercise: str) -> None:
    """From a breakpoint in a module that is not there to its second load; ``exercise`` is a path on the target."""
    load_and_step(talk, hands)
    use_the_device(talk, hands, exercise)
    unload_and_load_again(talk, hands)


def compile_exercise(directory: Path) -> Path:
    """The program that uses the module's device, for the target, which has no libraries."""
    exercise = directory / "exercise"
    compiler = os.environ.get("CC", "gcc")
    subprocess.run([compiler, "-static", "-O2", "-o", exercise, EXAMPLE / "exercise.c"], check=True)
    return exercise


def report(machine: Machine) -> None:
    """What the wire was used for, and what that means on a serial line."""
    cost, cache = machine.live.cost, machine.live.status().cache
    click.echo("\n" + click.style("== The wire", bold=True))
    click.echo(f"{cost.round_trips} round trips, {cost.bytes_out} bytes out, {cost.bytes_in} bytes in")
    click.echo(f"{cost.seconds(BAUD):.1f} s of a serial line at {BAUD} baud for the whole session")
    click.echo(f"{cache.hits} of {cache.hits + cache.misses} reads of memory were answered without it")


@click.command(help=__doc__)
@click.option("--gdb", "gdb_path", default="gdb", show_default=True, help="The gdb to use.")
@click.option("--kernel", default="6.1", show_default=True, help="A kernel that `nullmodem kernel list` shows.")
def main(gdb_path: str, kernel: str) -> None:
    with contextlib.ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nullmodem-demo-")))
        try:
            machine = boot("demo", BootOptions(kernel=ensure_kernel(kernel)), work / "machine", click.echo)
            stack.callback(machine.close)
            machine.build(EXAMPLE)
            exercise = compile_exercise(work)
            server = GdbServer(machine.live, listen_unix(work / "gdb"))
            stack.callback(server.close)
            click.echo(click.style(f"$ gdb {machine.live.vmlinux}", fg="cyan"))
            gdb = stack.enter_context(
                Gdb(gdb_path, *index_cache(find_gdb(gdb_path)), machine.live.vmlinux, patience=PATIENCE)
            )
            talk = Dialogue(gdb, machine.live)
            talk.type(f"target remote {server.address}", "Remote debugging using")
            whole_job(talk, machine, machine.target.push(exercise))
            gdb.quit()
            report(machine)
        except NullmodemError as error:
            fail(str(error))


if __name__ == "__main__":
    sys.exit(main())
