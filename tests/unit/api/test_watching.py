# SPDX-License-Identifier: Apache-2.0
"""What happens in a session, as another process is told of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nullmodem.api.control_protocol import SessionEvent
from nullmodem.session.model import Lost, ModulesChanged, Printed, Resumed
from support.pretend import STOP, TEXT
from support.served import SECONDS, Served, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable


def test_everything_that_happens_is_told_in_order_and_what_is_a_clients_own_is_not(served: Served) -> None:
    watched, live = served.remote.watch(), served.machine.live
    live.halt()
    live.events.publish(Printed("gdb#1", "for one client alone"))
    live.events.publish(ModulesChanged(2, STOP))
    live.say("something")
    live.events.publish(Resumed(7))
    live.events.publish(Lost("the wire broke"))
    told = [watched.next() for _ in range(5)]
    assert [event and (event.kind, event.text) for event in told] == [
        ("stopped", ""), ("modules", ""), ("said", "something"), ("resumed", ""), ("lost", "the wire broke"),
    ]  # fmt: skip
    assert told[0] is not None
    assert told[0].stop is not None
    assert told[3] is not None
    assert told[3].resumes == 7
    assert (told[0].stop.number, told[0].stop.pc) == (STOP.number, TEXT)
    watched.close()
    watched.dispose()


def test_two_may_watch_and_one_that_goes_takes_nothing_from_the_other(served: Served) -> None:
    first, second = served.remote.watch(), served.remote.watch()
    first.close()
    first.dispose()
    served.machine.live.say("still there")
    assert second.next() == SessionEvent("said", text="still there")
    second.close()
    second.dispose()


def test_who_waits_is_woken_when_it_closes_and_when_the_session_ends(served: Served) -> None:
    closed, ended = served.remote.watch(), served.remote.watch()
    waiting = [in_thread(closed.next), in_thread(ended.next)]
    closed.close()
    served.server.close()
    for (thread, results), watched in zip(waiting, (closed, ended), strict=True):
        thread.join(SECONDS)
        assert results == [None]
        watched.dispose()


def test_a_load_that_is_waited_for_to_the_end_passes_over_stops(served: Served) -> None:
    released, stopped = threading.Event(), threading.Event()

    def act(_verb: str, _out: Callable[[bytes], None]) -> int:
        served.machine.live.halt()
        stopped.set()
        released.wait(SECONDS)
        return 0

    served.machine.act = act
    thread, results = in_thread(lambda: served.remote.load_through("simple", ["a=1"]))
    assert stopped.wait(SECONDS)
    assert served.remote.status().target.state == "stopped"
    assert thread.is_alive()
    released.set()
    thread.join(SECONDS)
    assert results == [None]
    assert ("load", "simple", ("a=1",)) in served.machine.diary
