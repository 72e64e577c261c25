# SPDX-License-Identifier: Apache-2.0
"""What a kernel's own list of the stub's breakpoints tells of who has set them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.kernel.kept_breakpoints import KeptBreakpoints
from support.fakekernel import SLIDE, FakeKernel

if TYPE_CHECKING:
    from nullmodem.testing.memory import FakeMemory

OURS, THEIRS = 0xFFFF_FFFF_8123_4560, 0xFFFF_FFFF_8999_0000


def with_slots(kernel: FakeKernel, *addresses: int) -> FakeMemory:
    """Memory of a kernel whose first slots were used for these."""
    memory = kernel.memory()
    size = kernel.types.size("struct kgdb_bkpt")
    for number, address in enumerate(addresses):
        kernel.poke(memory, kernel.symbol("kgdb_break") + number * size, address)
    return memory


@pytest.mark.parametrize("before", [0, 1, 20, 21, 999])
def test_one_of_ours_is_found_in_whatever_slot(layouts: FakeKernel, before: int) -> None:
    memory = with_slots(layouts, *([THEIRS] * before), OURS)
    kept = KeptBreakpoints(layouts.types, layouts.vmlinux, SLIDE)
    assert kept.include(memory, {OURS, OURS + 4})
    assert len(memory.reads) == before // 21 + 1
    assert all(length <= 511 for _address, length in memory.reads)


@pytest.mark.parametrize("before", [0, 5, 21, 1000])
def test_in_another_boot_none_is_and_the_first_empty_slot_tells(layouts: FakeKernel, before: int) -> None:
    memory = with_slots(layouts, *([THEIRS] * before))
    assert not KeptBreakpoints(layouts.types, layouts.vmlinux, SLIDE).include(memory, {OURS})
    assert len(memory.reads) == min(before // 21 + 1, 48)


def test_a_kernel_without_such_slots_says_so(notes: FakeKernel) -> None:
    with pytest.raises(LookupError, match="kgdb_break"):
        KeptBreakpoints(notes.types, notes.vmlinux, SLIDE)
