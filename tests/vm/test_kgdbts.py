# SPDX-License-Identifier: Apache-2.0
"""The kernel's own test of its stub (drivers/misc/kgdbts.c) on the kernels that are built here.

It plays the debugger from inside, so it takes the place of the serial line: no session can be on the machine.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from nullmodem.kbuild import cache_root, ensure_kernel
from nullmodem.targets import QemuSpec, QemuTarget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.vm

TROUBLE = re.compile(r"kgdbts: .*|BUG: .*|Oops.*|WARNING: .*|Kernel panic.*")
"""What kgdbts and the kernel say when something is wrong; what kgdbts does right, it says without the blank."""
FIRST_IN_SOFTWARE = "plant and detach test"
END = "KGDB: Unregistered I/O driver kgdbts"
NAMES = ["hw breakpoint test", "hw write breakpoint test", "access write breakpoint test", FIRST_IN_SOFTWARE]
NAMES += ["sw breakpoint test", "bad memory access test", "singlestep test 1000 iterations"]


@dataclass(frozen=True)
class Report:
    """What one run has printed, from its beginning to its end."""

    text: str

    @property
    def started(self) -> list[str]:
        """The tests that were run, in order; not the counting within one."""
        return re.findall(r"kgdbts:RUN (?!\.\.\.|singlestep \[)(.*)", self.text)

    @property
    def in_hardware(self) -> list[str]:
        """What went wrong in the tests of debug registers, which come first."""
        return TROUBLE.findall(self.text.partition(FIRST_IN_SOFTWARE)[0])

    @property
    def in_software(self) -> list[str]:
        """What went wrong in all the others."""
        return TROUBLE.findall(self.text.partition(FIRST_IN_SOFTWARE)[2])


@contextmanager
def machine(version: str, directory: Path, cpus: int = 1) -> Iterator[QemuTarget]:
    """A target whose kernel waits for no debugger on its serial line."""
    with QemuTarget.launch(
        QemuSpec(ensure_kernel(version).image, cpus=cpus), directory / "target", cache=cache_root()
    ) as target:
        target.exec("echo > /sys/module/kgdboc/parameters/kgdboc", timeout=60).check()
        yield target


def run(target: QemuTarget, tests: str, meanwhile: str = "", *, timeout: float = 120) -> Report:
    """Have the kernel run these tests (its own notation), with something that runs beside them from then on."""
    before = len(target.console_text())
    target.exec(f"echo {tests} > /sys/module/kgdbts/parameters/kgdbts", timeout=timeout).check()
    if meanwhile:
        target.exec(f"{{ {meanwhile}; }} >/dev/null 2>&1 &", timeout=timeout).check()
    target.wait_console(END, timeout, since=before)
    return Report(target.console_text()[before:])


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    """All of kgdbts's core tests, run once."""
    with machine(request.param, tmp_path_factory.mktemp("kgdbts")) as target:
        report = run(target, "V1")
        assert target.exec("echo alive", timeout=60).text == "alive\n"
        yield report


def test_every_core_test_is_run_and_those_in_software_pass(report: Report) -> None:
    assert report.started == NAMES
    assert "singlestep [900/1000]" in report.text
    assert report.in_software == []


@pytest.mark.xfail(
    strict=True,
    reason="kernels since 2025 do not tell kgdb that a debug register was hit: see nullmodem.kernel.debug_events, which"
    " mends it for a session",
)
def test_those_of_debug_registers_pass(report: Report) -> None:
    assert report.in_hardware == []


@pytest.mark.parametrize(("version", "cpus"), [("6.1", 1), ("6.12", 2)])
def test_a_hundred_breakpoints_in_a_function_that_all_processes_run_through_are_hit(
    version: str, cpus: int, tmp_path: Path
) -> None:
    with machine(version, tmp_path, cpus) as target:
        report = run(target, "V1I10F100", "while :; do /bin/true; done")
        assert report.started[-1] == "kernel_clone for 100 breakpoints"
        assert report.in_software == []


FORKING = "while :; do date; done & while :; do date; done & while :; do date; done"
OPENING = "while :; do find /proc/self; done & while :; do find /proc/self; done & while :; do find /proc/self; done"


@pytest.mark.soak
@pytest.mark.parametrize("version", ["6.1", "6.12"])
@pytest.mark.parametrize(("tests", "load"), [("V1F1000", FORKING), ("V1S10000", OPENING)], ids=["clone", "open"])
def test_thousands_of_breakpoints_are_hit_on_two_busy_processors(
    version: str, tests: str, load: str, tmp_path: Path
) -> None:
    with machine(version, tmp_path, 2) as target:
        report = run(target, tests, load, timeout=3000)
        assert report.started[-1].endswith(f"for {tests[3:]} breakpoints")
        assert report.in_software == []
