# SPDX-License-Identifier: Apache-2.0
"""Measure: both sides, one after the other, everything in a scenario file."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nullmodem.bench.play import play
from nullmodem.bench.report import Report, compare
from nullmodem.bench.sides import Plain, Session, World
from nullmodem.frontends.gdb.launch import find_gdb
from nullmodem.kbuild import build_module
from nullmodem.kbuild.progress import silent
from nullmodem.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nullmodem.bench.scenarios import ScenarioSet
    from nullmodem.bench.sides import Measured
    from nullmodem.kbuild import BuiltModule, Kernel
    from nullmodem.kbuild.progress import ProgressCallback
    from nullmodem.testing.throttle import Speed


def installed_gdbs() -> tuple[str, ...]:
    """The system's gdb and the one installed beside this interpreter, as far as there are any."""
    places = (shutil.which("gdb"), str(Path(sys.executable).parent / "gdb"))
    return tuple(dict.fromkeys(place for place in places if place is not None and Path(place).exists()))


def build_modules(
    scenarios: ScenarioSet, kernel: Kernel, work: Path, progress: ProgressCallback = silent
) -> Mapping[str, BuiltModule]:
    """Build the modules of a scenario file for a kernel, each from a copy of its source in ``work``."""
    return {
        name: build_module(shutil.copytree(source, work / name), kernel, work / "build", progress, module=name)
        for name, source in scenarios.modules.items()
    }


def count(side: type[Plain | Session], world: World, scenarios: ScenarioSet, work: Path) -> dict[str, Measured]:
    """Everything in the scenarios, on one side. Raises SessionError when a scenario does not go as it says."""
    with side(world, work) as opened:
        for scenario in scenarios.scenarios:
            play(scenario, opened)
        return opened.measured


def measure(
    world: World, scenarios: ScenarioSet, work: Path, progress: Callable[[str], None] = lambda _line: None
) -> Report:
    """Everything with one gdb; ``progress`` gets a line for each side. ``work`` is made, for this alone."""
    work.mkdir(mode=0o700, parents=True)
    version = ".".join(map(str, find_gdb(world.gdb).version))
    progress(f"gdb {version}: plain")
    plain = count(Plain, world, scenarios, work / "plain")
    progress(f"gdb {version}: on nullmodem")
    ours = count(Session, world, scenarios, work / "session")
    baud = world.speed.baud if world.speed is not None else 0
    operations = compare(scenarios, plain, ours)
    return Report(world.kernel.release, version, platform.python_version(), __version__, baud, operations)


def measure_all(
    kernel: Kernel,
    gdbs: tuple[str, ...],
    scenarios: ScenarioSet,
    work: Path,
    *,
    speed: Speed | None = None,
    memory_mb: int = 256,
    progress: Callable[[str], None] = lambda _line: None,
) -> tuple[Report, ...]:
    """The same with several gdbs; the modules are built once. Raises BuildError, UsageError, SessionError."""
    modules = build_modules(scenarios, kernel, work / "modules")
    world = World(kernel, "", modules, memory_mb=memory_mb, speed=speed)
    return tuple(
        measure(replace(world, gdb=gdb), scenarios, work / str(number), progress) for number, gdb in enumerate(gdbs)
    )
