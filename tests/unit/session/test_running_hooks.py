# SPDX-License-Identifier: Apache-2.0
"""The session's own breakpoints, met in the middle of what a client asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.hooks import Hook, HookPoint
from nullmodem.session.model import StopReason
from nullmodem.session.stepping import ContinuePlan, RangePlan
from nullmodem.stub.x86_64 import X86_64
from support.minicpu import (
    DEC,
    INC,
    NOP,
    NOP5,
    SELF,
    TEXT,
    MiniCpus,
    addresses,
    jump,
    machine,
    store,
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


def test_a_hook_is_passed_by_registers_in_the_middle_of_a_step() -> None:
    code = (INC, INC, NOP5, INC, INC, NOP)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, cpus := MiniCpus(cpu)) as track:
        track.runner.hooks = {at[2]: Hook(HookPoint.INIT, at[2], NOP5)}
        track.table.keep([soft(at[2])])
        assert track.go(over(track, TEXT, at[5])) == (StopReason.STEP, at[5])
        assert track.owner.hooks == [at[2]]
        assert at[2] not in cpus.processors[0].executed


def test_a_hook_that_cannot_be_passed_by_registers_is_stepped_and_armed_again() -> None:
    code = (INC, DEC, INC, jump(-11))
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.runner.hooks = {at[1]: Hook(HookPoint.EVENT, at[1], DEC)}
        track.table.keep([soft(at[1])])
        track.table.want("gdb", soft(at[2]))
        for count in (1, 2, 3):
            assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, at[2])
            assert track.owner.hooks == [at[1]] * count


def test_a_step_off_a_breakpoint_onto_a_hook_leaves_both_armed() -> None:
    code = (INC, DEC, INC, jump(-11))
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.runner.hooks = {at[1]: Hook(HookPoint.EVENT, at[1], DEC)}
        track.table.keep([soft(at[1])])
        track.table.want("gdb", soft(at[0]))
        for count in (1, 2, 3):
            assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, at[0])
            assert track.owner.hooks == [at[1]] * count


def test_a_breakpoint_on_a_hook_is_shown_after_the_hook_was_heard() -> None:
    code = (INC, NOP5, INC, jump(-13))
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.runner.hooks = {at[1]: Hook(HookPoint.INIT, at[1], NOP5)}
        track.table.keep([soft(at[1])])
        track.table.want("gdb", soft(at[1]))
        for count in (1, 2):
            assert track.go(ContinuePlan()) == (StopReason.BREAKPOINT, at[1])
            assert track.owner.hooks == [at[1]] * count


def test_a_hook_that_keeps_the_target_keeps_it() -> None:
    code = (INC, NOP5, INC, SELF)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        track.runner.hooks = {at[1]: Hook(HookPoint.INIT, at[1], NOP5)}
        track.table.keep([soft(at[1])])
        track.owner.go_on = False
        assert track.go(ContinuePlan()) is None
        assert track.owner.hooks == [at[1]]
        assert track.owner.seen == []
        assert track.pc == at[1]
        track.runner.go_on()
        assert track.until(0) is None
        assert track.owner.hooks == [at[1]]


def test_a_store_is_executed_once() -> None:
    cell = TEXT + 0x1000
    code = (INC, store(cell, TEXT + 3), INC, SELF)
    at = addresses(*code)
    cpu = machine(*code, data=0x1000)
    with track_on(cpu, MiniCpus(cpu)) as track:
        assert track.go(over(track, TEXT, at[3])) == (StopReason.STEP, at[3])
        assert track.target.read(cell, 8) == (1).to_bytes(8, "little")
