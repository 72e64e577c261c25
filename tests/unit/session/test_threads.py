# SPDX-License-Identifier: Apache-2.0
"""Thread ids: the stub's and the ones clients see, and which thread may be stepped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import StateError
from nullmodem.session.model import Resume, ResumeKind
from nullmodem.session.threads import PROCESSOR_BASE, public_id, require_own, stub_id


@given(st.integers(0, 8191))
def test_a_processor_has_one_id_whatever_it_runs(number: int) -> None:
    assert public_id(-2 - number) == PROCESSOR_BASE + number
    assert stub_id(PROCESSOR_BASE + number) == -2 - number


@given(st.integers(0, 4 * 1024 * 1024))
def test_a_task_keeps_its_pid(pid: int) -> None:
    assert public_id(pid) == stub_id(pid) == pid


def test_no_pid_is_a_processors_id() -> None:
    assert PROCESSOR_BASE > 4 * 1024 * 1024  # PID_MAX_LIMIT


@pytest.mark.parametrize("kind", [ResumeKind.STEP, ResumeKind.RANGE])
@pytest.mark.parametrize(
    ("stopped", "asked"), [(201, 201), (201, None), (-2, PROCESSOR_BASE), (-5, PROCESSOR_BASE + 3)]
)
def test_the_thread_that_stopped_may_be_stepped(kind: ResumeKind, stopped: int, asked: int | None) -> None:
    require_own(Resume(kind, thread=asked), stopped)


@pytest.mark.parametrize(("stopped", "asked"), [(201, 202), (201, PROCESSOR_BASE), (-2, PROCESSOR_BASE + 1), (-2, -2)])
def test_another_may_not(stopped: int, asked: int) -> None:
    with pytest.raises(StateError, match="only the thread that stopped"):
        require_own(Resume(ResumeKind.STEP, thread=asked), stopped)


def test_all_go_on_whichever_is_named() -> None:
    require_own(Resume(thread=1), 201)
