# SPDX-License-Identifier: Apache-2.0
"""The meter counts, and two readings subtract."""

from __future__ import annotations

import pytest

from nullmodem.wire.meter import Meter, WireCost


def test_a_meter_counts_each_way_and_round_trips() -> None:
    meter = Meter()
    assert meter.cost == WireCost(0, 0, 0)
    meter.sent(5)
    meter.received(100)
    meter.received(20)
    meter.round_trip()
    assert meter.cost == WireCost(bytes_out=5, bytes_in=120, round_trips=1)


def test_what_lay_between_two_readings_is_their_difference() -> None:
    meter = Meter()
    meter.sent(3)
    before = meter.cost
    meter.sent(4)
    meter.round_trip()
    assert meter.cost - before == WireCost(bytes_out=4, round_trips=1)
    assert before == WireCost(bytes_out=3)
    assert (meter.cost - before) + before == meter.cost


@pytest.mark.parametrize(
    ("baud", "latency", "seconds"), [(115200, 0.0, 0.3477), (115200, 0.016, 0.8437), (921600, 0.001, 0.0745)]
)
def test_time_is_ten_bits_a_byte_and_the_latency_of_each_round_trip(baud: int, latency: float, seconds: float) -> None:
    cost = WireCost(bytes_out=1005, bytes_in=3000, round_trips=31)
    assert cost.seconds(baud, latency) == pytest.approx(seconds, abs=1e-4)


def test_a_line_is_used_as_far_as_bytes_were_on_it_while_an_answer_was_awaited() -> None:
    meter = Meter()
    meter.sent(20)
    began = meter.cost
    meter.sent(10)
    meter.received(100)
    meter.asked(meter.cost - began, 0.0191)  # 110 bytes take half of that at 115200 baud
    use = meter.use(began, 115200)
    assert use.total == WireCost(30, 100)
    assert use.command == WireCost(10, 100)
    assert use.utilisation == pytest.approx(0.5, abs=0.001)
    assert meter.use(began, None).utilisation is None
    assert Meter().use(WireCost(), 115200).utilisation is None
