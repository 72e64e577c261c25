# SPDX-License-Identifier: Apache-2.0
"""`next` through code that every processor runs at the same time: each ends on its line, and nobody's hit is lost."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from support.gdb import debian

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Bench
    from support.gdb import Gdb

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.slow, pytest.mark.timeout(300)]

WALKER = 999
STEPS = 1000
PARAMETERS = "/sys/module/busy/parameters"
LINE = re.compile(r"^(\d+)\t", re.MULTILINE)


@dataclass
class Walk:
    """The walker's way through busy_lines, again and again, with what was met on it."""

    gdb: Gdb
    expected: list[int]
    steps: int = 0
    beacons: int = 0
    wrong: list[str] = field(default_factory=list)

    def until(self, function: str) -> None:
        """Continue until the target stops in this function; beacons on the way are counted."""
        while f"{function} (" not in self._say("continue"):
            pass

    def go_through(self, most: int) -> None:
        """From busy_entry into the lines and through them, until somebody else's hit comes between."""
        said = self._say("step")
        for here, there in zip(self.expected, self.expected[1:], strict=False):
            if "busy_beacon (" in said or self.steps >= most:
                return
            if f"\n{here}\t" not in f"\n{said}" or f"= {WALKER}" not in self.gdb("print state->who"):
                self.wrong.append(f"expected the walker on line {here}: {said}")
                return
            said = self._say("next")
            if "busy_beacon (" in said:
                return
            self.steps += 1
            if f"\n{there}\t" not in f"\n{said}":
                self.wrong.append(f"from line {here} to {there}: {said}")
                return

    def _say(self, command: str) -> str:
        said = self.gdb(command)
        self.beacons += "busy_beacon (" in said
        return said


def lines_when_alone(gdb: Gdb) -> list[int]:
    """The lines that `next` goes through in busy_lines, from a walk that nobody disturbs."""
    lines = []
    said = gdb("step")
    while "busy_entry (" not in said and "walk_set (" not in said:
        found = LINE.findall(said)
        assert found, said
        lines.append(int(found[-1]))
        said = gdb("next")
    return lines


def walk(bench: Bench, steps: int) -> tuple[Walk, int]:
    """So many `next` among the crowd; the walk, and how many beacons the module counted on it."""
    bench.build("busy")
    bench.machine.load("busy").wait()
    gdb = bench.gdb()
    gdb("break busy_entry")
    alone = bench.start(gdb, f"echo 1 > {PARAMETERS}/walk")
    assert "busy_entry (" in gdb.wait()
    found = Walk(gdb, lines_when_alone(gdb))
    assert len(set(found.expected)) >= 6, found.expected
    bench.finish(gdb, alone)
    bench.interrupt(gdb)
    gdb("break busy_beacon")
    gdb("break busy_done")
    # More rounds than are needed: what is left of them is run through in the end.
    rounds = 5 * steps
    commands = f"echo 1 > {PARAMETERS}/crowd; echo {rounds} > {PARAMETERS}/walk; echo 0 > {PARAMETERS}/crowd"
    walking = bench.start(gdb, commands)

    gdb.wait()
    found.beacons += "busy_beacon (" in gdb("frame")
    if "busy_entry (" not in gdb("frame"):
        found.until("busy_entry")
    while found.steps < steps and not found.wrong:
        found.go_through(steps)
        found.until("busy_entry")
    gdb("delete 1")
    found.until("busy_done")
    counted = int(gdb("output busy_beacons"))
    gdb("delete")
    bench.finish(gdb, walking)
    return found, counted


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("cpus", [2, 4])
@pytest.mark.parametrize("kernel", ["6.1"], indirect=True)
@pytest.mark.parametrize("gdb_path", [pytest.param(debian, id="gdb-13.1")], indirect=True)
def test_each_next_ends_on_its_line_and_no_hit_is_lost(make_bench: Callable[..., Bench], cpus: int) -> None:
    found, counted = walk(make_bench(cpus=cpus), STEPS)
    print(f"{found.steps} steps, {found.beacons} other hits")
    assert found.wrong == []
    assert found.steps == STEPS
    assert found.beacons == counted
