# SPDX-License-Identifier: Apache-2.0
"""Files that are not what runs are refused with a message that says so, and nothing else suffers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.boot import BootOptions, boot
from nullmodem.errors import IdentityError
from nullmodem.kbuild import ensure_kernel
from nullmodem.session.model import ModuleProblem
from nullmodem.symbols.vmlinux import Vmlinux

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Bench

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.one_pair]


def test_a_module_that_was_rebuilt_and_not_reloaded_is_refused(shared_bench: Bench) -> None:
    bench = shared_bench
    source = bench.module_source("lines")
    built = bench.machine.build(source)
    path = bench.machine.target.push(built.ko)
    text = next(source.glob("*.c"))
    text.write_text("/* one line more */\n" + text.read_text())
    bench.machine.build(source)
    bench.sh(f"insmod {path}")

    module = bench.machine.live.module("lines")
    assert module.problem is ModuleProblem.MISMATCH
    assert module.instance is None
    assert "build" in module.explanation
    gdb = bench.gdb()
    assert "lines.ko" not in gdb("info sharedlibrary")
    said = gdb("monitor modules")
    assert "the file is another build" in said
    assert str(built.ko) in said
    gdb("detach")
    bench.sh("rmmod lines")


def test_a_module_without_a_file_is_listed_with_its_addresses_and_a_note(shared_bench: Bench, tmp_path: Path) -> None:
    bench = shared_bench
    source = bench.module_source("noinit")
    built = bench.machine.build(source)
    path = bench.machine.target.push(built.ko)
    for file in built.modules:
        file.unlink()
    bench.build("simple")
    bench.sh(f"insmod {path}")

    module = bench.machine.live.module("noinit")
    assert module.problem is ModuleProblem.NO_FILE
    assert module.loaded.text
    gdb = bench.gdb()
    said = gdb("monitor loadmap noinit")
    assert f"{module.loaded.text[0].start:#x}" in said
    assert "no noinit.ko was found" in said
    gdb("break simple_init")
    stopped, insmod = bench.load(gdb, "simple")
    assert "simple_init () at" in stopped
    bench.finish(gdb, insmod)
    bench.interrupt(gdb)
    gdb("detach")
    bench.sh("rmmod simple noinit")


@pytest.mark.parametrize("version", ["6.1", pytest.param("6.12", marks=pytest.mark.soak)])
def test_a_vmlinux_of_another_build_is_refused_and_says_both(version: str, tmp_path: Path) -> None:
    kernel = ensure_kernel(version)
    other = tmp_path / "vmlinux"
    shutil.copyfile(kernel.vmlinux, other)
    identity = Vmlinux.open(other).build_id
    assert identity is not None
    with other.open("r+b") as file:
        file.seek(other.read_bytes().find(identity))
        file.write(bytes(byte ^ 0xFF for byte in identity))
    with pytest.raises(IdentityError, match=r"is not the running kernel") as caught:
        boot("other", BootOptions(kernel=replace(kernel, vmlinux=other)), tmp_path / "work")
    assert "running: Linux version" in str(caught.value)
