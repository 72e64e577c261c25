# SPDX-License-Identifier: Apache-2.0
"""Invariant: however programs are stepped, run, and stopped, every processor does what it would have done undebugged:
no instruction twice, none left out; and one processor alone stops exactly where it should.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import StopReason
from nullmodem.session.stepping import ContinuePlan, Plan, RangePlan, ReturnPlan, StepPlan
from nullmodem.stub.x86_64 import X86_64
from support.minicpu import (
    BREAK_IN,
    CONDITIONS,
    DEC,
    ENDBR,
    INC,
    MOVE,
    NOP,
    NOP2,
    NOP5,
    POP,
    PUSH,
    RET,
    TEXT,
    TF,
    Frame,
    MiniCpus,
    addresses,
    call,
    jump,
    jump5,
    jump_if,
    machine,
)
from support.runner import Track, track_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.testing.fakemachine import Machine

INSTRUCTIONS = 700  # of a program that is known beforehand; so many pushes, or pops, stay on the stack
LIMIT = 70  # of all processors: up to eight jumps may be taken by registers between two
HIT = (StopReason.BREAKPOINT, StopReason.HARDWARE_BREAKPOINT)

PLAIN = st.sampled_from([INC, INC, DEC, MOVE, NOP, NOP2, NOP5, ENDBR, PUSH, POP, RET])
TRANSFER = st.tuples(st.sampled_from(["jump", "jump5", "call", *CONDITIONS]), st.integers(0, 11))
PROGRAMS = st.lists(st.one_of(PLAIN, PLAIN, TRANSFER), min_size=2, max_size=12)
WISHES = st.tuples(st.just("toggle"), st.integers(0, 11))
RANGES = st.tuples(st.just("range"), st.integers(0, 11), st.integers(1, 6))
MOVES = st.one_of(st.just(("step",)), st.just(("continue",)), WISHES, RANGES, RANGES)


def assemble(program: list[bytes | tuple[str, int]]) -> list[bytes]:
    """Machine code; a transfer's number is the place it goes to."""
    sizes = [len(i) if isinstance(i, bytes) else {"jump5": 5, "call": 5}.get(i[0], 2) for i in program]
    starts = [sum(sizes[:n]) for n in range(len(program) + 1)]
    code = []
    for number, item in enumerate(program):
        if isinstance(item, bytes):
            code.append(item)
            continue
        kind, target = item
        offset = starts[target % len(program)] - starts[number + 1]
        match kind:
            case "jump":
                code.append(jump(offset))
            case "jump5":
                code.append(jump5(offset))
            case "call":
                code.append(call(offset))
            case _:
                code.append(jump_if(kind, offset))
    return code


@dataclass
class Course:
    """What a processor does when nobody looks: its registers before each instruction, and whether it faults at last."""

    states: list[dict[str, int]]
    faults: bool

    def next_at(self, place: int, addresses: set[int]) -> int | None:
        return next((n for n in range(place + 1, len(self.states)) if self.states[n]["rip"] in addresses), None)

    def next_outside(self, place: int, start: int, end: int, stops: set[int]) -> int | None:
        """Where a step over [start, end) ends: outside of it, or on a breakpoint; never where it began."""
        for n in range(place + 1, len(self.states)):
            pc = self.states[n]["rip"]
            if pc in stops or not start <= pc < end:
                return n
        return None


def course_of(code: list[bytes], cpu: int = 0, cpus: int = 1) -> Course:
    alone = MiniCpus(a_machine(code, cpus))
    processor = alone.processors[cpu]
    states = []
    for _ in range(INSTRUCTIONS):
        states.append(dict(processor.registers))
        if not alone._execute(processor):
            return Course(states, faults=True)
    return Course(states, faults=False)


def a_machine(code: list[bytes], cpus: int = 1) -> Machine:
    result = machine(*code, cpus=cpus)
    for number, cpu in enumerate(result.cpus):
        cpu.registers.update(rax=3 * number, rbx=2, rcx=0, rbp=TEXT)
    return result


def registers(track: Track) -> dict[str, int]:
    own = track.target.own
    return without_trap_flag({name: own[name] for name in ("rip", "rax", "rbx", "rcx", "rbp", "rsp", "eflags")})


