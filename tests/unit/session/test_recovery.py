# SPDX-License-Identifier: Apache-2.0
"""Processors that ran into a breakpoint of a killed session, and wait to report it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.recovery import stand_others_back
from support.fakekernel import FOR_ITSELF, ROUNDED_UP
from support.rig import PATIENCE_SECONDS, STACK
from support.rigged import kernel_file, rig

if TYPE_CHECKING:
    from support.rig import Rig

__all__ = ["kernel_file", "rig"]

REGISTERS = STACK + 0x3E00
TRAP = b"\xcc"


class Other:
    """The second processor, on its way out of an exception."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._place = REGISTERS + rig.kernel.types.offset("struct pt_regs", "ip")

    def stands(self, pc: int, state: int) -> None:
        """It was taken into the debugger there."""
        rig = self._rig
        rig.kernel.poke(rig.memory, rig.kernel.symbol("kgdb_active"), 0, 4)
        rig.kernel.enter_debugger(rig.memory, 1, REGISTERS, state)
        rig.machine.write(self._place, pc.to_bytes(8, "little"))
        rig.live.interrupt()
        rig.live.wait_for_stop(PATIENCE_SECONDS)

    @property
    def pc(self) -> int:
        found = self._rig.machine.read(self._place, 8)
        assert found is not None
        return int.from_bytes(found, "little")

    def set_back(self, *armed: Breakpoint) -> None:
        self._rig.live.look_into(lambda session: stand_others_back(session, armed))


@pytest.fixture
def other(rig: Rig) -> Other:
    return Other(rig)


@pytest.fixture
def at(rig: Rig) -> int:
    return rig.kernel.symbol("module_event") + 4


def soft(address: int) -> Breakpoint:
    return Breakpoint(BreakpointKind.SOFTWARE, address, 1)


def test_one_is_set_back_onto_the_instruction_that_it_has_not_executed(other: Other, at: int) -> None:
    other.stands(at + 1, FOR_ITSELF)
    other.set_back(soft(at))
    assert other.pc == at


def test_one_that_was_only_taken_along_is_where_it_is(other: Other, at: int) -> None:
    other.stands(at + 1, ROUNDED_UP)
    other.set_back(soft(at))
    assert other.pc == at + 1


def test_one_that_stopped_elsewhere_or_by_a_debug_register_is_where_it_is(other: Other, at: int) -> None:
    other.stands(at + 1, FOR_ITSELF)
    other.set_back(soft(at + 1), Breakpoint(BreakpointKind.HARDWARE, at, 1))
    assert other.pc == at + 1


def test_one_behind_a_trap_that_is_compiled_in_goes_on_behind_it(rig: Rig, other: Other) -> None:
    trap = rig.break_pc - len(TRAP)
    other.stands(rig.break_pc, FOR_ITSELF)
    other.set_back(soft(trap))
    assert other.pc == rig.break_pc
