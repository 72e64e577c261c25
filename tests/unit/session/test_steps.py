# SPDX-License-Identifier: Apache-2.0
"""What is known of a thread after a step without asking for it."""

from __future__ import annotations

import pytest

from nullmodem.session.model import StopReason
from nullmodem.session.stepping import StepPlan
from nullmodem.stub.x86_64 import X86_64
from support.minicpu import INC, NOP5, TEXT, MiniCpus, addresses, call, machine
from support.runner import track_on

PID = 101


@pytest.mark.parametrize("patched", [False, True])
def test_the_stack_pointer_after_a_call_is_that_of_where_it_led(patched: bool) -> None:
    """The kernel patches calls away while it runs (static calls, its tracer's), after their code was read."""
    code = (call(3), INC, INC)
    at = addresses(*code)
    cpu = machine(*code)
    with track_on(cpu, MiniCpus(cpu)) as track:
        assert track.target.code_at(TEXT)[:1] == call(0)[:1]
        before = track.target.own.sp
        if patched:
            cpu.memory[TEXT].data[: len(NOP5)] = NOP5
        track.runner.start(StepPlan(PID))
        stopped = track.stub.take_stop()
        assert stopped is not None
        track.runner.arrived(stopped)
        assert [reason for reason, _signal in track.owner.seen] == [StopReason.STEP]
        assert track.target.own_pc == (at[1] if patched else at[2])
        assert (track.target.known(X86_64.sp) is None) == patched  # it is asked for where it cannot be told
        assert track.target.own_sp == before - (0 if patched else 8)
