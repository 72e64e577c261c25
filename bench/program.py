# SPDX-License-Identifier: Apache-2.0
"""What a program that debugs has to wait for, and how much memory it takes. Seconds are those of this machine."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growth import pad_vmlinux

from nullmodem.api.boot import BootOptions, boot
from nullmodem.frontends.python.target import Target
from nullmodem.kbuild import ensure_kernel

if TYPE_CHECKING:
    from nullmodem.kbuild import Kernel

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "simple"
LARGE_MB = 500
STOPS = 9


@dataclass(frozen=True, slots=True)
class ProgramTimes:
    """Milliseconds of `import nullmodem`, and of the frame and the variables of a stop, for the first stop and for
    others; MB of memory at most, with a vmlinux of so many MB."""

    import_ms: float
    first_stop_ms: float
    stop_ms: float
    memory_mb: float
    vmlinux_mb: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        return (
            f"import {self.import_ms:.0f} ms, a stop's frame and variables {self.stop_ms:.0f} ms (the first "
            f"{self.first_stop_ms:.0f} ms), {self.memory_mb:.0f} MB with a vmlinux of {self.vmlinux_mb} MB"
        )


def import_ms() -> float:
    """What `import nullmodem` adds to starting Python."""

    def seconds(code: str) -> float:
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.monotonic() - began

    return 1000 * statistics.median(seconds("import nullmodem") - seconds("pass") for _ in range(STOPS))


def stops_ms(kernel: Kernel, work: Path) -> list[float]:
    """For each of some stops, the time from when it is given to when its frame and variables are printed."""
    with Target(boot("bench", BootOptions(kernel=kernel), work / "work")) as target:
        built = target.build(_copy(work))
        target.load(built.name)
        with target.break_at("simple_read") as breakpoint_:
            times = []
            for _ in range(STOPS):
                stop = breakpoint_.wait(after=lambda: target.start("dd if=/dev/simple bs=9 count=1 2>/dev/null"))
                began = time.monotonic()
                stop.frame.describe()
                times.append(1000 * (time.monotonic() - began))
            stop.continue_()
    return times


def _copy(work: Path) -> Path:
    source = work / "simple"
    source.mkdir()
    for name in ("Kbuild", "simple.c", "simple.h"):
        (source / name).write_bytes((EXAMPLE / name).read_bytes())
    return source


def measure_program(name: str) -> ProgramTimes:
    """In this process, which must have done nothing else: its memory is measured."""
    kernel = ensure_kernel(name)
    with tempfile.TemporaryDirectory(prefix="nm-bench-") as directory:
        large = Path(directory) / "vmlinux"
        pad_vmlinux(kernel.vmlinux, large, LARGE_MB - (kernel.vmlinux.stat().st_size >> 20))
        first, *others = stops_ms(replace(kernel, vmlinux=large), Path(directory))
    # Not getrusage: to its maximum counts what the parent had in memory before this program was started.
    most = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert most is not None
    return ProgramTimes(import_ms(), first, statistics.median(others), int(most[1]) / 1024, LARGE_MB)
