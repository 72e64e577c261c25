# SPDX-License-Identifier: Apache-2.0
"""The runner: what one thread runs into waits until another has come where it is to stop."""

from __future__ import annotations

from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import StopReason
from nullmodem.session.stepping import ContinuePlan, StepPlan
from support.minicpu import DEC, INC, MiniCpus, addresses, machine
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


def test_nobody_waits_for_ever_for_a_step_alone() -> None:
    code = (INC, INC, INC, DEC, DEC, DEC)
    at = addresses(*code)
    cpu = machine(*code, cpus=2, entries=(at[0], at[3]))
    with track_on(cpu, MiniCpus(cpu, schedule=[1] * 1000)) as track:
        track.table.want("gdb", soft(at[4]))
        assert track.go(StepPlan(FIRST, alone=True)) == (StopReason.BREAKPOINT, at[4])
