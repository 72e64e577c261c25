# SPDX-License-Identifier: Apache-2.0
"""A target that was reset while its line was away, and looks much as it did: is it the same boot?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import Lost, State
from support.cable import Cable
from support.cabled import cable, code, quick, said, stopped_gdb
from support.fakekernel import FakeKernel, build_kernel
from support.rig import SlottedMachine, next_event, rig_on
from support.rigged import kernel_file, rig

if TYPE_CHECKING:
    from pathlib import Path

    from support.rig import Rig

__all__ = ["cable", "kernel_file", "quick", "rig"]


def reset_to_the_same_place(rig: Rig) -> None:
    """Another boot, loaded where the last one was, waits for a debugger as ``kgdbwait`` has it."""
    rig.machine.drop_breakpoints()
    rig.fake.connected = False
    rig.machine.cpus[0].registers["rip"] = rig.break_pc


def test_another_boot_is_told_from_the_last_one_where_both_were_loaded_to_the_same_place(
    rig: Rig, cable: Cable
) -> None:
    stopped_gdb(rig)
    cable.pull()
    reset_to_the_same_place(rig)
    assert isinstance(rig.machine, SlottedMachine)
    rig.machine.empty_slots()
    before = len(rig.fake.requests)
    cable.plug()
    lost = next_event(rig.events, Lost)
    assert isinstance(lost, Lost)
    assert lost.reason == "the target has rebooted while the line was away"
    assert rig.fake.running
    assert rig.fake.requests[-1] == b"D"
    assert not [request for request in rig.fake.requests[before:] if request[:1] in b"ZMPcs"]


def test_where_boots_cannot_be_told_apart_nothing_of_before_is_written_back(tmp_path: Path) -> None:
    with rig_on(FakeKernel(build_kernel(tmp_path / "kernel", "NO_SLOTS")), tmp_path) as rig:
        state = with_event(rig)
        cable = Cable(rig)
        stopped_gdb(rig)
        at = Breakpoint(BreakpointKind.HARDWARE, code(rig), 1)
        client = rig.live.attach("hardware")
        rig.live.insert(client, at)
        assert rig.memory.read(state, 4) == ACTIVE
        cable.pull()
        reset_to_the_same_place(rig)
        rig.memory.write(state, b"else")
        cable.plug()
        said(rig, "does not stand where it stood")
        rig.until(State.STOPPED)
        rig.live.close(release=True)
        assert rig.fake.running
        assert rig.memory.read(state, 4) == b"else"
        cable.close()


ACTIVE = b"\1\0\0\0"


def with_event(rig: Rig) -> int:
    """Have kgdb's perf event for the first debug register in memory, off. Returns where its state stands."""
    kernel, event, pointer = rig.kernel, 0xFFFF_8880_0200_0000, 0xFFFF_8880_0300_0000
    rig.memory.add(event, bytes(kernel.types.size("struct perf_event")))
    rig.memory.add(pointer, event.to_bytes(8, "little"))
    kernel.set(rig.memory, "struct perf_event", event, {"state": -1})
    kernel.set(rig.memory, "struct hw_breakpoint", kernel.symbol("breakinfo"), {"pev": pointer})
    return event + kernel.types.offset("struct perf_event", "state")
