# SPDX-License-Identifier: Apache-2.0
"""Which vmlinux files may be a target's, when none was named."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.attach import AttachOptions
from nullmodem.api.attach_plan import AttachPlan, options_of
from nullmodem.api.which_kernel import MOST, possible_kernels, running_one
from nullmodem.errors import UsageError, WireError
from nullmodem.wire.spec import parse_wire
from support.fakekernel import build_kernel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two builds."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    return build_kernel(one, "MEM"), build_kernel(two)


def test_each_build_is_found_once_and_what_is_given_comes_first(kernels: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = kernels
    given, debug, modules = (tmp_path / name for name in ("given", "debug", "modules"))
    for directory in (given, debug / "boot", debug / "lib" / "modules" / "6.1.0-1", modules / "6.1.0-1" / "build"):
        directory.mkdir(parents=True)
    shutil.copy(two, given / "vmlinux-6.2")
    (given / "vmlinux").write_bytes(b"\x1f\x8b compressed")
    (given / "vmlinux-directory").mkdir()
    shutil.copy(one, debug / "boot" / "vmlinux-6.1.0-1")
    (modules / "6.1.0-1" / "build" / "vmlinux").symlink_to(one)
    usual = ((debug, ("boot/vmlinux-*", "lib/modules/*/vmlinux")), (modules, ("*/build/vmlinux",)))
    assert possible_kernels((given,), usual) == (given / "vmlinux-6.2", debug / "boot" / "vmlinux-6.1.0-1")
    assert possible_kernels((), usual) == (debug / "boot" / "vmlinux-6.1.0-1",)
    assert possible_kernels((tmp_path / "nowhere",), ()) == ()


def test_the_only_one_is_taken_unasked_and_a_named_one_always(kernels: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = kernels
    line = tmp_path / "line"
    plan = AttachPlan(f"unix:{line}", modules=(one.parent,))
    assert options_of(plan).vmlinux == one  # nobody is at the line to be asked
    assert options_of(replace(plan, vmlinux=two)).vmlinux == two
    with pytest.raises(WireError, match="line"):
        options_of(replace(plan, modules=(one.parent, two.parent)))


def test_more_than_can_be_tried_are_listed(tmp_path: Path) -> None:
    files = [tmp_path / f"vmlinux-{number}" for number in range(MOST + 1)]
    with pytest.raises(UsageError, match="too many to try") as many:
        running_one(files, AttachOptions(parse_wire(f"unix:{tmp_path}/line"), files[0]))
    assert str(files[-1]) in many.value.message
    assert "--vmlinux" in many.value.hint
