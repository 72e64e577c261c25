# SPDX-License-Identifier: Apache-2.0
"""The runner: what a stop turns out to be, on processors that execute real instructions behind a fake stub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import StopReason
from nullmodem.session.stepping import ContinuePlan, RangePlan, ReturnPlan, StepPlan
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing.fakemachine import Region
from support.minicpu import (
    BREAK_IN,
    DEC,
    INC,
    MOVE,
    NOP,
    NOP5,
    POP,
    PUSH,
    RET,
    SELF,
    STACK,
    STACK_SIZE,
    TEXT,
    MiniCpus,
    addresses,
    call,
    jump,
    jump5,
    jump_if,
    machine,
)
from support.runner import track_on

if TYPE_CHECKING:
    from support.runner import Track

FIRST, SECOND = 101, 102  # the pids of a machine's processors


def soft(address: int) -> Breakpoint:
    return Breakpoint(BreakpointKind.SOFTWARE, address, 1)


def hard(address: int) -> Breakpoint:
    return Breakpoint(BreakpointKind.HARDWARE, address, 1)


def over(track: Track, start: int, end: int) -> RangePlan:
    return RangePlan(X86_64, track.target.thread, start, end)


def test_it_runs_to_a_breakpoint_and_past_it_again() -> None:
    code = (INC, INC, INC, jump(-11))
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, cpus := MiniCpus(cpu)) as track:
        track.table.want("gdb", soft(at[1]))
        assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, at[1])
        assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, at[1])
        assert track.target.own["rax"] == 4
        assert cpus.processors[0].executed == [at[0], at[1], at[2], at[3], at[0]]


def test_a_hardware_breakpoint_is_hit_and_passed() -> None:
    code = (INC, INC, INC, jump(-11))
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.table.want("gdb", hard(at[1]))
        for count in (1, 4, 7):
            assert track.go(ContinuePlan()) == (StopReason.HARDWARE_BREAKPOINT, at[1])
            assert track.target.own["rax"] == count


def test_a_step_is_one_instruction_with_a_breakpoint_under_it_or_without() -> None:
    code = (INC, INC, INC)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.table.want("gdb", soft(at[0]))
        assert track.go(StepPlan(FIRST)) == (StopReason.STEP, at[1])
        assert track.go(StepPlan(FIRST)) == (StopReason.STEP, at[2])
        assert track.target.own["rax"] == 2


def test_a_step_onto_a_breakpoint_counts_as_hitting_it() -> None:
    code = (INC, INC, INC, SELF)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.table.want("gdb", soft(at[1]))
        track.table.want("gdb", hard(at[2]))
        assert track.go(StepPlan(FIRST)) == (StopReason.BREAKPOINT, at[1])
        assert track.go(over(track, TEXT, at[3])) == (StopReason.HARDWARE_BREAKPOINT, at[2])
        assert track.go(ContinuePlan()) is None  # once is enough


def test_straight_code_is_run_through_on_one_temporary_breakpoint() -> None:
    code = (INC, MOVE, DEC, INC, INC, call(0), NOP)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        assert track.go(over(track, TEXT, at[6])) == (StopReason.STEP, at[6])
        assert [packet for packet in track.fake.requests if packet in (b"c", b"s")] == [b"c", b"s"]
    assert cpu.software == frozenset()


def test_a_loop_in_the_range_is_run_to_its_end() -> None:
    code = (INC, DEC, jump_if("ne", -8), NOP)
    at = addresses(*code)
    cpu = machine(*code)
    cpu.cpus[0].registers["rbx"] = 5
    with track_on(cpu, MiniCpus(cpu)) as track:
        assert track.go(over(track, TEXT, at[3])) == (StopReason.STEP, at[3])
        assert track.target.own["rax"] == 5


def test_a_call_leaves_the_range_and_is_shown() -> None:
    code = (INC, call(1), NOP, INC, RET)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        assert track.go(over(track, TEXT, at[2] + 1)) == (StopReason.STEP, at[3])


def test_a_breakpoint_inside_the_range_ends_the_step() -> None:
    code = (INC, INC, INC, INC, NOP)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.table.want("gdb", soft(at[2]))
        assert track.go(over(track, TEXT, at[4])) == (StopReason.BREAKPOINT, at[2])
        assert track.go(over(track, TEXT, at[4])) == (StopReason.STEP, at[4])


def test_a_breakpoint_on_a_jump_in_the_range_is_not_jumped_over() -> None:
    code = (jump(0), jump(0), jump(0), INC, NOP)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.table.want("gdb", soft(at[1]))
        assert track.go(over(track, TEXT, at[4])) == (StopReason.BREAKPOINT, at[1])
        assert track.go(over(track, TEXT, at[4])) == (StopReason.STEP, at[4])


def test_code_that_jumps_to_itself_stays_interruptible() -> None:
    cpu = machine(SELF)
    with track_on(cpu, MiniCpus(cpu)) as track:
        plan = over(track, TEXT, TEXT + 2)
        steps = 0

        def wanted() -> bool:
            nonlocal steps
            steps += 1
            return steps > 20

        track.runner.interrupted = wanted
        assert track.go(plan) == (StopReason.INTERRUPT, TEXT)
        assert track.fake.requests.count(b"s") > 1


def test_what_a_static_key_patches_between_two_moves_is_seen() -> None:
    """The nop becomes a jump while the code before it runs: the jump is followed, not the nop."""
    code = (INC, INC, NOP5, INC, SELF, DEC, NOP, SELF)
    at = addresses(*code)
    cpu = machine(*code)

    class Patching(MiniCpus):
        def __call__(self, stopped: object, stepping: bool) -> object:
            stop = super().__call__(cpu, stepping)
            region = cpu.memory[TEXT]
            region.data[at[2] - TEXT : at[3] - TEXT] = jump5(at[5] - at[3])
            return stop

    with track_on(cpu, Patching(cpu)) as track:
        assert track.go(over(track, TEXT, at[6])) == (StopReason.STEP, at[6])
        assert track.target.own["rax"] == 2
        assert track.target.own["rbx"] == (1 << 64) - 1


def test_a_jump_that_became_a_nop_is_not_taken() -> None:
    code = (INC, INC, jump5(5), INC, SELF, DEC, NOP, SELF)
    at = addresses(*code)
    cpu = machine(*code)

    class Patching(MiniCpus):
        def __call__(self, stopped: object, stepping: bool) -> object:
            stop = super().__call__(cpu, stepping)
            cpu.memory[TEXT].data[at[2] - TEXT : at[3] - TEXT] = NOP5
            return stop

    with track_on(cpu, Patching(cpu)) as track:
        assert track.go(over(track, TEXT, at[4])) == (StopReason.STEP, at[4])
        assert track.target.own["rax"] == 3


def test_another_thread_in_the_temporary_breakpoint_is_taken_over_it() -> None:
    code = (INC, INC, INC, INC, call(0), NOP, SELF)
    at = addresses(*code)
    cpu = machine(*code, cpus=2)
    cpus = MiniCpus(cpu, schedule=[1] * 6 + [0] * 30)
    with track_on(cpu, cpus) as track:
        assert track.target.thread == FIRST
        assert track.go(over(track, TEXT, at[5])) == (StopReason.STEP, at[5])
        assert track.target.thread == FIRST
    for processor in cpus.processors:
        assert processor.executed[:4] == list(at[:4])


def test_the_temporary_breakpoint_stays_while_another_thread_is_still_to_leave_it() -> None:
    """Thread two is stepped off it, and thread one stops for something else and runs on before two has moved."""
    code = (INC, INC, INC, INC, call(0), NOP, SELF)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[3]))
    cpus = MiniCpus(cpu, schedule=[1, 1] + [0] * 14)
    with track_on(cpu, cpus) as track:
        track.runner.is_break_in = lambda pc: pc == BREAK_IN + 1
        track.owner.unexplained = lambda _signal: track.runner.go_on()
        cpus.break_in()
        assert track.go(over(track, TEXT, at[5])) == (StopReason.STEP, at[5])
        assert track.target.thread == FIRST
        assert cpus.processors[0].executed == list(at[:5])


def test_a_late_report_of_a_step_goes_unseen() -> None:
    """The first processor steps, the second hits a breakpoint first; the step is reported when nobody waits for it."""
    code = (INC, INC, INC, SELF, INC, INC, SELF)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[4]))
    cpus = MiniCpus(cpu, schedule=[1, 1])
    with track_on(cpu, cpus) as track:
        track.table.want("gdb", soft(at[5]))
        assert track.go(StepPlan(FIRST)) == (StopReason.BREAKPOINT, at[5])
        assert track.target.thread == SECOND
        track.table.want("gdb", soft(at[2]))
        assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, at[2])
        assert track.target.thread == FIRST
        assert track.target.own["rax"] == 2


def test_a_breakpoint_whose_step_was_overtaken_is_not_hit_twice() -> None:
    """Thread one is being stepped off its breakpoint when thread two stops: one has not moved, and hits it no more."""
    code = (INC, INC, SELF, INC, INC, SELF)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[3]))
    cpus = MiniCpus(cpu, schedule=[0, 0, 1, 1])
    with track_on(cpu, cpus) as track:
        track.table.want("gdb", soft(at[1]))
        track.table.want("gdb", soft(at[4]))
        assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, at[1])
        assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, at[4])
        assert track.go(ContinuePlan()) is None  # both are in their loops, each breakpoint was hit once
        assert cpus.processors[0].executed[:2] == [at[0], at[1]]
        assert cpu.software >= {at[1], at[4]}


def test_a_breakpoint_nobody_wants_any_more_is_passed_in_silence() -> None:
    code = (INC, INC, INC, SELF)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, cpus := MiniCpus(cpu)) as track:
        track.table.want("gdb", soft(at[1]))
        track.table.want("gdb", soft(at[2]))
        track.runner.start(ContinuePlan())
        track.table.forget_owner("gdb")  # gdb goes while the target runs
        assert track.until(0) is None
        assert cpus.processors[0].executed[:3] == list(at[:3])
    assert cpu.software == frozenset()


def test_a_break_in_on_the_stepping_thread_is_no_end_of_its_step() -> None:
    """The interrupt was pending when the step began, and came before the instruction did."""
    code = (INC, INC, INC, SELF)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, cpus := MiniCpus(cpu)) as track:
        track.runner.is_break_in = lambda pc: pc == BREAK_IN + 1
        track.owner.unexplained = lambda _signal: track.runner.go_on()
        cpus.break_in()
        assert track.go(StepPlan(FIRST)) == (StopReason.STEP, at[1])
        cpus.break_in()
        assert track.go(over(track, at[1], at[3])) == (StopReason.STEP, at[3])
        assert track.target.own["rax"] == 3


def test_a_stepping_thread_in_an_interrupts_breakpoint_still_has_its_step_to_report() -> None:
    code = (INC, INC, SELF)
    at = addresses(*code)
    cpu = machine(*code)

    with track_on(cpu, MiniCpus(cpu)) as track:
        track.table.want("gdb", soft(BREAK_IN))  # here: the handler of the interrupt
        track.machine.memory[TEXT].data[BREAK_IN - TEXT] = NOP[0]
        track.runner.start(StepPlan(FIRST))
        track.table.forget_owner("gdb")
        assert track.until(0) == (StopReason.STEP, at[1])


def test_a_fault_behind_a_breakpoint_is_where_it_is() -> None:
    """The instruction behind a one-byte one faults; the pc is not taken for that of the breakpoint's trap."""
    code = (NOP, b"\x06", SELF)  # 06 is no instruction
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.table.want("gdb", soft(TEXT))
        cpu.cpus[0].registers["rip"] = TEXT + 1
        track.target.begin(FIRST)
        assert track.go(ContinuePlan()) == (StopReason.FAULT, TEXT + 1)


