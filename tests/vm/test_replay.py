# SPDX-License-Identifier: Apache-2.0
"""A session is recorded, its machine is gone, and gdb looks at the same stops again."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.gdb import EVERY_KERNEL_ONE_GDB, Gdb, quick_start

if TYPE_CHECKING:
    from pathlib import Path

    from support.cli import Cli

pytestmark = [pytest.mark.vm, pytest.mark.gdb]

LOOK = ("bt", "info locals", "info registers", "x/4i $pc", "print *file", "info sharedlibrary", "x/2gx $rsp")


def without_place(text: str) -> str:
    """Without the directory in which a session keeps modules for gdb."""
    return re.sub(r"\S*/sessions/[^/]*/", "", text)


FIRST, OTHER = (case.values[0] for case in EVERY_KERNEL_ONE_GDB)


@pytest.mark.parametrize(
    ("kernel", "gdb"), [pytest.param(*FIRST, id="6.1"), pytest.param(*OTHER, id="6.12", marks=pytest.mark.soak)]
)
def test_a_stop_is_looked_at_again_with_the_machine_gone(
    cli: Cli, simple: Path, tmp_path: Path, kernel: str, gdb: str
) -> None:
    path = gdb()
    file = tmp_path / "bug.rec"
    served = cli.serve(str(simple), "--kernel", kernel, "--record", str(file))
    assert "exists already" in cli.bad("run", "--no-gdb", "--record", str(file), code=2)
    vmlinux = cli.facts("status")["target"]["vmlinux"]
    cli.good("load", "simple")
    with Gdb(path, *quick_start(path), vmlinux, "-ex", served.target_line) as live:
        live("break simple_read")
        live.send("continue")
        reader = cli.start("exec", "cat /dev/simple")
        assert "hit Breakpoint 1, simple_read" in live.wait()
        seen = [without_place(text) for text in live.all(LOOK)]
        stepped = live("next")
        live("detach")
    reader.wait(30)
    cli.good("stop")

    assert file.stat().st_mode & 0o777 == 0o600
    command = ("replay", str(file), "--vmlinux", vmlinux, "--modules", str(simple), "--no-gdb")
    process = cli.start(*command)
    assert process.stdout is not None
    assert process.stderr is not None
    lines = process.stdout.readline(), process.stdout.readline()
    with Gdb(path, *quick_start(path), vmlinux, "-ex", lines[1].strip()) as again:
        again("break simple_read")
        said = again("continue")
        while "hit Breakpoint 1, simple_read" not in said:  # the stops that nobody was shown, or that gdb made itself
            said = again("continue")
        assert [without_place(text) for text in again.all(LOOK)] == seen
        assert "Cannot access memory" in again("x/gx $rsp + 65536")
        assert again("next") == stepped
        assert "not recorded at stop" in process.stderr.readline()
    process.terminate()
    process.wait(30)


def test_without_symbols_it_is_a_bare_stub_for_any_gdb(cli: Cli, repository: Path) -> None:
    file = repository / "tests" / "recordings" / "linux-6.1-breakpoint.rec"
    process = cli.start("replay", str(file), "--stop", "2")
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    words = ["-ex", "set architecture i386:x86-64", "-ex", line, "-ex", "print/x $pc", "-ex", "detach"]
    result = subprocess.run(["gdb", "-nx", "-q", "-batch", *words], capture_output=True, text=True, check=False)
    assert "$1 = 0xffffffff" in result.stdout
