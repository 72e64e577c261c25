# SPDX-License-Identifier: Apache-2.0
"""The runner on several processors: a breakpoint that one thread steps off is seen by whoever comes by meanwhile."""

from __future__ import annotations

from itertools import product

import pytest

from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import StopReason
from nullmodem.session.stepping import ContinuePlan, StepPlan
from support.minicpu import DEC, INC, IRET, PAGE, RET, RF, SELF, TEXT, MiniCpus, addresses, call, machine, store
from support.runner import Track, track_on

FIRST, SECOND = 101, 102  # the pids of a machine's processors
CODE = (DEC, INC, INC, DEC, DEC, SELF)
AT = addresses(*CODE)


def soft(address: int) -> Breakpoint:
    return Breakpoint(BreakpointKind.SOFTWARE, address, 1)


def hard(address: int) -> Breakpoint:
    return Breakpoint(BreakpointKind.HARDWARE, address, 1)


def run_onto(track: Track) -> None:
    """The first processor to a breakpoint of gdb's at the second instruction."""
    track.table.want("gdb", soft(AT[1]))
    assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, AT[1])
    assert track.target.thread == FIRST


def step_off_alone(track: Track) -> tuple[StopReason, int] | None:
    """As gdb does: it takes its breakpoint out for that."""
    track.table.unwant("gdb", soft(AT[1]))
    found = track.go(StepPlan(FIRST, alone=True))
    track.table.want("gdb", soft(AT[1]))
    return found


@pytest.mark.parametrize("schedule", list(product((0, 1), repeat=7)))
def test_nobody_passes_a_breakpoint_unseen_that_another_is_stepped_off(schedule: tuple[int, ...]) -> None:
    """Whatever the order is in which processors get to run."""
    cpu = machine(*CODE, cpus=2, entries=(AT[0], AT[0]))
    with track_on(cpu, cpus := MiniCpus(cpu, schedule=(0, 0, *schedule))) as track:
        track.runner.guard.ready = lambda: True
        run_onto(track)
        assert step_off_alone(track) == (StopReason.STEP, AT[2])
        assert (track.target.thread, track.target.own["eflags"] & RF) == (FIRST, 0)
        assert cpus.processors[0].executed == [AT[0], AT[1]]
        assert AT[1] not in cpus.processors[1].executed
        assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, AT[1])
        assert track.target.thread == SECOND
        assert AT[1] not in cpus.processors[1].executed


def test_what_a_debug_register_has_stopped_is_shown_when_the_place_is_held_no_longer() -> None:
    """A processor that was stopped there while another one's step was reported comes last."""
    cpu = machine(*CODE, cpus=2, entries=(AT[0], AT[1]))
    with track_on(cpu, cpus := MiniCpus(cpu, schedule=(0, 0, 0, 1))) as track:
        track.runner.guard.ready = lambda: True
        run_onto(track)
        assert step_off_alone(track) == (StopReason.STEP, AT[2])
        cpus.report_late(1)
        assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, AT[1])
        assert track.target.thread == SECOND
        assert cpus.processors[1].executed == []


def test_a_debug_register_that_is_not_there_changes_nothing() -> None:
    cpu = machine(*CODE, cpus=2, entries=(AT[0], AT[3]))
    with track_on(cpu, MiniCpus(cpu, schedule=(0, 0, 0))) as track:
        track.runner.guard.ready = lambda: True
        for place in (0x10, 0x20, 0x30, 0x40):
            track.table.want("me", hard(AT[0] + 0x100 + place))
        run_onto(track)
        assert step_off_alone(track) == (StopReason.STEP, AT[2])


def test_what_held_a_place_makes_room_for_who_wants_a_debug_register() -> None:
    cpu = machine(*CODE, cpus=2, entries=(AT[0], AT[3]))
    with track_on(cpu, MiniCpus(cpu, schedule=(0, 0, 0))) as track:
        track.runner.guard.ready = lambda: True
        run_onto(track)
        step_off_alone(track)
        assert hard(AT[1]) in track.table.armed
        for place in (0x10, 0x20, 0x30, 0x40):
            track.table.want("me", hard(AT[0] + 0x100 + place))
        assert hard(AT[1]) not in track.table.armed


def test_on_one_processor_no_debug_register_is_used() -> None:
    cpu = machine(*CODE)
    with track_on(cpu, MiniCpus(cpu)) as track:
        run_onto(track)
        assert step_off_alone(track) == (StopReason.STEP, AT[2])
        assert not [request for request in track.fake.requests if request.startswith(b"Z1")]


