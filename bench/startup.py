# SPDX-License-Identifier: Apache-2.0
"""How long the way to gdb's prompt takes, and how much memory a session needs. Seconds are those of this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect

from nullmodem.frontends.gdb.launch import find_gdb
from nullmodem.kbuild import build_module
from nullmodem.testing.gdb import Gdb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.kbuild import Kernel

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "simple"
PROGRAM = (sys.executable, "-m", "nullmodem")
PATIENCE = 120.0


def environment(runtime: Path) -> dict[str, str]:
    """The one we have, with sessions that nobody else sees."""
    return {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "TERM": "dumb"}


def seconds_to_init(source: Path, kernel: str, gdb_path: str, runtime: Path) -> float:
    """From `nullmodem run` to the prompt of a gdb that stands in ``simple_init``; the module is built on the way."""
    began = time.monotonic()
    arguments = ["run", str(source), "--kernel", kernel, "--gdb", gdb_path, "--", "-nx"]
    program = pexpect.spawn(
        PROGRAM[0], [*PROGRAM[1:], *arguments], env=environment(runtime), encoding="utf-8", timeout=PATIENCE,
        dimensions=(50, 400),
    )  # fmt: skip
    try:
        program.expect(r"simple_init \(\) at")
        program.expect(r"\(gdb\) ")
        took = time.monotonic() - began
        program.sendline("set confirm off")
        program.sendline("quit")
        program.expect(pexpect.EOF)
    finally:
        program.close(force=True)
    return took


@dataclass(frozen=True, slots=True)
class Served:
    """A session that serves, with no gdb yet. ``own_seconds`` is what its start took besides building and booting."""

    pid: int
    own_seconds: float
    boot_seconds: float
    remote: str
    vmlinux: str
    runtime: Path

    @property
    def processor_seconds(self) -> float:
        """The processor's time that the session's process has used: of what happened so far, its own work."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")  # proc(5): utime and stime

    def memory(self, field: str) -> float:
        """``VmRSS``, what it has in memory now, or ``VmHWM``, the most it ever had; in MB."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None, status
        return int(found[1]) * 1024 / 1e6


@contextlib.contextmanager
def serving(module: Path, kernel: str, runtime: Path) -> Iterator[Served]:
    """`nullmodem run MODULE --no-gdb`, ended at the end. ``module`` is a .ko, so that nothing is built."""
    began = time.monotonic()
    process = subprocess.Popen(
        [*PROGRAM, "run", str(module), "--kernel", kernel, "--no-gdb"],
        env=environment(runtime), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        seen: dict[str, tuple[float, str]] = {}
        said = []
        for line in process.stdout:
            said.append(line)
            for start in ("booting ", "the target is up", "file ", "target remote "):
                if line.startswith(start):
                    seen[start] = time.monotonic() - began, line.removeprefix(start).strip()
            if line.startswith("target remote "):
                break
        assert len(seen) == 4, "".join(said)
        booted = seen["the target is up"][0] - seen["booting "][0]
        ready, remote = seen["target remote "]
        yield Served(process.pid, ready - booted, booted, remote, seen["file "][1], runtime)
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def use(served: Served, gdb_path: str) -> None:
    """What makes a session grow: gdb attaches to a running kernel, a module is loaded, stopped in and looked at."""
    with Gdb(gdb_path, served.vmlinux, patience=PATIENCE) as gdb:
        gdb(f"target remote {served.remote}")
        gdb("break simple_init")
        gdb("detach")
        gdb(f"target remote {served.remote}")
        gdb.send("continue")
        loading = subprocess.Popen(
            [*PROGRAM, "load", "simple"],
            env=environment(served.runtime),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # that gdb holds the target
        )
        said = gdb.wait()
        assert "simple_init () at" in said, said
        gdb("bt")
        gdb("next")
        gdb("info threads")
        gdb("delete")
        gdb.send("continue")
        assert loading.wait(PATIENCE) == 0


@dataclass(frozen=True, slots=True)
class Times:
    """Medians of several starts, in seconds, and the most memory a session needed, in MB.

    ``own_start`` is wall time, ``own_processor`` the processor's, which other work on the machine does not change.
    """

    gdb: str
    starts: int
    to_init: float
    own_start: float
    own_processor: float
    boot: float
    memory: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        return (
            f"From `nullmodem run` to the prompt of gdb {self.gdb} in the module's init: {self.to_init:.1f} s "
            f"(median of {self.starts}), of which the machine's boot is {self.boot:.1f} s "
            f"and nullmodem's own start {self.own_start:.1f} s ({self.own_processor:.1f} s of the processor). "
            f"The session's process needed {self.memory:.0f} MB at most."
        )


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
    version = ".".join(map(str, find_gdb(gdb).version))
    return Times(version, starts, median(to_init[1:]), median(own), median(processor), median(boot), max(memory))
