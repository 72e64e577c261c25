# SPDX-License-Identifier: Apache-2.0
"""A machine that stands at a stop for longer than its watchdogs have patience."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = [pytest.mark.vm, pytest.mark.soak]

MINUTE = 60.0
COMPLAINT = re.compile(r"soft lockup|hard LOCKUP|rcu.*stall|hung task|clocksource.*unstable|WARNING:|BUG:")


def test_a_minute_at_a_stop_leaves_no_complaint_in_the_kernels_log(bench: Bench) -> None:
    live = bench.machine.live
    bench.machine.interrupt()
    events = live.subscribe()
    try:
        assert not wait_readable([events], MINUTE), "nothing happens meanwhile"
    finally:
        events.close()
    live.go()
    log = bench.sh("dmesg")
    assert COMPLAINT.search(log) is None, log[-2000:]
