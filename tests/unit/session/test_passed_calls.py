# SPDX-License-Identifier: Apache-2.0
"""What a debugger has shown of how it steps is kept for the command that showed it, and not longer."""

from __future__ import annotations

from dataclasses import replace

from nullmodem.session.model import Resume, ResumeKind, StopReason
from nullmodem.session.passed_calls import Call, PassedCalls, Standing

CALL = Call(function=0x2000, returns_to=0x1005, sp=0x8000)
RANGE, RUN = Resume(ResumeKind.RANGE, 0x1000, 0x1010), Resume()
IN_FUNCTION = Standing(StopReason.STEP, 7, 0x2000, 0x7FF8, CALL)
RETURNED = Standing(StopReason.BREAKPOINT, 7, 0x1005, 0x8000)


def shown(calls: PassedCalls, standing: Standing = RETURNED, client: str = "gdb", *, bound: bool = True) -> set[int]:
    """A client comes to a call, continues, stops as ``standing`` says and steps on; the functions it steps over."""
    assert (
        calls.resumed(client, RANGE, Standing(StopReason.BREAKPOINT, 7, 0x1000, 0x8000), has_stop_at_return=False)
        == set()
    )
    calls.resumed(client, RUN, IN_FUNCTION, has_stop_at_return=bound)
    assert calls.is_on_its_way == bound
    return {*calls.resumed(client, RANGE, standing, has_stop_at_return=False)}


def test_who_runs_to_where_a_call_returns_and_steps_on_steps_over_the_function() -> None:
    calls = PassedCalls()
    assert shown(calls) == {0x2000}
    assert calls.resumed("gdb", RANGE, RETURNED, has_stop_at_return=False) == {0x2000}


def test_who_has_no_breakpoint_there_does_not() -> None:
    assert shown(PassedCalls(), bound=False) == set()


def test_who_stops_elsewhere_in_another_frame_or_for_another_reason_does_not() -> None:
    assert shown(PassedCalls(), replace(RETURNED, pc=0x1006)) == set()
    assert shown(PassedCalls(), replace(RETURNED, sp=0x7000)) == set()
    assert shown(PassedCalls(), replace(RETURNED, reason=StopReason.INTERRUPT)) == set()


def test_it_is_forgotten_when_the_command_ends() -> None:
    calls = PassedCalls()
    shown(calls)
    calls.forget()
    assert calls.resumed("gdb", RANGE, RETURNED, has_stop_at_return=False) == set()


def test_it_is_forgotten_by_a_step_a_continue_another_client_and_another_thread() -> None:
    for request, client, thread in (
        (Resume(ResumeKind.STEP), "gdb", 7), (RUN, "gdb", 7), (RANGE, "other", 7), (RANGE, "gdb", 8),
    ):  # fmt: skip
        calls = PassedCalls()
        shown(calls)
        assert calls.resumed(client, request, replace(RETURNED, thread=thread), has_stop_at_return=False) == set()
        assert calls.resumed(client, RANGE, replace(RETURNED, thread=thread), has_stop_at_return=False) == set()


def awaited(calls: PassedCalls, *before: int, pc: int = 0x1000) -> int | None:
    """A client that has these breakpoints steps from ``pc`` to a call and continues, with one where that returns to."""
    start = Standing(StopReason.BREAKPOINT, 7, pc, 0x8000)
    calls.resumed("gdb", RANGE, start, has_stop_at_return=False, stops_at=frozenset(before))
    now = frozenset({*before, CALL.returns_to})
    calls.resumed("gdb", RUN, IN_FUNCTION, has_stop_at_return=True, stops_at=now)
    return calls.awaited_alone


def test_where_a_call_returns_to_one_thread_is_waited_for_unless_the_user_has_a_breakpoint_there() -> None:
    assert awaited(PassedCalls(), 0x3000) == CALL.returns_to
    assert awaited(PassedCalls(), 0x3000, CALL.returns_to) is None


def test_a_breakpoint_that_is_left_out_to_be_stepped_off_is_the_users_still() -> None:
    calls = PassedCalls()
    calls.resumed("gdb", RUN, RETURNED, has_stop_at_return=False, stops_at=frozenset({CALL.returns_to}))
    assert awaited(calls, pc=CALL.returns_to) is None
    assert awaited(calls) == CALL.returns_to  # it was deleted


def test_nobody_is_waited_for_when_the_function_has_returned() -> None:
    calls = PassedCalls()
    awaited(calls)
    calls.resumed("gdb", RANGE, RETURNED, has_stop_at_return=False)
    assert calls.awaited_alone is None
