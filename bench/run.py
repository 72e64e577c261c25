# SPDX-License-Identifier: Apache-2.0
"""Measure everything that the documentation states, and write it down: `make bench`.

Counted figures are the same on every machine; seconds are this machine's, so run it on a quiet one. What is measured on
the wire is what `nullmodem bench` measures. To it come how starting takes its time (startup.py), what the session adds
to an exchange (overhead.py), what a program that debugs (program.py), a page (page.py), and who edits a module in an
editor (loop.py) wait for, and how cost grows with the size of the world (growth.py).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from growth import GROWTHS
from loop import measure_loops
from overhead import exchange_overhead
from page import measure_page
from program import ProgramTimes
from startup import time_starts

from nullmodem.bench.command import BAUD
from nullmodem.bench.measure import installed_gdbs
from nullmodem.bench.picture import bars, curves
from nullmodem.bench.request import Request, carry_out, show
from nullmodem.errors import NullmodemError
from nullmodem.kbuild import ensure_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parent / "docs" / "images"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def wire(kernel: str, results: Path) -> None:
    """What each operation costs, with every gdb there is."""
    reports = carry_out(Request(kernel, baud=BAUD), say)
    write(results / f"linux-{kernel}.json", [report.as_json() for report in reports])
    text = "\n".join(report.as_markdown() for report in reports)
    (results / f"linux-{kernel}.md").write_text(text, encoding="utf-8")
    (IMAGES / "bench.svg").write_text(bars(reports[-1]), encoding="utf-8")
    show(reports)


def starts(kernel: str, results: Path) -> None:
    """How long it takes to begin."""
    found: dict[str, Any] = {}
    for number, gdb in enumerate(installed_gdbs()):
        say(f"starts with {gdb}")
        with tempfile.TemporaryDirectory(prefix="nm-bench-") as work:
            times = time_starts(ensure_kernel(kernel), gdb, 5, Path(work) / str(number))
        found[times.gdb] = times.as_json()
        print(times.sentence())
    write(results / "starts.json", found)


def overhead(_kernel: str, results: Path) -> None:
    """What the session adds to an exchange."""
    found = exchange_overhead()
    write(results / "overhead.json", found.as_json())
    print(found.sentence())


def program(kernel: str, results: Path) -> None:
    """What a program that debugs waits for, in a process of its own: its memory is measured."""
    code = f"import json, program; print(json.dumps(program.measure_program({kernel!r}).as_json()))"
    said = subprocess.run([sys.executable, "-c", code], cwd=HERE, check=True, capture_output=True, text=True).stdout
    times = ProgramTimes(**json.loads(said))
    write(results / "program.json", times.as_json())
    print(times.sentence())


def page(kernel: str, results: Path) -> None:
    """How long a page waits for a stop."""
    found = measure_page(kernel)
    write(results / "page.json", found.as_json())
    print(found.sentence())


def loop(kernel: str, results: Path) -> None:
    """How long it takes from a change of the source to the breakpoint in the rebuilt module."""
    found = measure_loops(kernel, 5)
    write(results / "loop.json", found.as_json())
    print(found.sentence())


def growth(_kernel: str, results: Path) -> None:
    """How cost grows with the size of the world."""
    for each in GROWTHS:
        say(f"growth: {each.name}")
        grown = each.measure()
        write(results / f"growth-{each.name}.json", grown.as_json())
        picture = curves(grown.title, grown.across, grown.up, grown.curves)
        (IMAGES / f"growth-{each.name}.svg").write_text(picture, encoding="utf-8")
        print(grown.text())


PARTS: dict[str, Callable[[str, Path], None]] = {
    "wire": wire, "starts": starts, "overhead": overhead, "program": program, "page": page, "loop": loop,
    "growth": growth,
}  # fmt: skip


@click.command(help=__doc__)
@click.option("--kernel", default="6.1", show_default=True, help="A kernel of `nullmodem kernel list`.")
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)), help="Only this; may be repeated.")
@click.option("--results", type=click.Path(path_type=Path), default=HERE / "results", help="Where results are written.")
def main(kernel: str, parts: tuple[str, ...], results: Path) -> None:
    results.mkdir(exist_ok=True)
    try:
        for name in parts or PARTS:
            PARTS[name](kernel, results)
    except NullmodemError as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
