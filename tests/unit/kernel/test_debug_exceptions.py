# SPDX-License-Identifier: Apache-2.0
"""Finding the processors that are in a debug exception."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import MemoryFault
from nullmodem.kernel.debug_exceptions import DebugExceptions, Excepted
from support.fakekernel import FOR_ITSELF, ROUNDED_UP, SLIDE, FakeKernel

if TYPE_CHECKING:
    from nullmodem.testing.memory import FakeMemory

AREAS = {0: 0xFFFF_8880_0F60_0000, 2: 0xFFFF_8880_0F80_0000}
STACKS = {0: 0xFFFF_FE00_0000_A000, 2: 0xFFFF_FE00_0004_A000}
KERNEL_CODE = 0x10
PLACE = 0xFFFF_FFFF_C000_1000
ELSEWHERE = 0xFFFF_C900_0000_1000


class Processors:
    """Two of them, and where their exceptions' stacks are."""

    def __init__(self, kernel: FakeKernel) -> None:
        self.kernel = kernel
        self.memory: FakeMemory = kernel.memory()
        self.found = DebugExceptions(kernel.types, kernel.vmlinux, SLIDE)
        self._stack = kernel.types.offset("struct cea_exception_stacks", "DB_stack")
        self._size = kernel.types.member_size("struct cea_exception_stacks", "DB_stack")
        for cpu, area in AREAS.items():
            kernel.poke(self.memory, kernel.symbol("__per_cpu_offset") + 8 * cpu, area)
            pointer = kernel.symbol("cea_exception_stacks", 0) + area
            self.memory.add(pointer, STACKS[cpu].to_bytes(8, "little"))
            self.memory.add(STACKS[cpu], bytes(kernel.types.size("struct cea_exception_stacks")))
        self.memory.add(ELSEWHERE, bytes(4096))

    def top(self, cpu: int) -> int:
        """Where the registers of what a debug exception has interrupted are."""
        return STACKS[cpu] + self._stack + self._size - self.kernel.types.size("struct pt_regs")

    def interrupted(self, cpu: int, pc: int) -> None:
        self.kernel.set(self.memory, "struct pt_regs", self.top(cpu), {"ip": pc, "cs": KERNEL_CODE})

    def came(self, cpu: int, registers: int, state: int = ROUNDED_UP) -> None:
        """Into the debugger, with its registers there."""
        self.kernel.enter_debugger(self.memory, cpu, registers, state)


@pytest.fixture
def processors(layouts: FakeKernel) -> Processors:
    return Processors(layouts)


def test_one_that_has_stopped_by_a_debug_exception_is_in_one(processors: Processors) -> None:
    processors.came(0, processors.top(0), FOR_ITSELF)
    processors.interrupted(0, PLACE)
    processors.came(2, ELSEWHERE)
    assert processors.found.find(processors.memory) == {0: Excepted(PLACE, own=True)}


def test_one_that_an_nmi_took_in_before_it_had_left_is_in_one(processors: Processors) -> None:
    processors.came(0, ELSEWHERE + 0x400)
    processors.came(2, ELSEWHERE)
    processors.kernel.set(processors.memory, "struct pt_regs", ELSEWHERE, {"sp": processors.top(2) - 0x80})
    processors.interrupted(2, PLACE)
    assert processors.found.find(processors.memory) == {2: Excepted(PLACE, own=False)}


def test_registers_that_are_not_where_they_were_are_no_registers(processors: Processors) -> None:
    processors.came(0, processors.top(0) - 16)
    processors.kernel.set(processors.memory, "struct pt_regs", processors.top(0) - 16, {"ip": PLACE, "cs": KERNEL_CODE})
    assert processors.found.find(processors.memory) == {}


def test_one_that_has_not_come_is_in_none(processors: Processors) -> None:
    assert processors.found.find(processors.memory) == {}


def test_where_the_stacks_are_is_read_once(processors: Processors) -> None:
    processors.came(0, processors.top(0))
    processors.interrupted(0, PLACE)
    processors.found.find(processors.memory)
    for cpu in AREAS:
        processors.kernel.poke(processors.memory, processors.kernel.symbol("__per_cpu_offset") + 8 * cpu, 0)
    assert processors.found.find(processors.memory) == {0: Excepted(PLACE, own=False)}


def test_what_cannot_be_read_is_a_fault(layouts: FakeKernel) -> None:
    with pytest.raises(MemoryFault):
        DebugExceptions(layouts.types, layouts.vmlinux, SLIDE).find(layouts.memory())


def test_a_kernel_without_such_a_stack_is_told_apart(notes: FakeKernel) -> None:
    with pytest.raises(LookupError, match="cea_exception_stacks"):
        DebugExceptions(notes.types, notes.vmlinux, SLIDE)
