# SPDX-License-Identifier: Apache-2.0
"""The main job: gdb stands on the first line of a module's init, and goes on from there line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = [pytest.mark.vm, pytest.mark.gdb]


def test_a_pending_breakpoint_stops_on_the_first_line_of_init(bench: Bench) -> None:
    bench.build("simple")
    gdb = bench.gdb()
    assert "pending" in gdb("break simple_init")
    said, insmod = bench.load(gdb, "simple")
    assert "Breakpoint 1, simple_init () at" in said
    assert "simple.c:" in said
    assert gdb("print simple_device.minor").startswith("$1 = ")
    frames = gdb("bt")
    assert "simple_init ()" in frames
    assert "do_one_initcall (fn=" in frames
    assert "<simple_init>" in frames
    assert "do_init_module (mod=" in frames
    name = gdb("frame function do_init_module")
    assert "do_init_module" in name
    assert '"simple"' in gdb("print mod->name")
    gdb("frame 0")
    before = _line(gdb("frame"))
    assert _line(gdb("next")) > before
    gdb("next")
    assert "Value returned is" in gdb("finish")
    bench.finish(gdb, insmod)
    assert "simple" in bench.sh("lsmod")


def _line(text: str) -> int:
    """The number of the source line gdb shows."""
    return int(text.splitlines()[-1].split()[0])