@pytest.mark.parametrize("schedule", list(product((0, 1), repeat=6)))
def test_where_a_client_waits_for_one_thread_another_is_led_past(schedule: tuple[int, ...]) -> None:
    """It is not shown, and the one that is waited for does not slip through meanwhile."""
    cpu = machine(*CODE, cpus=2, entries=(AT[0], AT[0]))
    with track_on(cpu, cpus := MiniCpus(cpu, schedule=(1, 1, *schedule))) as track:
        track.runner.guard.ready = lambda: True
        track.table.want("gdb", soft(AT[1]))
        track.runner.start(ContinuePlan(), passing=True, awaited=AT[1])
        assert track.until(0) == (StopReason.BREAKPOINT, AT[1])
        assert track.target.thread == FIRST
        assert cpus.processors[0].executed == [AT[0]]
        assert cpus.processors[1].executed[0] == AT[0]


@pytest.mark.parametrize("schedule", list(product((0, 1, 2), repeat=3)))
def test_a_place_is_held_until_all_who_are_stepped_off_it_have_reported(schedule: tuple[int, ...]) -> None:
    """One processor is stopped there by the debug register that holds the place for another, and is stepped, too."""
    cpu = machine(*CODE, cpus=3, entries=(AT[0], AT[0], AT[1]))
    with track_on(cpu, cpus := MiniCpus(cpu, schedule=(2, 1, 1, *schedule))) as track:
        track.runner.guard.ready = lambda: True
        track.table.want("gdb", soft(AT[1]))
        track.runner.start(ContinuePlan(), passing=True, awaited=AT[1])
        assert track.until(0) == (StopReason.BREAKPOINT, AT[1])
        assert track.target.thread == FIRST
        assert cpus.processors[0].executed == [AT[0]]


def test_a_debug_register_that_has_held_a_place_is_not_freed_but_parked() -> None:
    """See `BreakpointTable._holding` for what a freed one may do."""
    cpu = machine(*CODE, cpus=2, entries=(AT[0], AT[5]))
    with track_on(cpu, MiniCpus(cpu, schedule=(0, 0, 0))) as track:
        track.runner.guard.ready, track.table.park = lambda: True, AT[4]
        run_onto(track)
        assert hard(AT[4]) not in track.table.armed
        step_off_alone(track)
        assert {b for b in track.table.armed if not b.is_software} == {hard(AT[1])}
        track.table.synchronise()
        assert {b for b in track.table.armed if not b.is_software} == {hard(AT[4])}


def test_an_interrupt_that_comes_to_the_held_place_is_not_the_end_of_the_step() -> None:
    """It has interrupted the thread before that could execute its instruction."""
    code = (call(3), SELF, IRET, INC, RET, call(-9), IRET)
    at = addresses(*code)
    function, handler = at[3], at[5]
    cpu = machine(*code, cpus=2, entries=(at[0], at[1]))
    with track_on(cpu, cpus := MiniCpus(cpu, schedule=(0, 0, 0, 0, 0, 0, 0, 0, 0))) as track:
        track.runner.guard.ready = lambda: True
        track.table.want("gdb", soft(function))
        assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, function)
        track.table.unwant("gdb", soft(function))
        cpus.interrupt(0, handler)
        assert track.go(StepPlan(FIRST, alone=True)) == (StopReason.STEP, at[4])
        assert track.runner.late_steps == frozenset()
        assert cpus.processors[0].executed == [at[0], function]


@pytest.mark.parametrize("entry", [1, 3])
def test_no_processor_is_caught_by_a_hardware_breakpoint_that_was_deleted(entry: int) -> None:
    """That one has it on which was stopped with the other, or which came to it itself."""
    cpu = machine(*CODE, cpus=2, entries=(AT[0], AT[entry]))
    with track_on(cpu, cpus := MiniCpus(cpu, schedule=(0, 0, 0))) as track:
        track.table.want("gdb", hard(AT[2]))
        assert track.go(ContinuePlan()) == (StopReason.HARDWARE_BREAKPOINT, AT[2])
        track.table.unwant("gdb", hard(AT[2]))
        assert track.go(ContinuePlan()) is None
        assert [AT[5] in processor.executed for processor in cpus.processors] == [True, True]


@pytest.mark.parametrize("writer", [0, 1])
def test_a_watchpoint_is_seen_by_processors_that_had_another_debug_register_on(writer: int) -> None:
    code = (DEC, INC, INC, store(TEXT + PAGE, TEXT + 9), DEC, SELF)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[3] if writer else at[5]), data=PAGE)
    with track_on(cpu, MiniCpus(cpu, schedule=(0, 0, 0))) as track:
        track.runner.guard.ready, track.table.park = lambda: True, TEXT + 0x800
        run_onto(track)
        assert step_off_alone(track) == (StopReason.STEP, at[2])
        track.table.want("gdb", Breakpoint(BreakpointKind.WRITE, TEXT + PAGE, 8))
        assert track.go(ContinuePlan()) == (StopReason.TRAP, at[4])
        assert track.target.thread == (FIRST, SECOND)[writer]
