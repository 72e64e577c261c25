# SPDX-License-Identifier: Apache-2.0
"""A session ends where the kernel would stop again at once, for a debugger that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.session.model import StopReason

if TYPE_CHECKING:
    from conftest import Bench

pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.one_pair]


def test_a_kernel_that_stands_at_its_own_fault_oopses_and_runs(bench: Bench) -> None:
    bench.build("faulty")
    bench.machine.load("faulty").wait()
    gdb = bench.gdb()
    gdb.send("continue")
    bench.machine.live.wait_until_running(60)
    said, _command = bench.hit(gdb, "echo oops > /dev/faulty")
    assert "SIGSEGV" in said
    assert "faulty_do" in said
    stop = bench.machine.live.stop
    assert stop is not None
    assert stop.reason is StopReason.FAULT

    bench.machine.live.close(release=True)
    log = bench.sh("dmesg")
    assert log.count("BUG: kernel NULL pointer dereference") == 1
    assert "faulty_do" in log
