# SPDX-License-Identifier: Apache-2.0
"""How long a suite of 30 tests of a module takes under pytest: on one machine, and on one for each of two workers.

    .venv/bin/python bench/suite.py

Prints, for each, the seconds of the tests after the boot and of the whole run, and the CPU time used meanwhile.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODULE = Path(__file__).resolve().parent.parent / "examples" / "simple"
TESTS = 30
SUITE = f"""
import pytest

pytestmark = pytest.mark.kernel_module("simple")

@pytest.mark.parametrize("number", range({TESTS}))
def test_it(kernel_target, kernel_module, number):
    if number % 3 == 0:
        with kernel_target.break_at("simple_write") as breakpoint_:
            with breakpoint_.wait(after=lambda: kernel_target.start(f"echo -n {{number}} >/dev/simple")) as stop:
                assert stop.frame["size"] == len(str(number))
    else:
        kernel_target.run(f"echo -n {{number}} >/dev/simple")
    assert kernel_target.run("cat /dev/simple").text
"""


def measure(workers: int) -> str:
    """One run, in words."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        shutil.copytree(MODULE, place / "simple")
        (place / "test_suite.py").write_text(SUITE)
        parallel = ["-n", str(workers)] if workers > 1 else ["-p", "no:xdist"]
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--durations=0", "-vv", *parallel]
        used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(command, cwd=place, check=False, capture_output=True, text=True)
        seconds = time.monotonic() - began
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
    if f"{TESTS} passed" not in done.stdout:
        raise SystemExit(done.stdout)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    phases = sorted(
        float(found) for found in re.findall(r"^(\d+\.\d+)s (?:call|setup|teardown)", done.stdout, re.MULTILINE)
    )
    tests = sum(phases[:-workers]) / workers  # the longest setup of each worker has its boot in it
    return f"{workers} worker(s): {tests:.1f} s of tests, {seconds:.1f} s in all, {cpu:.1f} s of CPU time"


if __name__ == "__main__":
    for number in (1, 2):
        print(measure(number))
