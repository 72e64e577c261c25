# SPDX-License-Identifier: Apache-2.0
"""How cost grows with the world: processors, tasks, modules of the target, files in a tree, the size of a vmlinux."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nullmodem.bench.measure import build_modules, count, installed_gdbs
from nullmodem.bench.picture import Curve
from nullmodem.bench.scenarios import OWN, Operation, Scenario, ScenarioSet, Step, Verb, read_scenarios
from nullmodem.bench.sides import Plain, Session, World
from nullmodem.kbuild import ensure_kernel
from nullmodem.symbols.elf import SECTION_HEADER, ElfFile
from nullmodem.symbols.module_index import ModuleIndex

if TYPE_CHECKING:
    from collections.abc import Callable

KERNEL = "6.1"
MEMORY_MB = 768
"""A thousand processes need more than a module does."""
PROCESSORS = (1, 4, 16, 64)
TASKS = (0, 100, 300, 1000)
MODULES = (0, 20, 50, 150)
FILES = (100, 1000, 2500, 5000)
VMLINUX_MB = (0, 100, 250, 500)
TRIGGER = "echo 3 > /sys/module/cost/parameters/run"


@dataclass(frozen=True, slots=True)
class Grown:
    """Curves over one size. ``across`` and ``up`` say what they count."""

    title: str
    across: str
    up: str
    curves: tuple[Curve, ...]

    def as_json(self) -> dict[str, Any]:
        drawn = {curve.name: [list(point) for point in curve.points] for curve in self.curves}
        return {"title": self.title, "across": self.across, "up": self.up, "curves": drawn}

    def text(self) -> str:
        lines = [f"{self.title} ({self.across}: {self.up})"]
        lines += [f"  {c.name}: " + ", ".join(f"{x:g}: {y:g}" for x, y in c.points) for c in self.curves]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Growth:
    """One measurement to make."""

    name: str
    measure: Callable[[], Grown]


def world_scenarios(name: str, tasks: int, copies: int) -> tuple[tuple[Operation, ...], Scenario]:
    """Begin, attach, and hit a breakpoint, in a world of this size; operations are named NAME begin, and so on."""
    operations = tuple(Operation(f"{name} {what}", f"{name} {what}") for what in ("begin", "attach", "hit"))
    steps = (
        Step(Verb.BEGIN, count=f"{name} begin"),
        Step(Verb.LEAVE),
        Step(Verb.LOAD, "cost"),
        Step(Verb.ATTACH, count=f"{name} attach"),
        Step(Verb.SYMBOLS, "cost"),
        Step(Verb.GDB, "break cost_look"),
        Step(Verb.HIT, TRIGGER),
        Step(Verb.LET_RUN),
        Step(Verb.HIT, TRIGGER, count=f"{name} hit", expect="cost_look ("),
        Step(Verb.LET_RUN),
        Step(Verb.GDB, "delete"),
        Step(Verb.LEAVE),
        Step(Verb.UNLOAD, "cost"),
    )
    return operations, Scenario(name, steps, tasks=tasks, copies=copies, copied="crowd_000" if copies else "")


def world_set(*sizes: tuple[str, int, int]) -> ScenarioSet:
    """Scenarios for worlds given as (name, tasks, modules)."""
    worlds = [world_scenarios(*size) for size in sizes]
    operations = tuple(operation for operations, _scenario in worlds for operation in operations)
    return ScenarioSet(OWN, read_scenarios().modules, operations, tuple(scenario for _o, scenario in worlds))


def _on_target(
    scenarios: ScenarioSet, sides: tuple[type[Plain | Session], ...], *, cpus: int = 1
) -> dict[str, dict[str, int]]:
    """Bytes of each operation, by side."""
    kernel = ensure_kernel(KERNEL)
    with tempfile.TemporaryDirectory(prefix="nm-bench-") as directory:
        work = Path(directory)
        modules = build_modules(scenarios, kernel, work / "modules")
        world = World(kernel, installed_gdbs()[0], modules, memory_mb=MEMORY_MB, cpus=cpus)
        return {
            side.name: {name: each.bytes for name, each in count(side, world, scenarios, work / side.name).items()}
            for side in sides
        }


def over_processors() -> Grown:
    found = {cpus: _on_target(world_set((f"{cpus}", 0, 0)), (Plain, Session), cpus=cpus) for cpus in PROCESSORS}
    curves = tuple(
        Curve(f"{side}: {what}", tuple((cpus, found[cpus][side][f"{cpus} {what}"]) for cpus in PROCESSORS))
        for side in ("plain", "nullmodem")
        for what in ("attach", "hit")
    )
    return Grown("Attach, and a breakpoint hit, on more processors", "processors", "bytes", curves)


def over_tasks() -> Grown:
    found = _on_target(world_set(*((f"{tasks}", tasks, 0) for tasks in TASKS)), (Plain, Session))
    curves = tuple(
        Curve(f"{side}: {what}", tuple((tasks, found[side][f"{tasks} {what}"]) for tasks in TASKS))
        for side in ("plain", "nullmodem")
        for what in ("attach", "hit")
    )
    return Grown(
        "Attach, and a breakpoint hit, with sleeping tasks", "tasks more than a bare system's", "bytes", curves
    )


def over_modules() -> Grown:
    found = _on_target(world_set(*((f"{modules}", 0, modules) for modules in MODULES)), (Plain, Session))
    curves = [Curve(f"{side}: begin", tuple((n, found[side][f"{n} begin"]) for n in MODULES)) for side in found]
    curves.append(Curve("nullmodem: hit", tuple((n, found["nullmodem"][f"{n} hit"]) for n in MODULES)))
    return Grown("Begin to debug, and a breakpoint hit, with modules loaded", "modules", "bytes", tuple(curves))


def make_tree(directory: Path, ko: Path, files: int) -> Path:
    """A tree of modules, ten in a directory; all have the same content, and nothing changed for years."""
    for number in range(files):
        place = directory / f"d{number // 10}"
        if number % 10 == 0:
            place.mkdir(parents=True)
        (place / f"m{number}.ko").hardlink_to(ko)
    for place, _directories, _names in os.walk(directory):
        os.utime(place, (1_600_000_000, 1_600_000_000))
    return directory


def index_tree(directory: Path, cache: Path) -> float:
    """Processor seconds to know the names and builds of all modules in a tree."""
    began = time.process_time()
    index = ModuleIndex(cache)
    for paths in index.by_name(directory).values():
        index.identity(directory, paths[0])
    index.keep()
    return time.process_time() - began


def over_files() -> Grown:
    first, again = [], []
    with tempfile.TemporaryDirectory(prefix="nm-bench-") as directory:
        work = Path(directory)
        kernel = ensure_kernel(KERNEL)
        ko = build_modules(world_set(), kernel, work / "modules")["cost"].ko
        for files in FILES:
            tree = make_tree(work / f"tree{files}", ko, files)
            first.append((files, round(index_tree(tree, work / "index"), 3)))
            again.append((files, round(index_tree(tree, work / "index"), 3)))
    curves = (Curve("the first time", tuple(first)), Curve("again", tuple(again)))
    return Grown("Index a tree of modules", "files", "seconds of the processor", curves)


def pad_vmlinux(original: Path, padded: Path, megabytes: int) -> None:
    """A copy with one more section of that size, which is a hole in the file."""
    shutil.copyfile(original, padded)
    with ElfFile.open(original) as elf, padded.open("r+b") as file:
        table = elf.read_at(elf.section_table, len(elf.sections) * SECTION_HEADER.size)
        name = SECTION_HEADER.unpack_from(table, SECTION_HEADER.size)[0]
        size = megabytes << 20
        end = elf.length + size
        more = SECTION_HEADER.pack(name, 1, 0, 0, elf.length, size, 0, 0, 1, 0)
        file.truncate(end)
        file.seek(end)
        file.write(table + more)
        file.seek(40)  # e_shoff
        file.write(struct.pack("<Q", end))
        file.seek(60)  # e_shnum
        file.write(struct.pack("<H", len(elf.sections) + 1))


# What a session does with a vmlinux when it begins, in a process of its own: seconds of the processor, MB at most.
OPENING = """
import re, sys, time
from pathlib import Path
from nullmodem.symbols.for_gdb import vmlinux_for_gdb
from nullmodem.symbols.types import TypeInfo
from nullmodem.symbols.vmlinux import Vmlinux
vmlinux = Vmlinux.open(sys.argv[1])
assert vmlinux.banner and vmlinux.symbol("do_init_module")
TypeInfo.open(sys.argv[1]).offset("struct module", "list")
vmlinux_for_gdb(vmlinux, Path(sys.argv[2]))
# Not getrusage: to its maximum counts what the parent had in memory before this program was started.
most = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(time.process_time(), int(most[1]) / 1024)
"""


def open_vmlinux(path: Path, cache: Path) -> tuple[float, float]:
    """Seconds of the processor and MB of memory that opening it takes."""
    command = [sys.executable, "-c", OPENING, str(path), str(cache)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(said[0]), float(said[1])


def over_vmlinux() -> Grown:
    seconds, memory = [], []
    original = ensure_kernel(KERNEL).vmlinux
    with tempfile.TemporaryDirectory(prefix="nm-bench-") as directory:
        for more in VMLINUX_MB:
            path = Path(directory) / "vmlinux"
            pad_vmlinux(original, path, more)
            size = round(path.stat().st_size / 1e6)
            took, needed = open_vmlinux(path, Path(directory) / f"cache{more}")
            seconds.append((size, round(took * 100, 1)))
            memory.append((size, round(needed, 1)))
            path.unlink()
    curves = (Curve("MB of memory", tuple(memory)), Curve("hundredths of a second", tuple(seconds)))
    return Grown("Open a vmlinux for the first time", "MB of vmlinux", "memory and processor", curves)


GROWTHS = (
    Growth("processors", over_processors),
    Growth("tasks", over_tasks),
    Growth("modules", over_modules),
    Growth("files", over_files),
    Growth("vmlinux", over_vmlinux),
)
