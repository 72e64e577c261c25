# SPDX-License-Identifier: Apache-2.0
"""The breakpoint table: whatever is wished, taken back and freed, the stub ends up with what is wanted, and no more."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nullmodem.errors import BreakpointRefused, StubError, WireTimeout
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint, BreakpointTable

SOFTWARE, HARDWARE = BreakpointKind.SOFTWARE, BreakpointKind.HARDWARE
WRITE, ACCESS = BreakpointKind.WRITE, BreakpointKind.ACCESS
ENOENT, E2BIG, EEXIST, EINVAL, EPERM = 2, 7, 17, 22, 1
BLOCKED = 0x1007


class Slots:
    """A stub's breakpoints as kgdb keeps them: a software slot is bound to its address until all are dropped, and a
    hardware one is found again by its address alone (dbg_set_sw_break, kgdb_remove_hw_break)."""

    def __init__(self, slots: int = 6, registers: int = 4) -> None:
        self._slots = slots
        self._registers: list[Breakpoint | None] = [None] * registers
        self._software: dict[int, bool] = {}
        self.log: list[tuple[str, Breakpoint]] = []
        self.dropped = 0

    @property
    def present(self) -> Counter[Breakpoint]:
        """Everything that is set, as often as it is."""
        software = [Breakpoint(SOFTWARE, address, 1) for address, there in self._software.items() if there]
        return Counter([*software, *(b for b in self._registers if b is not None)])

    def insert(self, kind: BreakpointKind, address: int, length: int) -> None:
        self.log.append(("insert", Breakpoint(kind, address, length)))
        if kind is SOFTWARE:
            self._insert_software(address)
        elif None not in self._registers or kind is BreakpointKind.READ:
            raise StubError("no debug register", errno=EPERM)
        else:
            self._registers[self._registers.index(None)] = Breakpoint(kind, address, length)

    def _insert_software(self, address: int) -> None:
        if address == BLOCKED:
            raise StubError("blocked", errno=EINVAL)
        if self._software.get(address):
            raise StubError("there already", errno=EEXIST)
        if address not in self._software and len(self._software) >= self._slots:
            raise StubError("no slot", errno=E2BIG)
        self._software[address] = True

    def remove(self, kind: BreakpointKind, address: int, length: int) -> None:
        self.log.append(("remove", Breakpoint(kind, address, length)))
        if kind is SOFTWARE:
            if not self._software.get(address):
                raise StubError("none there", errno=ENOENT)
            self._software[address] = False
            return
        for index, there in enumerate(self._registers):
            if there is not None and there.address == address:
                self._registers[index] = None
                return
        raise StubError("none there", errno=EPERM)

    def forget_breakpoints(self) -> None:
        self.dropped += 1
        self._software.clear()
        self._registers = [None] * len(self._registers)


def fits(wanted: set[Breakpoint]) -> bool:
    """Whether ``Slots`` can have all of these at once."""
    hardware = sum(not b.is_software for b in wanted)
    return hardware <= 4 and len(wanted) - hardware <= 6


ADDRESSES = st.integers(0x1000, 0x1007)
OWNERS = st.sampled_from(["one", "two", "three"])
BREAKPOINTS = st.one_of(
    st.builds(Breakpoint, st.just(SOFTWARE), ADDRESSES, st.just(1)),
    st.builds(Breakpoint, st.just(SOFTWARE), ADDRESSES, st.just(1)),
    st.builds(Breakpoint, st.just(HARDWARE), ADDRESSES, st.just(1)),
    st.builds(Breakpoint, st.sampled_from([WRITE, ACCESS]), st.sampled_from([0x1000, 0x1004]), st.sampled_from([2, 4])),
)


class Wishes(RuleBasedStateMachine):
    """Model: who wants what, and what stands by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stub = Slots()
        self.table = BreakpointTable(self.stub)
        self.wishes: set[tuple[str, Breakpoint]] = set()
        self.standing: set[Breakpoint] = set()

    @property
    def wanted(self) -> set[Breakpoint]:
        return {breakpoint_ for _owner, breakpoint_ in self.wishes}

    @initialize(standing=st.sets(st.builds(Breakpoint, st.just(SOFTWARE), ADDRESSES, st.just(1)), max_size=2))
    def keep(self, standing: set[Breakpoint]) -> None:
        self.standing = {b for b in standing if b.address != BLOCKED}
        self.table.keep(self.standing)

    @rule(owner=OWNERS, breakpoint_=BREAKPOINTS)
    def want(self, owner: str, breakpoint_: Breakpoint) -> None:
        armed = [b for b in self.table.armed if b.is_software == breakpoint_.is_software]
        try:
            self.table.want(owner, breakpoint_)
            self.wishes.add((owner, breakpoint_))
        except BreakpointRefused:
            assert breakpoint_.address == BLOCKED or len(armed) >= (6 if breakpoint_.is_software else 4)

    @rule(owner=OWNERS, breakpoint_=BREAKPOINTS)
    def unwant(self, owner: str, breakpoint_: Breakpoint) -> None:
        assert self.table.unwant(owner, breakpoint_) == ((owner, breakpoint_) in self.wishes)
        self.wishes.discard((owner, breakpoint_))

    @rule(owner=OWNERS)
    def forget_owner(self, owner: str) -> None:
        self.table.forget_owner(owner)
        self.wishes = {wish for wish in self.wishes if wish[0] != owner}

    @rule(start=ADDRESSES, length=st.integers(1, 4))
    def drop_range(self, start: int, length: int) -> None:
        inside = range(start, start + length)
        self.table.drop_range(inside.start, inside.stop)
        self.wishes = {wish for wish in self.wishes if wish[1].address not in inside}
        assert not [b for b in self.stub.present if b.address in inside]
        assert not [b for b in self.table.wanted if b.address in inside]

    @rule(
        extra=st.sets(st.builds(Breakpoint, st.just(SOFTWARE), st.integers(0x1000, 0x1006), st.just(1)), max_size=1),
        without=st.sets(ADDRESSES, max_size=2),
    )
    def synchronise(self, extra: set[Breakpoint], without: set[int]) -> None:
        target = {
            b
            for b in self.wanted | self.standing | extra
            if b.kind not in (SOFTWARE, HARDWARE) or b.address not in without
        }
        if not fits(target):
            return
        self.table.synchronise(extra=extra, without=without)
        assert self.stub.present == Counter(target)

    @rule()
    def synchronise_again(self) -> None:
        if not fits(self.wanted | self.standing):
            return
        self.synchronise(set(), set())
        before = len(self.stub.log)
        self.table.synchronise()
        assert len(self.stub.log) == before, "what is as it should be costs nothing"

    @rule()
    def the_stub_drops_all(self) -> None:
        self.stub.forget_breakpoints()
        self.table.stub_forgot()

    @invariant()
    def the_table_knows_what_the_stub_has(self) -> None:
        assert Counter(self.table.armed) == self.stub.present

    @invariant()
    def the_table_knows_what_is_wanted_and_by_whom(self) -> None:
        assert self.table.wanted == self.wanted
        for address in range(0x1000, 0x1008):
            owners = {o for o, b in self.wishes if b.address == address and b.kind in (SOFTWARE, HARDWARE)}
            assert self.table.owners(address) == owners


