# SPDX-License-Identifier: Apache-2.0
"""Who is attached, who holds the target, and the pause for news: never two holders, never a wait for nobody."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from nullmodem.errors import LeaseError
from nullmodem.session.barrier import Barrier
from nullmodem.session.break_in import LATE_SECONDS, BreakIns
from nullmodem.session.clients import Clients
from nullmodem.session.model import Resume, ResumeKind

STEP = Resume(ResumeKind.STEP)


class Company(RuleBasedStateMachine):
    """Model: who is there, who holds, who waits, and whom the barrier waits for with whose request."""

    here = Bundle("here")

    def __init__(self) -> None:
        super().__init__()
        self.clients, self.barrier = Clients(), Barrier()
        self.present: dict[str, bool] = {}  # whether each follows modules
        self.holder: str | None = None
        self.waiting: set[str] = set()
        self.missing: set[str] = set()
        self.asked: tuple[str, Resume] | None = None

    @rule(target=here, follows=st.booleans())
    def add(self, follows: bool) -> str:
        client = self.clients.add("gdb", follows_modules=follows, stop=0, modules=0)
        assert client.id not in self.present
        self.present[client.id] = follows
        return client.id

    @rule(target=here, client=consumes(here))
    def leave_and_be_forgotten(self, client: str) -> object:
        assert self.clients.remove(client)
        assert not self.clients.remove(client)
        was_up = self.barrier.up
        last = self.barrier.left(client)
        self.missing.discard(client)
        assert last == (was_up and not self.missing)
        if self.asked is not None and self.asked[0] == client:
            self.asked = None
        del self.present[client]
        self.waiting.discard(client)
        if self.holder == client:
            self.holder = None
        with pytest.raises(LeaseError):
            self.clients.get(client)
        with pytest.raises(LeaseError):
            self.clients.acquire(client)
        return multiple()

    @rule(client=here)
    def acquire(self, client: str) -> None:
        self.holder = self.holder or client
        assert self.clients.acquire(client) == (self.holder == client)

    @rule(client=here)
    def require(self, client: str) -> None:
        if self.holder in (None, client):
            self.clients.require(client, "run")
            self.holder = client
        else:
            with pytest.raises(LeaseError, match="cannot run: gdb holds the target"):
                self.clients.require(client, "run")

    @rule(client=here)
    def take(self, client: str) -> None:
        before = self.clients.take(client)
        assert (before.id if before else None) == (self.holder if self.holder != client else None)
        self.holder = client

    @rule(client=here)
    def wait(self, client: str) -> None:
        self.clients.get(client).waiting = True
        self.waiting.add(client)

    @rule(stop=st.integers(1, 9))
    def show(self, stop: int) -> None:
        self.clients.shown(stop)
        assert all(self.clients.get(client).seen_stop == stop for client in self.waiting)
        self.waiting.clear()

    @rule(client=here, stop=st.integers(1, 9))
    def look(self, client: str, stop: int) -> None:
        self.clients.look(client, stop)
        assert self.clients.get(client).seen_stop == stop
        self.waiting.discard(client)

    @rule(modules=st.integers(1, 9))
    def tell_of_modules(self, modules: int) -> None:
        if self.barrier.up:
            return
        told = {client for client in self.waiting if self.present[client]}
        assert self.barrier.raise_for(self.clients.told(modules)) == bool(told)
        self.waiting -= told
        self.missing, self.asked = set(told), None

    @rule(client=here, request=st.sampled_from([None, Resume(), STEP]))
    def answer(self, client: str, request: Resume | None) -> None:
        was_up = self.barrier.up
        last = self.barrier.answered(client, request)
        self.missing.discard(client)
        if request is not None:
            self.asked = (client, request)
        assert last == (was_up and not self.missing)

    @rule(client=here)
    def join(self, client: str) -> None:
        if self.barrier.up:
            self.barrier.join(client)
            self.missing.add(client)

    @rule()
    def lower(self) -> None:
        self.barrier.lower()
        self.missing, self.asked = set(), None

    @invariant()
    def the_barrier_waits_only_for_those_who_are_there(self) -> None:
        assert self.barrier.up == bool(self.missing)
        assert self.missing <= set(self.present)
        assert self.barrier.request == (self.asked[1] if self.asked else None)

    @invariant()
    def at_most_one_holds_and_all_are_listed(self) -> None:
        listed = {client.id: client for client in self.clients.all}
        assert set(listed) == set(self.present)
        assert {client for client in listed if listed[client].holds_lease} == ({self.holder} - {None})
        assert {client for client in listed if listed[client].waiting} == self.waiting
        holder = self.clients.holder
        assert (holder.id if holder else None) == self.holder


Company.TestCase.settings = settings(max_examples=30, stateful_step_count=30)
TestCompany = Company.TestCase


def test_a_break_in_is_wanted_until_the_target_stands_or_whoever_wanted_it_is_gone() -> None:
    break_ins = BreakIns()
    assert not break_ins.wanted
    break_ins.want("one")
    break_ins.want("")
    break_ins.forget("one")
    assert break_ins.wanted
    break_ins.forget("nobody")
    break_ins.satisfied()
    assert not break_ins.wanted


def test_as_many_break_ins_arrive_as_were_sent_and_any_other_is_somebody_elses() -> None:
    clock = [0.0]
    break_ins = BreakIns(lambda: clock[0])
    break_ins.goes()
    assert not break_ins.arrived()
    break_ins.sent()
    break_ins.sent()
    assert [break_ins.arrived() for _ in range(3)] == [True, True, False]


def test_one_that_did_not_arrive_while_the_target_ran_for_long_is_lost() -> None:
    clock = [0.0]
    break_ins = BreakIns(lambda: clock[0])
    break_ins.goes()
    break_ins.sent()
    clock[0] = 10.0
    break_ins.stands()
    break_ins.sent()
    clock[0] += 3600  # while it stands nothing can arrive
    break_ins.goes()
    clock[0] += LATE_SECONDS - 5
    assert [break_ins.arrived(), break_ins.arrived()] == [True, False], "the first has had its time, the second not"


def test_one_that_could_not_be_sent_is_not_waited_for() -> None:
    break_ins = BreakIns()
    break_ins.goes()
    break_ins.want("gdb#1")
    break_ins.sent()
    break_ins.failed("gdb#1")
    assert not break_ins.wanted
    assert not break_ins.arrived()
