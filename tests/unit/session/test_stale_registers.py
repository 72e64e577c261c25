# SPDX-License-Identifier: Apache-2.0
"""Which processors go on without the debug registers that the stub has set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import WireTimeout
from nullmodem.kernel.debug_exceptions import Excepted
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
HERE, THERE, ELSEWHERE = 0xFFFF_FFFF_C000_1000, 0xFFFF_FFFF_C000_2000, 0xFFFF_FFFF_C000_3000
EXECUTE: Layout = ((BreakpointKind.HARDWARE, 1),)
WRITE: Layout = ((BreakpointKind.WRITE, 4),)


class Set:
    """The stub's debug registers, and processors in debug exceptions: None when that cannot be told. Those that are
    ``leaving`` have reported their stops. Counts how often they are looked for."""

    def __init__(self) -> None:
        self.inside: dict[int, int] | None = {}
        self.leaving: set[int] = set()
        self.here = 0
        self.looks = 0
        self.slots = Slots(self)
        self.registers = StaleRegisters(self.slots)
        self.registers.settle = self._settle
        self.registers.here = lambda: self.here

    def _settle(self) -> dict[int, Excepted] | None:
        self.looks += 1
        if self.inside is None:
            return None
        return {cpu: Excepted(pc, own=cpu not in self.leaving) for cpu, pc in self.inside.items()}

    def insert(self, kind: BreakpointKind, address: int, length: int) -> None: ...
    def remove(self, kind: BreakpointKind, address: int, length: int) -> None: ...
    def forget_breakpoints(self) -> None: ...

    def has(self, layout: Layout) -> None:
        """From here on the stub has these."""
        self.slots.forgotten()
        for number, (kind, length) in enumerate(layout):
            self.slots.insert(kind, HERE + 16 * number, length)

    def leave(self, pc: int = ELSEWHERE, *, trapped: bool = False, here: int = 0) -> set[int]:
        """Processor ``here`` goes on there."""
        self.here = here
        return set(self.registers.before_leaving(pc, trapped=trapped))


@pytest.fixture
def stub() -> Set:
    return Set()


def change(stub: Set, inside: dict[int, int], *, trapped: bool = True) -> set[int]:
    """Run with an execution breakpoint on, then with a watchpoint in its place: who lacks that one."""
    stub.has(EXECUTE)
    stub.leave()
    stub.inside = inside
    stub.has(WRITE)
    return stub.leave(inside.get(0, ELSEWHERE), trapped=trapped)


def test_where_nothing_was_on_nothing_is_put_back(stub: Set) -> None:
    stub.inside = {0: HERE}
    stub.has(WRITE)
    assert stub.leave(HERE, trapped=True) == set()
    assert stub.leave(HERE, trapped=True) == set()
    assert stub.looks == 0


def test_who_is_in_an_exception_when_the_registers_change_is_run_onto_a_trap_until_it_is_out(stub: Set) -> None:
    assert change(stub, {0: HERE, 1: THERE}) == {HERE, THERE}
    assert stub.leave(THERE, trapped=True, here=1) == {HERE, THERE}, "it was let in before the first one had left"
    assert stub.leave(HERE) == {THERE}
    stub.inside = {}
    assert stub.leave(THERE, here=1) == set()
    looks = stub.looks
    assert stub.leave() == set()
    assert stub.looks == looks


def test_who_runs_into_another_ones_trap_is_not_kept_there(stub: Set) -> None:
    assert change(stub, {1: THERE}, trapped=False) == {THERE}
    assert stub.leave(THERE) == set()
    assert stub.leave(ELSEWHERE) == {THERE}


def test_who_comes_into_an_exception_later_has_them(stub: Set) -> None:
    assert change(stub, {0: HERE}) == {HERE}
    stub.inside = {0: HERE, 1: THERE}
    assert stub.leave(ELSEWHERE, here=2) == {HERE}
    stub.here = 1
    assert not stub.registers.reports_late(THERE)


def test_what_waited_while_a_register_was_taken_out_is_reported_late_once(stub: Set) -> None:
    stub.has((*EXECUTE, *WRITE))
    stub.leave()
    stub.inside = {0: HERE, 1: THERE}
    stub.has(EXECUTE)
    assert stub.leave(HERE, trapped=True) == set()
    assert not stub.registers.reports_late(HERE), "it has reported"
    assert not stub.registers.reports_late(THERE), "it is the other one that does"
    stub.here = 1
    assert stub.registers.reports_late(THERE)
    assert not stub.registers.reports_late(HERE)
    assert stub.leave(THERE, trapped=True, here=1) == set()
    assert not stub.registers.reports_late(THERE)


def test_who_has_reported_and_has_not_left_yet_reports_nothing(stub: Set) -> None:
    stub.leaving = {1}
    assert change(stub, {1: THERE}, trapped=False) == {THERE}
    stub.here = 1
    assert not stub.registers.reports_late(THERE)


def test_where_nobody_lacks_a_register_and_nobody_waits_nothing_is_asked(stub: Set) -> None:
    assert change(stub, {0: HERE}) == {HERE}
    stub.has(())
    assert stub.leave(HERE, trapped=True) == set()
    stub.registers.here = fail
    assert stub.leave(HERE, trapped=True) == set()


def test_steps_of_the_one_that_lacks_a_register_ask_for_nothing(stub: Set) -> None:
    assert change(stub, {0: HERE}) == {HERE}
    looks = stub.looks
    for pc in range(HERE, HERE + 5):
        assert stub.leave(pc, trapped=True) == {pc}
    assert stub.looks == looks


def test_who_has_more_than_are_set_is_not_looked_for_until_they_change(stub: Set) -> None:
    stub.has((*EXECUTE, *WRITE))
    stub.leave()
    stub.inside = {0: HERE}
    stub.has(EXECUTE)
    assert stub.leave(HERE, trapped=True) == set()
    looks = stub.looks
    for _ in range(5):
        assert stub.leave(HERE, trapped=True) == set()
    assert stub.looks == looks
    stub.has(WRITE)
    assert stub.leave(HERE, trapped=True) == {HERE}


def test_what_cannot_be_told_is_looked_for_again(stub: Set) -> None:
    stub.has(EXECUTE)
    stub.leave()
    stub.inside = None
    stub.has(WRITE)
    assert stub.leave(HERE, trapped=True) == {HERE}, "of the one that has stopped it is known"
    assert stub.leave(ELSEWHERE, here=1) == {HERE}
    stub.inside = {0: HERE, 1: THERE}
    assert stub.leave(ELSEWHERE, here=2) == {HERE, THERE}


def test_what_fails_is_not_taken_for_done(stub: Set) -> None:
    stub.has(EXECUTE)
    stub.leave()
    works, stub.registers.settle = stub.registers.settle, fail
    stub.has(WRITE)
    with pytest.raises(WireTimeout):
        stub.leave(HERE, trapped=True)
    stub.registers.settle, stub.inside = works, {0: HERE}
    assert stub.leave(HERE, trapped=True) == {HERE}


def fail() -> None:
    raise WireTimeout("no answer")


def test_what_another_session_has_left_on_is_not_known(stub: Set) -> None:
    stub.registers.alone = lambda: True
    stub.registers.met(used=True)
    assert stub.registers.were_used
    stub.inside = {0: HERE}
    stub.has(EXECUTE)
    assert stub.leave(HERE, trapped=True) == {HERE}


def test_one_processor_alone_that_is_in_no_exception_is_not_looked_at(stub: Set) -> None:
    stub.registers.alone = lambda: True
    stub.has(EXECUTE)
    stub.leave()
    stub.has(WRITE)
    assert stub.leave() == set()
    assert stub.looks == 0
    stub.inside = {0: HERE}
    stub.has(EXECUTE)
    assert stub.leave(HERE, trapped=True) == {HERE}
    assert stub.leave(HERE) == set()
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
