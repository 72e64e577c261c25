# SPDX-License-Identifier: Apache-2.0
"""Finding what processors put back into their debug registers, and should not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import MemoryFault
from nullmodem.kernel.debug_leftovers import DebugLeftovers
from support.fakekernel import SLIDE, FakeKernel

if TYPE_CHECKING:
    from nullmodem.testing.memory import FakeMemory

AREAS = {0: 0xFFFF_8880_0F60_0000, 2: 0xFFFF_8880_0F80_0000}
VARIABLES = ("bp_per_reg", "cpu_debugreg", "nmi_dr7")
EVENT = 0xFFFF_8880_0200_0000
PLACE = 0xFFFF_FFFF_C000_1000


def per_cpu(kernel: FakeKernel, name: str, cpu: int) -> int:
    return kernel.symbol(name, 0) + AREAS[cpu]


def with_registers(kernel: FakeKernel) -> FakeMemory:
    """Memory with the variables of each processor, all of them 0."""
    memory = kernel.memory()
    for cpu, area in AREAS.items():
        kernel.poke(memory, kernel.symbol("__per_cpu_offset") + 8 * cpu, area)
        for name in VARIABLES:
            memory.add(per_cpu(kernel, name, cpu), bytes(32))
    return memory


def leftovers(kernel: FakeKernel) -> DebugLeftovers:
    return DebugLeftovers(kernel.types, kernel.vmlinux, SLIDE)


def test_an_address_without_an_event_and_a_control_register_are_found(layouts: FakeKernel) -> None:
    memory = with_registers(layouts)
    assert leftovers(layouts).find(memory) == ()
    kept, control = per_cpu(layouts, "cpu_debugreg", 0) + 8, per_cpu(layouts, "nmi_dr7", 2)
    layouts.poke(memory, kept, PLACE)
    layouts.poke(memory, control, 0x401)
    assert leftovers(layouts).find(memory) == (kept, control)


def test_an_address_with_an_event_is_somebody_elses(layouts: FakeKernel) -> None:
    memory = with_registers(layouts)
    layouts.poke(memory, per_cpu(layouts, "cpu_debugreg", 2), PLACE)
    layouts.poke(memory, per_cpu(layouts, "bp_per_reg", 2), EVENT)
    assert leftovers(layouts).find(memory) == ()


def test_where_processors_keep_their_variables_is_read_once(layouts: FakeKernel) -> None:
    memory = with_registers(layouts)
    found = leftovers(layouts)
    found.find(memory)
    layouts.poke(memory, layouts.symbol("__per_cpu_offset"), 0)
    assert found.find(memory) == ()


def test_what_cannot_be_read_is_a_fault(layouts: FakeKernel) -> None:
    with pytest.raises(MemoryFault):
        leftovers(layouts).find(layouts.memory())


def test_a_kernel_without_such_variables_is_told_apart(notes: FakeKernel) -> None:
    with pytest.raises(LookupError, match="bp_per_reg"):
        leftovers(notes)
