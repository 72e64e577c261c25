# SPDX-License-Identifier: Apache-2.0
"""Eight hours of the session's clock: stops, modules, lost lines and reboots, and nothing grows."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nullmodem.session import reconnection
from nullmodem.session.model import Said, State
from nullmodem.testing.line import VirtualClock
from support.cable import Cable
from support.fakekernel import FakeKernel
from support.lines import until
from support.rig import Arrival, next_event, rig_on
from support.rigged import kernel_file, module_path

if TYPE_CHECKING:
    from support.rig import Gdb, Rig

__all__ = ["kernel_file", "module_path"]

STEP = 20.0
"""Seconds of the clock from one stop to the next."""
LIVE, GOING = 0, 2
STOPS_TO_A_LOAD, STOPS_TO_A_LOST_LINE, STOPS_TO_A_REBOOT = 15, 10, 60
GROWTH = 100_000
"""Bytes that a run may take more than one that was as long."""


def said(rig: Rig, words: str) -> None:
    while True:
        event = next_event(rig.events, Said)
        if isinstance(event, Said) and words in event.text:
            return


def run(rig: Rig, gdb: Gdb) -> None:
    gdb.send(b"vCont;c")
    rig.until(State.RUNNING)


def load_and_unload(rig: Rig, gdb: Gdb, module: Path) -> None:
    """A module comes and goes again; gdb learns of both."""
    loaded = rig.load(module)
    for arrival, told in (
        (rig.module_loads(loaded), True),
        (rig.module_event(loaded, LIVE), False),
        (rig.module_event(loaded, GOING), True),
    ):
        rig.happen(arrival)
        if told:
            assert gdb.stop().library
            gdb.send(b"vCont;c")
        until(lambda: rig.fake.running, "the machine runs")


def one_boot(kernel: Path, module: Path, directory: Path, clock: VirtualClock) -> None:
    """From a boot to the next one; the session ends with it."""
    with rig_on(FakeKernel(kernel), directory, clock=clock) as rig:
        cable = Cable(rig)
        gdb = rig.gdb()
        gdb.attach()
        at = rig.kernel.symbol("do_init_module") + 4
        gdb.ask(b"Z0,%x,1" % at)
        run(rig, gdb)
        for stop in range(1, STOPS_TO_A_REBOOT + 1):
            clock.now += STEP
            rig.happen(Arrival(at))
            gdb.stop()
            if stop % STOPS_TO_A_LOST_LINE == 0:  # while it stands, and then while it runs
                cable.pull()
                cable.plug()
                said(rig, "stands where it stood")
            gdb.ask(b"m%x,40" % rig.kernel.symbol("init_uts_ns"))
            run(rig, gdb)
            if stop % STOPS_TO_A_LOAD == 0:
                load_and_unload(rig, gdb, module)
            if stop % (2 * STOPS_TO_A_LOST_LINE) == 0:
                cable.pull()
                cable.plug()
                said(rig, "given its breakpoints anew")
            while rig.events.get() is not None:
                pass
        rig.line.poke(rig.fake.reboot)
        rig.until(State.LOST)
        rig.fake.typed.clear()
        rig.live.close(release=False)
        cable.close()


def used() -> tuple[int, int, int]:
    """Bytes, descriptors and threads of this process."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0], len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_eight_hours_of_stops_reboots_and_lost_lines_cost_no_memory_and_no_descriptor(
    kernel_file: Path, module_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REPEAT_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(reconnection, name, 0.02)
    clock = VirtualClock()
    tracemalloc.start()
    try:
        hours: list[tuple[int, int, int]] = []
        boots = 0
        while clock.now < 8 * 3600:
            boots += 1
            directory = tmp_path / f"boot{boots}"
            directory.mkdir()
            one_boot(kernel_file, module_path, directory, clock)
            if clock.now >= 3600 * (len(hours) + 1):
                hours.append(used())
    finally:
        tracemalloc.stop()
    print(f"{boots} boots, {boots * STOPS_TO_A_REBOOT} stops; bytes, descriptors, threads each hour: {hours}")
    assert len(hours) == 8
    first, last = hours[1], hours[-1]
    assert last[0] - first[0] < GROWTH
    assert last[1:] == first[1:]
