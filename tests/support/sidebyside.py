# SPDX-License-Identifier: Apache-2.0
"""The Python API and a gdb on one session: what each of them says of the same place."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import drgn

from nullmodem import Stop
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.frontends.python.debugger import Debugger
from nullmodem.testing.gdb import Gdb
from support.gdb import quick_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nullmodem import Frame, Target

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
        gdb(f"source {Path(__file__).with_name('gdbreport.py')}")
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
    running = []
    with target.break_at(function) as breakpoint_:
        stop = breakpoint_.wait(after=lambda: running.append(target.start(lead)))
    places = [place_of(stop)]
    for command in commands:
        getattr(stop, command)()
        places.append(place_of(stop))
    stop.continue_()
    running[0].result()
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


@dataclass
class Comparison:
    """What two debuggers say of one stop. ``only_gdb`` and ``only_api`` are variables that the other says are optimised
    out; ``different`` is what both have and differs."""

    frames: int = 0
    equal: int = 0
    only_gdb: list[str] = field(default_factory=list)
    only_api: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    def add(self, other: Comparison) -> None:
        self.frames += other.frames
        self.equal += other.equal
        self.only_gdb += other.only_gdb
        self.only_api += other.only_api
        self.different += other.different

    def __str__(self) -> str:
        return f"{self.frames} frames, {self.equal} equal values, {len(self.only_gdb)} that only gdb has"


def compare(target: Target, gdb: Gdb) -> Comparison:
    """Frame by frame, as far as gdb gets: it cannot unwind through the kernel's entry code.

    Both look afresh: a program that has stepped into an inlined function without moving is shown that.
    """
    arrival = target.debugger.controller.arrival
    assert arrival is not None
    stop = Stop(target.debugger, arrival)
    line = next(line for line in gdb("python report()").splitlines() if line.startswith("REPORT "))
    theirs = json.loads(line.removeprefix("REPORT "))
    result = Comparison()
    for ours, frame in zip(stop.stack, theirs, strict=False):
        if not frame["file"] or str(frame["function"]).startswith("entry_"):
            break
        result.frames += 1
        where = Where(str(ours.function), f"{(ours.file or '').rpartition('/')[2]}:{ours.line}")
        seen = Where(frame["function"], f"{frame['file'].rpartition('/')[2]}:{frame['line']}")
        if where != seen:
            result.different.append(f"{' '.join(where)} here, {' '.join(seen)} in gdb")
            break
        _compare_variables(ours, frame["variables"], result)
    return result


def _compare_variables(ours: Frame, theirs: dict[str, int | str | None], result: Comparison) -> None:
    for name, object_ in ours.locals.items():
        if name not in theirs:
            continue
        value, what = theirs[name], f"{ours.function}: {name}"
        if object_.absent_ or value is None:
            if not object_.absent_:
                result.only_api.append(what)
            elif value is not None:
                result.only_gdb.append(f"{what} = {value}")
            continue
        mine = _number(object_)
        if mine == value or value == "value":
            result.equal += 1
        else:
            result.different.append(f"{what} is {mine} here, {value} in gdb")


def _number(object_: drgn.Object) -> int | str:
    try:
        return int(object_.value_())
    except (TypeError, ValueError):
        return f"at {object_.address_:#x}" if object_.address_ is not None else "value"
    except drgn.FaultError as error:
        return f"error {error}"
