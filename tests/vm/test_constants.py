# SPDX-License-Identifier: Apache-2.0
"""What is taken from a verified file stands in the running kernel's memory just so, wherever the kernel is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.kernel.constants import STRINGS, Constants
from support.gdb import EVERY_KERNEL_ONE_GDB

if TYPE_CHECKING:
    from conftest import Bench
    from nullmodem.session.session import Session

pytestmark = [pytest.mark.vm]

PIECE, SAMPLES = 64, 300


def compared(session: Session) -> tuple[int, list[str]]:
    """Pieces from all over the constants: how many were the same, and which were not."""
    kernel = session.world.kernel
    constants = Constants(kernel.vmlinux, kernel.slide)
    whole = kernel.vmlinux.section_ranges[".rodata"].shifted(kernel.slide)
    same, other = 0, []
    for address in range(whole.start, whole.end - PIECE, whole.size // SAMPLES):
        known = constants.read(address, PIECE)
        if known is not None and known == session.stub.read_memory(address, PIECE):
            same += 1
        elif known is not None:
            other.append(kernel.describe(address))
    return same, other


def strings(session: Session) -> list[bool]:
    """Of each module's strings: whether they are known, and the same in memory."""
    modules, most = session.world.modules, session.stub.arch.max_read
    return [
        modules.constant(loaded.address, loaded.section.size)
        == session.stub.read_memory(loaded.address, loaded.section.size)
        for module in modules.all
        for loaded in module.sections
        if loaded.present and loaded.section.name.startswith(STRINGS) and loaded.section.size < most
    ]


@pytest.mark.parametrize("booted", EVERY_KERNEL_ONE_GDB, indirect=True)
def test_constants_are_in_memory_what_they_are_in_the_file(shared_bench: Bench) -> None:
    live = shared_bench.machine.live
    shared_bench.build("simple")
    shared_bench.machine.load("simple").wait()
    live.interrupt()
    live.wait_for_stop(30)
    same, other = live.look_into(compared)
    assert other == []
    assert same > SAMPLES // 2
    found = live.look_into(strings)
    assert found
    assert all(found)
    live.go()