def test_a_step_that_lands_behind_a_one_byte_breakpoint_is_not_taken_back() -> None:
    """``jmp`` to the byte after a breakpoint on ``push``: that push was not executed and must not be."""
    code = (jump(1), PUSH, INC, POP, SELF)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, cpus := MiniCpus(cpu)) as track:
        track.table.want("gdb", soft(at[1]))
        assert track.go(StepPlan(FIRST)) == (StopReason.STEP, at[2])
        assert track.go(StepPlan(FIRST)) == (StopReason.STEP, at[3])
        assert at[1] not in cpus.processors[0].executed


def test_returning_from_a_break_in_leads_back_to_the_interrupted_code_and_no_farther() -> None:
    code = (INC, INC, INC, SELF)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, cpus := MiniCpus(cpu)) as track:
        cpus.break_in()
        assert track.go(ContinuePlan()) == (StopReason.TRAP, BREAK_IN + 1)
        interrupted = track.target.own.replace({"rip": at[0], "rsp": STACK + STACK_SIZE // 2})
        plan = ReturnPlan(FIRST, interrupted, StepPlan(FIRST))
        assert track.go(plan) == (StopReason.STEP, at[1])
        assert cpus.processors[0].executed == [at[0]]


def test_returning_does_not_stop_in_another_frame_of_the_same_code() -> None:
    """The code calls itself and is reached deeper first: that is stepped off, and it gets back in the end."""
    code = (INC, DEC, jump_if("e", 5), call(-13), NOP, RET)
    at = addresses(*code)
    cpu = machine(*code)
    cpu.cpus[0].registers["rbx"] = 3
    cpu.cpus[0].registers["rsp"] -= 8
    with track_on(cpu, MiniCpus(cpu)) as track:
        deep = track.target.own.replace({"rip": at[0], "rsp": track.target.own.sp - 8})
        plan = ReturnPlan(FIRST, deep, StepPlan(FIRST))
        assert track.go(plan) == (StopReason.STEP, at[1])
        assert track.target.own["rax"] == 2


def test_a_temporary_breakpoint_on_another_stack_is_somebody_elses() -> None:
    """An interrupt handler has the thread's id and a stack of its own."""
    code = (INC, INC, INC, INC, call(0), NOP, SELF)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[2]))
    cpu.cpus[1].pid = FIRST  # the same task, as kgdb sees an interrupt on top of it
    cpu.cpus[1].registers["rsp"] += 0x10_0000
    cpu.memory[STACK + 0x10_0000] = Region(bytearray(2 * STACK_SIZE), writable=True)
    cpus = MiniCpus(cpu, schedule=[1] * 4 + [0] * 30)
    with track_on(cpu, cpus) as track:
        assert track.go(over(track, TEXT, at[5])) == (StopReason.STEP, at[5])
        assert cpus.processors[0].executed == list(at[:5])
