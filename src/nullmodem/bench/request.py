# SPDX-License-Identifier: Apache-2.0
"""What `nullmodem bench` was asked for, carried out and shown."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from nullmodem.api.boot import check_host
from nullmodem.bench.measure import installed_gdbs, measure_all
from nullmodem.bench.picture import bars
from nullmodem.bench.report import BAUDS
from nullmodem.bench.scenarios import OWN, read_scenarios
from nullmodem.errors import UsageError
from nullmodem.frontends.gdb.launch import find_gdb
from nullmodem.kbuild import ensure_kernel
from nullmodem.testing.throttle import Speed

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.bench.report import Report

PAGE = 120
"""Characters across where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Request:
    """``gdbs``: paths or names; none: all that are found. ``file``: None: the scenarios that come along.

    ``only``: names of scenarios; none: all. ``baud``: 0: as fast as the line can be.
    """

    kernel: str
    gdbs: tuple[str, ...] = ()
    file: Path | None = None
    only: tuple[str, ...] = ()
    baud: int = 0


def carry_out(request: Request, progress: Callable[[str], None]) -> tuple[Report, ...]:
    """Measure. Raises UsageError for what cannot be measured, BuildError, BootError, SessionError for what fails."""
    scenarios = read_scenarios(request.file or OWN)
    if request.only:
        scenarios = scenarios.only(request.only)
    gdbs = tuple(find_gdb(gdb).path for gdb in request.gdbs) or installed_gdbs()
    if not gdbs:
        raise UsageError("there is no gdb on this machine", hint="apt-get install gdb, or name one with --gdb PATH")
    check_host()
    kernel = ensure_kernel(request.kernel)
    speed = Speed(request.baud) if request.baud else None
    with tempfile.TemporaryDirectory(prefix="nm-bench-") as work:
        return measure_all(kernel, gdbs, scenarios, Path(work), speed=speed, progress=progress)


def write_picture(report: Report, file: Path) -> None:
    """Raises UsageError when it cannot be written."""
    try:
        file.write_text(bars(report), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error


def show(reports: tuple[Report, ...]) -> None:
    """Print a table for each gdb."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PAGE)
    for report in reports:
        console.print(report.as_table())
    baud = reports[-1].baud
    line = f"measured over a line of {baud} baud" if baud else f"what a line of {BAUDS[0]} baud needs for the bytes"
    console.print(f"Seconds are {line}. Ratios are nullmodem's figure divided by plain gdb's.")