Wishes.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestWishes = Wishes.TestCase


def soft(address: int) -> Breakpoint:
    return Breakpoint(SOFTWARE, address, 1)


def test_the_first_wish_for_a_place_is_tried_at_once_so_that_a_refusal_is_heard() -> None:
    stub = Slots()
    table = BreakpointTable(stub)
    with pytest.raises(BreakpointRefused, match="0x1007"):
        table.want("gdb", soft(BLOCKED))
    assert table.wanted == frozenset()
    table.want("gdb", soft(0x1000))
    assert stub.log[-1] == ("insert", soft(0x1000))


def test_taking_breakpoints_out_and_putting_them_back_at_a_stop_costs_nothing() -> None:
    stub = Slots()
    table = BreakpointTable(stub)
    table.want("gdb", soft(0x1000))
    table.synchronise()
    before = len(stub.log)
    for _ in range(10):
        table.unwant("gdb", soft(0x1000))
        table.want("gdb", soft(0x1000))
        table.synchronise()
    assert len(stub.log) == before


def test_one_place_wanted_by_three_is_one_breakpoint() -> None:
    stub = Slots()
    table = BreakpointTable(stub)
    for owner in ("one", "two", "three"):
        table.want(owner, soft(0x1000))
    assert len(stub.log) == 1
    table.forget_owner("one")
    table.unwant("two", soft(0x1000))
    table.synchronise()
    assert stub.present == Counter([soft(0x1000)])
    table.forget_owner("three")
    table.synchronise()
    assert not stub.present


