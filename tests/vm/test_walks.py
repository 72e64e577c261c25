# SPDX-License-Identifier: Apache-2.0
"""The same program of steps and looks, typed into a plain gdb and into one on nullmodem, shows the same.

The plain one walks at random, the other follows; both stand in kernels of their own, which run the same module.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from nullmodem.bench.sides import PATIENCE, Plain, Session, World
from nullmodem.kbuild import build_module, ensure_kernel
from support.gdb import EVERY_KERNEL_ONE_GDB
from support.modules import copy_module, module_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.bench.sides import OnTarget, Side

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.slow, pytest.mark.timeout(600)]

ENTRIES = (
    "stepping_run", "stepping_loop", "stepping_straight", "stepping_recursion", "stepping_switch",
    "stepping_inline_twice", "stepping_calls", "stepping_leaf", "run_set", "param_attr_store",
)  # fmt: skip
"""Where walks begin. The last is the kernel's own."""
LATER = ("stepping_switch", "stepping_inline_twice", "stepping_calls", "stepping_leaf")
"""Functions that are still to be reached from most places; the end is reached in any case."""
LOOKS = (
    "info locals", "info args", "print stepping_mixed", "print stepping_result", "print $_exitcode", "print amount",
    "print value", "print depth + 1", "print sizeof(struct kernel_param)", "info symbol $pc", "x/2i $pc",
    "print stepping_indirect", "up", "down", "frame", "print jiffies > 0", "print init_task.comm",
)  # fmt: skip
WALKS = ("step", "next", "next", "finish", "stepi", "nexti", "advance")
LONGEST = 10

SOURCE = module_directory("stepping") / "stepping.c"
END_LINE = 1 + SOURCE.read_text(encoding="utf-8").splitlines().index("\tstepping_result = total;")
"""Every run comes by here, whatever it did before."""

# What two runs need not have in common: addresses, gdb's own numbers, which thread is the how manyeth.
DIFFERENT = (
    (re.compile(r"0x[0-9a-f]{3,}"), "0x…"),
    (re.compile(r"-?\b\d{12,}"), "…"),  # an address as a number, as in locals that have no value yet
    (re.compile(r"/[^\s:]+/"), "…/"),
    (re.compile(r"\$\d+ = "), "$ = "),
    (re.compile(r"(Temporary breakpoint|Breakpoint|Thread) [\d.]+"), r"\1"),
    (re.compile(r"^\[(New|Switching to) .*\n?", re.MULTILINE), ""),
    (re.compile(r"^(Thread )?.* hit (?=Breakpoint|Temporary)", re.MULTILINE), ""),
    (re.compile(r"pid \d+"), "pid"),
)


def same(said: str) -> str:
    """What gdb said, without what may differ."""
    for pattern, instead in DIFFERENT:
        said = pattern.sub(instead, said)
    return said.strip()


@dataclass
class Walker:
    """One side's gdb, and what it was told and said."""

    side: Side
    said: list[tuple[str, str]] = field(default_factory=list)
    command: OnTarget | None = None

    def begin(self, entry: str, amount: int) -> None:
        """Run the module into ``entry``."""
        self.said = []
        self._tell(f"tbreak {entry}")
        self._tell(f"tbreak stepping.c:{END_LINE}")
        said, self.command = self.side.hit(f"echo {amount} > /sys/module/stepping/parameters/run")
        self.said.append(("run", said))

    def type(self, command: str) -> None:
        """Type a command; `heard` has what is said."""
        self.said.append((command, ""))
        self.side.gdb.send(command)

    def heard(self) -> str:
        """What was said to what was typed last."""
        command, _nothing = self.said.pop()
        said = self.side.gdb.wait(PATIENCE)
        self.said.append((command, said))
        return said

    def end(self) -> None:
        """Leave no breakpoint, let the module's run end."""
        self.side.gdb("delete")
        assert self.command is not None
        self.side.let_run(self.command)

    def _tell(self, command: str) -> str:
        self.type(command)
        return self.heard()


class Pair:
    """A plain gdb and one on a session."""

    def __init__(self, plain: Walker, ours: Walker) -> None:
        self.plain = plain
        self.ours = ours

    def walk(self, seed: int) -> None:
        """One walk of both. Raises AssertionError at the first thing said differently."""
        chance = random.Random(seed)
        entry, amount = chance.choice(ENTRIES), chance.randint(1, 6)
        self.plain.begin(entry, amount)
        self.ours.begin(entry, amount)
        frames = self._both("bt")
        for _ in range(LONGEST):
            for command in self._next(chance, frames):
                self._both(command)
            frames = self._both("bt")
            if not self._inside(frames):
                break
            for _look in range(chance.randint(0, 2)):
                self._both(chance.choice(LOOKS))
            self._both("frame 0")
        self.plain.end()
        self.ours.end()
        assert [(c, same(s)) for c, s in self.ours.said] == [(c, same(s)) for c, s in self.plain.said], f"seed {seed}"

    def _both(self, command: str) -> str:
        self.plain.type(command)
        self.ours.type(command)
        theirs, ours = self.plain.heard(), self.ours.heard()
        assert same(ours) == same(theirs), f"after {[c for c, _said in self.plain.said]}"
        return theirs

    def _inside(self, frames: str) -> bool:
        """Whether a step cannot lead out of what the module's run calls: not near its end, and not in printing."""
        return "param_attr_store (" in frames and "printk" not in frames and "#0  param_attr_store" not in frames[:60]

    def _next(self, chance: random.Random, frames: str) -> list[str]:
        kind = chance.choice(WALKS)
        innermost = frames.partition("\n")[0]
        if kind == "finish" and ("run_set (" in innermost or "param_attr_store (" in innermost):
            kind = "next"
        if kind == "advance":
            if "stepping_run (" not in frames or "stepping_run (" in innermost:
                return ["next"]
            return [f"tbreak {chance.choice(LATER)}", "continue"]
        return [kind]


@pytest.fixture(scope="module", params=EVERY_KERNEL_ONE_GDB[:1])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    name, gdb = request.param
    kernel = ensure_kernel(name)
    work = tmp_path_factory.mktemp("walks")
    built = build_module(copy_module("stepping", work), kernel, work / "build")
    world = World(kernel, gdb(), {"stepping": built})
    with Plain(world, work / "p") as plain, Session(world, work / "s") as ours:
        for side in (plain, ours):
            side.load("stepping")
            side.attach()
            side.symbols("stepping")
        yield Pair(Walker(plain), Walker(ours))


@pytest.mark.parametrize("seed", range(2))
def test_a_walk_shows_what_a_plain_gdb_shows(pair: Pair, seed: int) -> None:
    pair.walk(seed)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_300_walks_show_what_a_plain_gdb_shows(pair: Pair) -> None:
    for seed in range(1000, 1300):
        pair.walk(seed)