def without_trap_flag(state: dict[str, int]) -> dict[str, int]:
    """What the code itself knows of: a step leaves the flag set until the target is resumed."""
    return {**state, "eflags": state["eflags"] & ~TF}


def plan_of(move: tuple[object, ...], track: Track, code: list[bytes], frames: list[Frame]) -> Plan:
    """As a session would plan it: after a break-in a step is one of the interrupted code."""
    if move[0] == "continue":
        return ContinuePlan()
    thread = track.target.thread
    plan = StepPlan(thread) if move[0] == "step" else RangePlan(X86_64, thread, *range_of(move, code))
    return ReturnPlan(thread, track.target.own.replace(frames[-1].registers), plan) if frames else plan


def range_of(move: tuple[object, ...], code: list[bytes]) -> tuple[int, int]:
    at = (*addresses(*code), TEXT + sum(map(len, code)))
    first = int(move[1]) % len(code)
    return at[first], at[min(first + int(move[2]), len(code))]


@settings(max_examples=40)
@given(PROGRAMS, st.lists(MOVES, max_size=12))
def test_one_processor_stops_where_it_should(
    program: list[bytes | tuple[str, int]], moves: list[tuple[object, ...]]
) -> None:
    code = assemble(program)
    course, place = course_of(code), 0
    at = addresses(*code)
    wanted: set[int] = set()
    cpu = a_machine(code)
    with track_on(cpu, MiniCpus(cpu, limit=LIMIT)) as track:
        for move in moves:
            if move[0] == "toggle":
                toggle(track, at[int(move[1]) % len(at)], wanted)
                continue
            expected = expected_end(course, place, move, code, wanted)
            if expected is None and not course.faults:
                return  # it would take longer than anybody looked
            seen = track.go(plan_of(move, track, code, []))
            assert seen is not None
            if expected is None:
                assert seen == (StopReason.FAULT, course.states[-1]["rip"])
                return
            place = expected
            assert registers(track) == {name: course.states[place][name] for name in registers(track)}
            if seen[1] in wanted and move[0] == "continue":
                assert seen[0] in HIT
            assert seen[0] in (*HIT, StopReason.STEP)


def expected_end(
    course: Course, place: int, move: tuple[object, ...], code: list[bytes], wanted: set[int]
) -> int | None:
    match move[0]:
        case "step":
            return place + 1 if place + 1 < len(course.states) else None
        case "continue":
            return course.next_at(place, wanted)
        case _:
            return course.next_outside(place, *range_of(move, code), wanted)


@settings(max_examples=60)
@given(PROGRAMS, RANGES, st.sets(st.integers(0, 11), min_size=1, max_size=4), st.sets(st.integers(0, 11), max_size=1))
@example([("call", 4), DEC, ("ne", 0), ("jump", 4), INC, RET], ("range", 0, 3), {4}, set())  # a loop with a call in it
@example([INC, ("call", 0), ("jump", 2)], ("range", 0, 3), {0}, set())  # it calls itself, and comes by deeper down
@example([("o", 0), INC], ("range", 0, 1), {0}, {0})  # a breakpoint that is passed by registers, to the range's end
def test_functions_that_are_stepped_over_do_not_end_a_step(
    program: list[bytes | tuple[str, int]], move: tuple[str, int, int], functions: set[int], stops: set[int]
) -> None:
    code = assemble(program)
    at = addresses(*code)
    passable = frozenset(at[n % len(at)] for n in functions)
    course = course_of(code)
    start, end = range_of(move, code)
    wanted: set[int] = set()
    ends = ends_passing(course, start, end, {at[n % len(at)] for n in stops}, passable)
    assume(ends is not None)
    assert ends is not None
    cpu = a_machine(code)
    with track_on(cpu, MiniCpus(cpu, limit=LIMIT * 10)) as track:
        for number in stops:
            toggle(track, at[number % len(at)], wanted)
        seen = track.go(RangePlan(X86_64, track.target.thread, start, end, passable=passable))
        assert seen is not None
        states = [course.states[n] for n in ends]
        assert registers(track) in [{name: state[name] for name in registers(track)} for state in states]


