# SPDX-License-Identifier: Apache-2.0
"""Which processors go on without the debug registers that the stub has set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import StopReason
from nullmodem.session.slots import Slots
from nullmodem.session.stale_registers import StaleRegisters
from nullmodem.session.stepping import ContinuePlan, StepPlan
from support.minicpu import DEC, INC, PAGE, SELF, TEXT, MiniCpus, addresses, machine, store
from support.runner import track_on

if TYPE_CHECKING:
    from nullmodem.session.slots import Layout

FIRST, SECOND = 101, 102
HERE, THERE = 0xFFFF_FFFF_C000_1000, 0xFFFF_FFFF_C000_2000
EXECUTE: Layout = ((BreakpointKind.HARDWARE, 1),)
WRITE: Layout = ((BreakpointKind.WRITE, 4),)


class Set:
    """The stub's debug registers, and processors in debug exceptions. Counts how often these are looked for."""

    def __init__(self) -> None:
        self.inside: dict[int, int] = {}
        self.looks = 0
        self.slots = Slots(self)
        self.registers = StaleRegisters(self.slots)
        self.registers.settle = self._settle

    def _settle(self) -> dict[int, int]:
        self.looks += 1
        return dict(self.inside)

    def insert(self, kind: BreakpointKind, address: int, length: int) -> None: ...
    def remove(self, kind: BreakpointKind, address: int, length: int) -> None: ...
    def forget_breakpoints(self) -> None: ...

    def has(self, layout: Layout) -> None:
        """From here on the stub has these."""
        self.slots.forgotten()
        for number, (kind, length) in enumerate(layout):
            self.slots.insert(kind, HERE + 16 * number, length)

    def leave(self, *, trapped: bool = False) -> set[int]:
        return set(self.registers.before_leaving(trapped=trapped))


@pytest.fixture
def stub() -> Set:
    return Set()


def test_where_nothing_was_on_nothing_is_put_back(stub: Set) -> None:
    stub.inside = {0: HERE}
    stub.has(WRITE)
    assert stub.leave(trapped=True) == set()
    assert stub.leave(trapped=True) == set()
    assert stub.looks == 0


def test_who_is_in_an_exception_when_the_registers_change_is_run_onto_a_trap_until_it_is_out(stub: Set) -> None:
    stub.has(EXECUTE)
    stub.leave()
    stub.inside = {0: HERE, 1: THERE}
    stub.has(WRITE)
    assert stub.leave(trapped=True) == {HERE, THERE}
    assert stub.leave(trapped=True) == {HERE, THERE}, "another one's stop came first"
    stub.inside = {0: HERE}
    assert stub.leave() == {HERE}
    stub.inside = {}
    assert stub.leave() == set()
    looks = stub.looks
    assert stub.leave() == set()
    assert stub.looks == looks


def test_who_comes_into_an_exception_later_has_them(stub: Set) -> None:
    stub.has(EXECUTE)
    stub.leave()
    stub.inside = {0: HERE}
    stub.has(WRITE)
    assert stub.leave() == {HERE}
    stub.inside = {0: HERE, 1: THERE}
    assert stub.leave() == {HERE}
    assert not stub.registers.reports_late(THERE)


def test_who_has_more_than_are_set_lacks_none_but_reports_what_was_taken_out(stub: Set) -> None:
    stub.has((*EXECUTE, *WRITE))
    stub.leave()
    stub.inside = {1: THERE}
    stub.has(EXECUTE)
    assert stub.leave() == set()
    assert stub.registers.reports_late(THERE)
    assert not stub.registers.reports_late(HERE)
    stub.has(WRITE)
    assert stub.leave() == {THERE}


def test_what_another_session_has_left_on_is_not_known(stub: Set) -> None:
    stub.registers.alone = lambda: True
    stub.registers.met(used=True)
    assert stub.registers.were_used
    stub.inside = {0: HERE}
    stub.has(EXECUTE)
    assert stub.leave() == {HERE}


def test_one_processor_alone_that_is_in_no_exception_is_not_looked_at(stub: Set) -> None:
    stub.registers.alone = lambda: True
    stub.has(EXECUTE)
    stub.leave()
    stub.has(WRITE)
    assert stub.leave() == set()
    assert stub.looks == 0
    stub.inside = {0: HERE}
    stub.has(EXECUTE)
    assert stub.leave(trapped=True) == {HERE}
    assert stub.leave() == set()
    assert stub.looks == 1


@pytest.mark.parametrize("writer", [0, 1])
def test_a_watchpoint_is_seen_by_who_was_taken_back_in_before_it_had_left(writer: int) -> None:
    """Another processor, which a debug register had stopped, waited for its stop to be over."""
    code = (DEC, INC, store(TEXT + PAGE, TEXT + 6), SELF)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[1]), data=PAGE)
    with track_on(cpu, cpus := MiniCpus(cpu, schedule=(0, 0, 0, writer))) as track:
        track.runner.guard.ready, track.table.park = lambda: True, TEXT + 0x800
        software = Breakpoint(BreakpointKind.SOFTWARE, at[1], 1)
        track.table.want("gdb", software)
        assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, at[1])
        track.table.unwant("gdb", software)
        assert track.go(StepPlan(FIRST, alone=True)) == (StopReason.STEP, at[2])
        cpus.report_late(1)
        track.table.want("gdb", Breakpoint(BreakpointKind.WRITE, TEXT + PAGE, 8))
        seen = [track.go(ContinuePlan()), track.go(ContinuePlan())]
        assert seen == [(StopReason.TRAP, at[3])] * 2
        assert [processor.executed.count(at[2]) for processor in cpus.processors] == [1, 1]
