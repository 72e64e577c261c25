# SPDX-License-Identifier: Apache-2.0
"""The runner at breakpoints that were reached and are not to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import StopReason
from nullmodem.session.stepping import ContinuePlan, RangePlan, StepPlan
from nullmodem.stub.x86_64 import X86_64
from support.minicpu import DEC, INC, MOVE, NOP, TEXT, MiniCpus, addresses, jump, jump_if, machine
from support.runner import track_on

if TYPE_CHECKING:
    from support.runner import Track

FIRST = 101


def soft(address: int) -> Breakpoint:
    return Breakpoint(BreakpointKind.SOFTWARE, address, 1)


def over(track: Track, start: int, end: int) -> RangePlan:
    return RangePlan(X86_64, track.target.thread, start, end)


def test_a_breakpoint_that_is_not_to_be_shown_is_passed_and_stays() -> None:
    code = (INC, INC, INC, jump(-11))
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, cpus := MiniCpus(cpu, limit=40)) as track:
        track.table.want("gdb", soft(at[1]))
        track.owner.passes.add(at[1])
        assert track.go(ContinuePlan()) is None
        assert set(track.owner.asked) == {at[1]}
        executed = cpus.processors[0].executed
        assert executed == ([*at] * 10)[: len(executed)]
        assert len(track.owner.asked) - executed.count(at[1]) in (0, 1)
        assert executed.count(at[1]) >= 5


def test_one_on_an_instruction_that_only_moves_registers_is_passed_without_lifting_it() -> None:
    code = (INC, MOVE, INC, jump(-11))
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu, limit=40)) as track:
        track.table.want("gdb", soft(at[1]))
        track.owner.passes.add(at[1])
        assert track.go(ContinuePlan()) is None
        assert len(track.owner.asked) >= 5
        assert b"s" not in track.fake.requests
        assert not [packet for packet in track.fake.requests if packet.startswith(b"z0")]
        assert cpu.cpus[0].registers["rcx"] in (cpu.cpus[0].registers["rax"] - 1, cpu.cpus[0].registers["rax"] - 2)


def test_a_step_through_a_line_goes_on_past_one_that_is_not_to_be_shown() -> None:
    code = (INC, INC, DEC, jump_if("ne", -11), NOP)
    at = addresses(*code)
    cpu = machine(*code)
    cpu.cpus[0].registers["rbx"] = 4
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.table.want("gdb", soft(at[1]))
        track.owner.passes.add(at[1])
        assert track.go(over(track, TEXT, at[4])) == (StopReason.STEP, at[4])
        assert track.target.own["rax"] == 8
        assert track.go(StepPlan(FIRST)) == (StopReason.STEP, at[4] + 1)
        assert len(track.owner.asked) == 4
