# SPDX-License-Identifier: Apache-2.0
"""Measure plain gdb and nullmodem side by side: the same operations, by the same gdb, on the same kernel.

Bytes and round trips are counted on the kernel's side of the wire and are the same on every machine. Seconds of
starting are this machine's, medians. What is measured stands in scenarios.py. Results go to bench/results, as JSON
and as the Markdown that the documentation shows.
"""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from report import BAUD, Report, Times, compare
from rich.console import Console
from scenarios import OPERATIONS, SCENARIOS
from sides import Plain, Session
from startup import seconds_to_init, serving, use

from nullmodem import __version__
from nullmodem.errors import NullmodemError
from nullmodem.frontends.gdb.launch import find_gdb
from nullmodem.kbuild import build_module, ensure_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from sides import Measured, Side

    from nullmodem.kbuild import BuiltModule, Kernel

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "examples" / "simple"


def installed_gdbs() -> tuple[str, ...]:
    """The system's gdb and the one installed beside this interpreter, as far as there are any."""
    places = (shutil.which("gdb"), str(Path(sys.executable).parent / "gdb"))
    return tuple(dict.fromkeys(place for place in places if place is not None and Path(place).exists()))


def count(side: Callable[[], Side]) -> dict[str, Measured]:
    """Everything in the scenarios, on one side."""
    with side() as opened:
        for scenario in SCENARIOS:
            scenario(opened)
        return opened.measured


def time_starts(kernel: Kernel, gdb: str, starts: int, work: Path) -> Times:
    """Start again and again, each time with a module that is not built yet."""
    work.mkdir(mode=0o700)
    to_init = []
    # One more at first, which fills caches: nullmodem's, gdb's, the machine's.
    for number in range(starts + 1):
        source = shutil.copytree(EXAMPLE, work / f"start{number}" / "simple")
        to_init.append(seconds_to_init(source, kernel.name, gdb, work))
    module = build_module(source, kernel, work / "build").ko
    own, processor, boot, memory = [], [], [], []
    for _ in range(starts):
        with serving(module, kernel.name, work) as served:
            own.append(served.own_seconds)
            processor.append(served.processor_seconds)
            boot.append(served.boot_seconds)
            use(served, gdb)
            memory.append(served.memory("VmHWM"))
    median = statistics.median
    return Times(starts, median(to_init[1:]), median(own), median(processor), median(boot), max(memory))


def measure(kernel: Kernel, gdb: str, starts: int, module: BuiltModule, work: Path, console: Console) -> Report:
    """Everything with one gdb."""
    version = ".".join(map(str, find_gdb(gdb).version))
    console.print(f"gdb {version}: plain")
    plain = count(lambda: Plain(kernel, gdb, (module,), work / "plain"))
    console.print(f"gdb {version}: nullmodem")
    ours = count(lambda: Session(kernel, gdb, (module,), work / "session"))
    times = None
    if starts:
        console.print(f"gdb {version}: {starts} starts")
        times = time_starts(kernel, gdb, starts, work / "starts")
    operations = tuple(compare(OPERATIONS, plain, ours))
    return Report(kernel.release, version, platform.python_version(), __version__, operations, times)


def write(reports: list[Report], kernel: str, directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    document = json.dumps([report.as_json() for report in reports], indent=1)
    (directory / f"linux-{kernel}.json").write_text(document + "\n", encoding="utf-8")
    text = "\n".join(report.as_markdown() for report in reports)
    (directory / f"linux-{kernel}.md").write_text(text, encoding="utf-8")


@click.command(help=__doc__)
@click.option("--kernel", "kernel_name", default="6.1", show_default=True, help="A kernel of `nullmodem kernel list`.")
@click.option("--gdb", "gdbs", multiple=True, help="A gdb to measure with; may be repeated. Default: all there are.")
@click.option("--starts", default=5, show_default=True, help="How many starts to time; 0 for none.")
@click.option("--results", type=click.Path(path_type=Path), default=HERE / "results", help="Where results are written.")
def main(kernel_name: str, gdbs: tuple[str, ...], starts: int, results: Path) -> None:
    # Where there is no terminal the table need not fit one.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    reports = []
    try:
        kernel = ensure_kernel(kernel_name)
        with contextlib.ExitStack() as stack:
            work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nm-bench-")))
            module = build_module(shutil.copytree(HERE / "module", work / "module"), kernel, work / "build")
            for number, gdb in enumerate(gdbs or installed_gdbs()):
                directory = work / str(number)
                directory.mkdir(mode=0o700)
                reports.append(measure(kernel, gdb, starts, module, directory, console))
    except NullmodemError as error:
        raise SystemExit(f"bench: {error}") from None
    write(reports, kernel_name, results)
    for report in reports:
        console.print(report.as_table())
        for sentence in report.sentences():
            console.print(sentence)
    console.print(f"Seconds are those that a serial line of {BAUD} baud needs for the bytes.")


if __name__ == "__main__":
    main()
