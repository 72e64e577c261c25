# SPDX-License-Identifier: Apache-2.0
"""The runner: what one thread runs into waits until another has come where it is to stop."""

from __future__ import annotations

import pytest

from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import StopReason
from nullmodem.session.signals import SIGINT
from nullmodem.session.stepping import ContinuePlan, RangePlan, StepPlan
from nullmodem.stub.x86_64 import X86_64
from support.minicpu import BREAK_IN, DEC, INC, RET, SELF, MiniCpus, addresses, call, jump_if, machine
from support.runner import track_on

FIRST, SECOND = 101, 102  # the pids of a machine's processors


def soft(address: int) -> Breakpoint:
    return Breakpoint(BreakpointKind.SOFTWARE, address, 1)


def test_what_others_run_into_waits_for_a_step_alone() -> None:
    """The second processor comes to its breakpoint first, again and again; it is shown when the step has been."""
    code = (INC, INC, INC, DEC, DEC, DEC)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[3]))
    with track_on(cpu, cpus := MiniCpus(cpu, schedule=(1, 1, 1, 1, 0))) as track:
        track.table.want("gdb", soft(at[4]))
        assert track.go(StepPlan(FIRST, alone=True)) == (StopReason.STEP, at[1])
        assert track.target.thread == FIRST
        assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, at[4])
        assert track.target.thread == SECOND
        assert cpus.processors[1].executed == [at[3]]


def test_a_step_that_is_not_alone_makes_nobody_wait() -> None:
    code = (INC, INC, INC, DEC, DEC, DEC)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[3]))
    with track_on(cpu, MiniCpus(cpu, schedule=(1, 1, 0))) as track:
        track.table.want("gdb", soft(at[4]))
        assert track.go(StepPlan(FIRST)) == (StopReason.BREAKPOINT, at[4])


def test_a_function_that_calls_itself_deeper_down_is_not_waited_for() -> None:
    """The plan's own thread comes by its temporary breakpoint at each turn; nothing is gained by staying there."""
    code = (DEC, jump_if("e", 8), call(-10), INC, RET)
    at = addresses(*code)
    cpu = machine(*code, entries=(at[2],))
    cpu.cpus[0].registers["rbx"] = 4
    with track_on(cpu, MiniCpus(cpu)) as track:
        sp = track.target.own.sp
        plan = RangePlan(X86_64, FIRST, at[2], at[3], passable=frozenset({at[0]}))
        assert track.go(plan) == (StopReason.STEP, at[3])
        assert track.target.own.sp == sp
        assert track.target.own["rax"] == 3
        turns = 3
        assert sum(request in (b"c", b"s") for request in track.fake.requests) <= 2 * turns + 1


def test_nobody_waits_for_ever_for_a_step_alone() -> None:
    code = (INC, INC, INC, DEC, DEC, DEC)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[3]))
    with track_on(cpu, MiniCpus(cpu, schedule=[1] * 1000)) as track:
        track.table.want("gdb", soft(at[4]))
        assert track.go(StepPlan(FIRST, alone=True)) == (StopReason.BREAKPOINT, at[4])


def test_a_break_in_on_another_processor_waits_for_a_step_alone_but_not_again_and_again() -> None:
    """gdb aborts when it is told of another thread than the one that it steps off a breakpoint."""
    code = (INC, INC, INC, SELF)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[3]))
    with track_on(cpu, cpus := MiniCpus(cpu, schedule=[1] * 20)) as track:
        shown = []

        def broken_into(_signal: int) -> None:
            if not track.runner.waits_on():
                shown.append(track.target.thread)
                track.owner.on_visible(StopReason.INTERRUPT, SIGINT)

        track.runner.is_break_in = lambda pc: pc == BREAK_IN + 1
        track.owner.unexplained = broken_into
        cpus.break_in(1)
        assert track.go(StepPlan(FIRST, alone=True)) == (StopReason.STEP, at[1])
        assert shown == []
        for _ in range(3):
            cpus.break_in(1)
        cpus._schedule = iter([1] * 100)
        assert track.go(StepPlan(FIRST, alone=True)) == (StopReason.INTERRUPT, BREAK_IN + 1)
        assert shown == [SECOND]


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_a_step_whose_report_got_lost_in_another_ones_stop_ends_where_it_ends(*, alone: bool, wanted: bool) -> None:
    """The kernel may lose it, and the thread goes on with its trap flag set."""
    code = (INC, INC, INC, DEC, DEC, SELF)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[3]))
    with track_on(cpu, cpus := MiniCpus(cpu, schedule=(1, 0, 1, 0, 0, 0, 0))) as track:
        track.owner.passes.add(at[4])
        track.table.want("me", soft(at[4]))
        if wanted:
            track.table.want("gdb", soft(at[1]))
        cpus.lose_step(0)
        reason = StopReason.BREAKPOINT if wanted else StopReason.STEP
        assert track.go(StepPlan(FIRST, alone=alone)) == (reason, at[1])
        assert (track.target.thread, track.runner.late_steps - {SECOND}) == (FIRST, frozenset())
        assert cpus.processors[0].executed == [at[0]]
        assert track.go(StepPlan(FIRST, alone=alone)) == (StopReason.STEP, at[2])
