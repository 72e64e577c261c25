# SPDX-License-Identifier: Apache-2.0
"""The Python API and a gdb on one session: what each of them says of the same place."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.frontends.python.debugger import Debugger
from nullmodem.testing.gdb import Gdb
from support.gdb import quick_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from nullmodem import Stop, Target

_PLACE = "python f = gdb.newest_frame(); s = f.find_sal(); print(f'{f.name()} {s.symtab.filename}:{s.line}')"


class Where(NamedTuple):
    """A function and a line, with the name of the file alone: the two show its path differently."""

    function: str
    line: str


def place_of(stop: Stop) -> Where:
    """Where the API says the thread stands."""
    frame = stop.frame
    return Where(str(frame.function), f"{(frame.file or '').rpartition('/')[2]}:{frame.line}")


def place_in(gdb: Gdb) -> Where:
    """Where gdb says it does."""
    function, place = gdb(_PLACE).splitlines()[-1].split(" ", 1)
    return Where(function, place.rpartition("/")[2])


@contextlib.contextmanager
def gdb_on(target: Target, path: str, socket: Path) -> Iterator[Gdb]:
    """A gdb on the target's session; the target stands when it is given."""
    server = GdbServer(target.machine.live, listen_unix(socket))
    with contextlib.closing(server), Gdb(path, *quick_start(path), target.machine.live.vmlinux) as gdb:
        gdb("python import gdb")
        gdb(f"target remote {server.address}")
        yield gdb


@contextlib.contextmanager
def without_program(target: Target) -> Iterator[None]:
    """The program leaves the session, so that a gdb may have the target run, and comes back."""
    target.debugger.close()
    try:
        yield
    finally:
        target.debugger = Debugger(target.machine)


def steps_of_api(target: Target, function: str, lead: str, commands: Sequence[str]) -> list[Where]:
    """Where a program comes that steps on from a function's beginning."""
    breakpoint_ = target.break_at(function)
    stop = breakpoint_.wait(after=lambda: target.start(lead))
    breakpoint_.delete()
    places = [place_of(stop)]
    for command in commands:
        getattr(stop, command)()
        places.append(place_of(stop))
    stop.continue_()
    return places


def steps_of_gdb(target: Target, gdb: Gdb, function: str, lead: str, commands: Sequence[str]) -> list[Where]:
    """Where gdb comes, which stands, and in the end stands again."""
    gdb(f"tbreak {function}")
    gdb.send("continue")
    target.machine.live.wait_until_running(60)
    running = target.machine.run(lead)
    gdb.wait()
    places = [place_in(gdb)]
    for command in commands:
        gdb(command)
        places.append(place_in(gdb))
    gdb.send("continue")
    target.machine.live.wait_until_running(60)
    running.wait(60, stops=False)
    running.close()
    gdb.interrupt()
    gdb.wait()
    return places
