# SPDX-License-Identifier: Apache-2.0
"""Whether gdb waits for the target: who may tell it to go on, and when the target has."""

from __future__ import annotations

import threading
from typing import Any

from nullmodem.frontends.dap.run_state import RunState

PAUSE: dict[str, Any] = {"reason": "pause"}
BREAKPOINT: dict[str, Any] = {"reason": "breakpoint"}


def standing() -> RunState:
    state = RunState()
    assert state.stopped(BREAKPOINT)
    return state


def test_one_of_several_tells_gdb_to_go_on() -> None:
    state = standing()
    threads = [threading.Thread(target=lambda: told.append(state.set_out())) for _ in range(4)]
    told: list[bool] = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [False, False, False, True]
    assert state.running


def test_the_target_has_gone_on_when_the_session_says_so_and_not_by_an_older_word() -> None:
    state = standing()
    state.gone(4)
    assert state.set_out()
    assert not state.wait_until_gone(4, 0)
    state.gone(5)
    assert state.wait_until_gone(4, 0)


def test_gdb_does_not_go_on_from_a_stop_that_it_has_left_for_another() -> None:
    state = standing()
    before = state.last
    state.set_out()
    state.stopped(dict(BREAKPOINT))
    assert not state.set_out(only_from=before)
    assert not state.running
    assert state.set_out(only_from=state.last)


def test_a_next_stop_instead_of_going_on_is_waited_for_no_longer() -> None:
    state = standing()
    assert state.set_out()
    threading.Thread(target=state.stopped, args=(BREAKPOINT,)).start()
    assert state.wait_until_gone(0, 30)
    assert not state.running


class Deaf:
    """A gdb whose target stops as soon as it is asked."""

    def __init__(self, state: RunState) -> None:
        self._state = state

    def send(self, command: str, _arguments: object, _answered: object) -> int:
        assert command == "pause"
        assert not self._state.stopped(PAUSE)
        return 1


def test_a_stop_for_a_moment_is_the_editors_only_if_it_asks_for_one() -> None:
    state = standing()
    state.set_out()
    state.stop_quietly(Deaf(state))  # type: ignore[arg-type]
    assert state.quiet
    assert state.running
    assert state.show() == PAUSE
    assert not state.running
    assert state.show() is None


def test_a_stop_that_the_user_has_seen_meanwhile_is_not_ended_as_one_that_he_does_not_know_of() -> None:
    state = standing()
    assert not state.set_out(only_if_quiet=True)
    assert state.hide()
    assert not state.hide()
    assert state.show() == BREAKPOINT  # the user paused between the two
    assert not state.set_out(only_if_quiet=True)
    assert not state.running
    assert state.hide()
    assert state.set_out(only_if_quiet=True)
    assert state.running
