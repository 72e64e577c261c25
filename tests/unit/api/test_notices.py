# SPDX-License-Identifier: Apache-2.0
"""What a session has to say reaches its log and the console, and nothing of it is lost at the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nullmodem.api.notices import Notices
from nullmodem.session.events import KEPT, EventBus
from nullmodem.session.model import Lost, Resumed, Said

if TYPE_CHECKING:
    import pytest


def test_every_line_is_told_and_logged_in_order(caplog: pytest.LogCaptureFixture) -> None:
    bus, told, others = EventBus(), list[str](), set(threading.enumerate())
    notices = Notices(bus.subscribe(), told.append)
    for event in (Said("one"), Resumed(1), Said("two"), Lost("gone")):
        bus.publish(event)
    notices.close()
    notices.close()
    assert told == ["one", "two", "the target is lost: gone"]
    assert [record.getMessage() for record in caplog.records] == told
    assert not any(thread.name == "nullmodem-notices" for thread in set(threading.enumerate()) - others)


def test_a_line_is_told_when_it_is_said() -> None:
    bus, heard = EventBus(), threading.Event()
    notices = Notices(bus.subscribe(), lambda _text: heard.set())
    bus.publish(Said("now"))
    assert heard.wait(10)
    notices.close()


def test_the_last_lines_are_kept_for_who_asks_later() -> None:
    bus = EventBus()
    for number in range(KEPT + 5):
        bus.publish(Said(str(number)))
    assert [text for _when, text in bus.said] == [str(number) for number in range(5, KEPT + 5)]