def ends_passing(course: Course, start: int, end: int, stops: set[int], passable: frozenset[int]) -> list[int] | None:
    """Where a step from the first instruction may end: outside the range or on a breakpoint, with the functions passed
    over or at the beginning of one. None where that is farther than anybody looked, or a function does not return."""
    states, ends, n = course.states, list[int](), 0
    while True:
        before, n = states[n], n + 1
        if n >= len(states):
            return None
        here = states[n]
        called = here["rip"] in passable and here["rsp"] == before["rsp"] - 8 and start <= before["rip"] < end
        if called and here["rip"] not in stops:
            ends.append(n)
            while n < len(states) and states[n]["rsp"] < before["rsp"] and states[n]["rip"] not in stops:
                n += 1
            if n >= len(states) or (states[n]["rsp"], states[n]["rip"]) != (before["rsp"], before["rip"] + 5):
                return [*ends, n] if n < len(states) and states[n]["rip"] in stops else None
            here = states[n]
        if here["rip"] in stops or not start <= here["rip"] < end:
            return [*ends, n]


def toggle(track: Track, address: int, wanted: set[int]) -> None:
    breakpoint_ = Breakpoint(BreakpointKind.SOFTWARE, address, 1)
    if address in wanted:
        track.table.unwant("gdb", breakpoint_)
        wanted.discard(address)
    else:
        track.table.want("gdb", breakpoint_)
        wanted.add(address)


@settings(max_examples=40)
@given(
    PROGRAMS,
    st.lists(MOVES, max_size=12),
    st.integers(2, 3),
    st.lists(st.integers(0, 2), max_size=60),
    st.lists(st.integers(0, 12), max_size=2),
)
@example(  # the plan's breakpoint is where the other thread is still to step, on an instruction as short as the trap
    [INC, INC, PUSH, ("jump", 7), INC, INC, INC, RET],
    [*[("step",)] * 4, ("toggle", 0), ("toggle", 0), ("step",), ("step",)],
    2,
    [],
    [6],
)
def test_several_processors_do_what_they_would_have_done_undebugged(
    program: list[bytes | tuple[str, int]],
    moves: list[tuple[object, ...]],
    cpus: int,
    schedule: list[int],
    break_ins: list[int],
) -> None:
    code = assemble(program)
    courses = [course_of(code, number, cpus) for number in range(cpus)]
    assume(not any(course.faults for course in courses))
    places = [0] * cpus
    wanted: set[int] = set()
    at = addresses(*code)
    cpu = a_machine(code, cpus)
    execution = MiniCpus(cpu, schedule, limit=LIMIT)
    with track_on(cpu, execution) as track:
        track.runner.is_break_in = is_break_in
        track.runner.interrupted = impatient(40)
        for number, move in enumerate(moves):
            if move[0] == "toggle":
                toggle(track, at[int(move[1]) % len(at)], wanted)
                continue
            if number in break_ins:
                execution.break_in(number % cpus)
            stopped = execution.processors[(track.target.thread or 0) - 101]
            seen = track.go(plan_of(move, track, code, stopped.frames))
            for which, processor in enumerate(execution.processors):
                if seen is None:
                    return  # farther than anybody looked
                here = registers(track) if track.target.thread == cpu.cpus[which].pid else processor.registers
                state = processor.frames[0].registers if processor.frames else here
                places[which] = later(courses[which], places[which], state)


def impatient(moves: int) -> Callable[[], bool]:
    """Somebody who interrupts after every so many moves: a step may go round in a loop for ever."""
    counted = itertools.count(1)
    return lambda: next(counted) % moves == 0


def is_break_in(pc: int) -> bool:
    return pc == BREAK_IN + 1


def later(course: Course, place: int, state: dict[str, int]) -> int:
    """The first place on the course, not before ``place``, that has this state; it must have one."""
    names = ("rip", "rax", "rbx", "rcx", "rbp", "rsp", "eflags")
    state = without_trap_flag(state)
    for n in range(place, len(course.states)):
        if all(course.states[n][name] == state[name] for name in names):
            return n
    raise AssertionError(f"{state} is not on the way from {course.states[place]}")
