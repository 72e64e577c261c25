# SPDX-License-Identifier: Apache-2.0
"""Events: heard by all who listen, in order, and by none at the cost of another."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

from nullmodem.session.events import EventBus, Subscription
from nullmodem.session.model import Resumed, Said
from nullmodem.waiting import wait_readable


def readable(subscription: Subscription) -> bool:
    return bool(wait_readable([subscription.fileno()], 0))


def everything(subscription: Subscription) -> list[object]:
    events = []
    while (event := subscription.get()) is not None:
        events.append(event)
    return events


def test_everybody_hears_everything_in_order() -> None:
    bus = EventBus()
    first, second = bus.subscribe(), bus.subscribe()
    said = [Said(str(n)) for n in range(5)]
    for event in said:
        bus.publish(event)
    assert everything(first) == said
    assert everything(second) == said
    first.close()
    second.close()


def test_who_comes_later_hears_what_comes_later() -> None:
    bus = EventBus()
    bus.publish(Said("before"))
    subscription = bus.subscribe()
    bus.publish(Resumed(1))
    assert everything(subscription) == [Resumed(1)]
    subscription.close()


def test_its_descriptor_is_readable_exactly_while_something_waits() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    assert not readable(subscription)
    assert subscription.get() is None
    for _ in range(3):
        bus.publish(Said("a"))
        bus.publish(Said("b"))
        assert readable(subscription)
        subscription.get()
        assert readable(subscription)
        subscription.get()
        assert not readable(subscription)
    subscription.close()


def test_a_listener_that_does_not_listen_costs_a_bounded_amount_and_loses_the_oldest() -> None:
    bus = EventBus()
    slow = Subscription(bus, capacity=100)
    for number in range(1000):
        slow.put(Said(str(number)))
    heard = everything(slow)
    assert heard == [Said(str(number)) for number in range(900, 1000)]
    assert not readable(slow)
    slow.put(Said("again"))
    assert readable(slow)
    slow.close()


def test_publishing_never_waits_for_a_listener() -> None:
    bus = EventBus()
    slow, quick = bus.subscribe(), bus.subscribe()
    for number in range(20_000):
        bus.publish(Said(str(number)))
        assert quick.get() == Said(str(number))
    assert len(everything(slow)) == 10_000
    slow.close()
    quick.close()


def test_closing_ends_listening_and_may_be_done_twice() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    bus.publish(Said("heard"))
    subscription.close()
    subscription.close()
    bus.publish(Said("not heard"))
    subscription.put(Said("nor this"))


def test_what_was_not_read_before_closing_can_still_be_asked_for() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    bus.publish(Said("one"))
    subscription.close()
    subscription.get()  # the descriptor may be somebody else's by now: it must not be touched


def test_listeners_come_and_go_while_events_are_published() -> None:
    bus = EventBus()
    done = threading.Event()

    def publish() -> None:
        while not done.is_set():
            bus.publish(Said("x"))

    publisher = threading.Thread(target=publish)
    publisher.start()
    for _ in range(200):
        subscription = bus.subscribe()
        wait_readable([subscription.fileno()], 5)
        assert subscription.get() == Said("x")
        subscription.close()
    done.set()
    publisher.join()


def test_it_leaves_no_descriptor() -> None:
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    bus = EventBus()
    for _ in range(10):
        bus.subscribe().close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before  # another test's may go meanwhile
