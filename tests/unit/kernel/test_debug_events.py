# SPDX-License-Identifier: Apache-2.0
"""Finding the perf events that kgdb has made for the debug registers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import MemoryFault
from nullmodem.kernel.debug_events import DebugEvents
from support.fakekernel import SLIDE, FakeKernel

if TYPE_CHECKING:
    from nullmodem.testing.memory import FakeMemory

AREAS = {0: 0xFFFF_8880_0F60_0000, 2: 0xFFFF_8880_0F80_0000}
EVENTS = 0xFFFF_8880_0200_0000
PER_CPU = 0x26268
OFF, ACTIVE, ERROR = -1, 1, -2


def with_events(kernel: FakeKernel, *, slots: int = 4) -> tuple[FakeMemory, dict[int, int]]:
    """Memory with the events of ``slots`` debug registers on each processor, and where their states stand."""
    memory = kernel.memory()
    states = {}
    size = kernel.types.size("struct perf_event")
    for cpu, area in AREAS.items():
        kernel.poke(memory, kernel.symbol("__per_cpu_offset") + 8 * cpu, area)
        memory.add(area + PER_CPU, bytes(8 * slots))
    for slot in range(slots):
        entry = kernel.symbol("breakinfo") + slot * kernel.types.size("struct hw_breakpoint")
        kernel.set(memory, "struct hw_breakpoint", entry, {"pev": PER_CPU + 8 * slot})
        for area in AREAS.values():
            event = EVENTS + len(states) * 4096
            memory.add(event, bytes(size))
            kernel.set(memory, "struct perf_event", event, {"state": OFF})
            kernel.poke(memory, area + PER_CPU + 8 * slot, event)
            states[event + kernel.types.offset("struct perf_event", "state")] = OFF
    return memory, states


def test_the_state_of_every_event_of_every_online_processor_is_found(layouts: FakeKernel) -> None:
    memory, states = with_events(layouts)
    first, *_ = states
    layouts.poke(memory, first, ERROR, 4)
    events = DebugEvents(layouts.types, layouts.vmlinux, SLIDE)
    found = events.states(memory, 16)
    assert set(found) == set(states)
    assert found.pop(first) == ERROR.to_bytes(4, "little", signed=True)
    assert set(found.values()) == {events.off}
    assert events.active == ACTIVE.to_bytes(4, "little")


def test_registers_for_which_no_events_were_made_are_passed_over(layouts: FakeKernel) -> None:
    memory, states = with_events(layouts, slots=1)
    assert set(DebugEvents(layouts.types, layouts.vmlinux, SLIDE).states(memory, 16)) == set(states)
    layouts.poke(memory, AREAS[2] + PER_CPU, 0)
    assert len(DebugEvents(layouts.types, layouts.vmlinux, SLIDE).states(memory, 16)) == 1
    assert not DebugEvents(layouts.types, layouts.vmlinux, SLIDE).states(layouts.memory(), 16)


def test_an_event_that_cannot_be_read_is_a_fault(layouts: FakeKernel) -> None:
    memory, _ = with_events(layouts)
    layouts.poke(memory, AREAS[0] + PER_CPU, 0xFFFF_8880_0700_0000)
    with pytest.raises(MemoryFault):
        DebugEvents(layouts.types, layouts.vmlinux, SLIDE).states(memory, 16)


def test_a_kernel_without_such_events_is_told_apart(notes: FakeKernel) -> None:
    with pytest.raises(LookupError, match="breakinfo"):
        DebugEvents(notes.types, notes.vmlinux, SLIDE)