def test_used_up_slots_are_emptied_by_starting_over() -> None:
    """kgdb never gives a slot to another address; after a thousand of them only forgetting all helps."""
    stub = Slots(slots=3)
    table = BreakpointTable(stub)
    table.want("gdb", soft(0x2000))
    for address in range(0x1000, 0x1006):
        table.want("gdb", soft(address))
        table.unwant("gdb", soft(address))
        table.synchronise()
    assert stub.dropped > 0
    assert stub.present == Counter([soft(0x2000)])


def test_more_than_there_are_slots_for_is_refused_with_a_reason_and_loses_nothing() -> None:
    stub = Slots(slots=3)
    table = BreakpointTable(stub)
    for address in range(0x1000, 0x1003):
        table.want("gdb", soft(address))
    with pytest.raises(BreakpointRefused, match="no room for another breakpoint: software at 0x1003"):
        table.want("gdb", soft(0x1003))
    table.synchronise()
    assert set(stub.present) == {soft(a) for a in range(0x1000, 0x1003)}


def test_two_watchpoints_at_one_address_can_be_taken_out_in_any_order() -> None:
    """The stub finds a debug register by its address alone, and would empty the wrong one."""
    stub = Slots()
    table = BreakpointTable(stub)
    writes, accesses = Breakpoint(WRITE, 0x1000, 4), Breakpoint(ACCESS, 0x1000, 4)
    table.want("gdb", writes)
    table.want("gdb", accesses)
    table.unwant("gdb", accesses)
    table.synchronise()
    assert stub.present == Counter([writes])
    table.unwant("gdb", writes)
    table.synchronise()
    assert not stub.present


def test_a_breakpoint_the_stub_has_lost_is_no_obstacle() -> None:
    stub = Slots()
    table = BreakpointTable(stub)
    table.want("gdb", soft(0x1000))
    stub.forget_breakpoints()  # behind the table's back
    table.drop_range(0x1000, 0x1001)
    assert not table.armed


def test_a_breakpoint_the_stub_has_already_is_what_was_asked_for() -> None:
    stub = Slots()
    stub.insert(SOFTWARE, 0x1000, 1)
    table = BreakpointTable(stub)
    table.want("gdb", soft(0x1000))
    assert table.armed == {soft(0x1000)}


class LosingAnswers(Slots):
    """`Slots` behind a line that loses the answer to what is asked at ``lost``; 0: to what drops all."""

    lost: int | None = None

    def insert(self, kind: BreakpointKind, address: int, length: int) -> None:
        super().insert(kind, address, length)
        self._lose(address)

    def forget_breakpoints(self) -> None:
        super().forget_breakpoints()
        self._lose(0)

    def _lose(self, address: int) -> None:
        if address == self.lost:
            self.lost = None
            raise WireTimeout("no answer")


def test_one_whose_answer_was_lost_when_all_were_given_back_is_gone_when_its_memory_is_freed() -> None:
    stub = LosingAnswers()
    table = BreakpointTable(stub)
    for address in (0x1000, 0x1001, 0x1002):
        table.want("gdb", soft(address))
    Slots.forget_breakpoints(stub)  # as kdb does
    stub.lost = 0x1001
    with pytest.raises(WireTimeout):
        table.rearm()
    table.drop_range(0x1000, 0x1002)
    table.synchronise()
    assert stub.present == Counter([soft(0x1002)])


@pytest.mark.parametrize("lost", [0x1003, 0x1000, 0])
def test_an_answer_that_is_lost_while_starting_over_leaves_nothing_behind(lost: int) -> None:
    stub = LosingAnswers(slots=3)
    table = BreakpointTable(stub)
    for address in (0x1000, 0x1001, 0x1002):
        table.want("gdb", soft(address))
    table.unwant("gdb", soft(0x1001))
    table.synchronise()
    stub.lost = lost
    with pytest.raises(WireTimeout):
        table.want("gdb", soft(0x1003))
    table.drop_range(0x1000, 0x1001)
    table.drop_range(0x1003, 0x1004)
    table.synchronise()
    assert stub.present == Counter([soft(0x1002)])
