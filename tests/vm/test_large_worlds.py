# SPDX-License-Identifier: Apache-2.0
"""A thousand tasks and a hundred and fifty modules make nothing dearer that has nothing to do with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from growth import MEMORY_MB, world_set

from nullmodem.bench.measure import build_modules
from nullmodem.bench.play import play
from nullmodem.bench.sides import Session, World
from nullmodem.kbuild import ensure_kernel
from support.gdb import debian

if TYPE_CHECKING:
    from nullmodem.bench.sides import Measured

# The cost tests hold the same for 340 tasks and 20 modules.
pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.soak, pytest.mark.timeout(600)]

TASKS, MODULES = 1000, 150

PLAIN = 44
"""Round trips that a plain gdb with lx-symbols takes for each module."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Measured]:
    """The same three operations in a small world and then in a large one, on one machine."""
    work = tmp_path_factory.mktemp("large")
    kernel = ensure_kernel("6.1")
    worlds = world_set(("small", 0, 0), ("large", TASKS, MODULES))
    world = World(kernel, debian(), build_modules(worlds, kernel, work / "modules"), memory_mb=MEMORY_MB)
    with Session(world, work / "s") as session:
        for scenario in worlds.scenarios:
            play(scenario, session)
        assert len(session.machine.live.modules()) == 0
        return session.measured


@pytest.mark.parametrize("operation", ["attach", "hit"])
def test_a_stop_costs_what_it_costs_in_a_small_world(measured: dict[str, Measured], operation: str) -> None:
    small, large = measured[f"small {operation}"], measured[f"large {operation}"]
    print(
        f"{operation}: {small.round_trips} trips, {small.bytes} bytes; {large.round_trips} trips, {large.bytes} bytes"
    )
    assert large.round_trips <= small.round_trips
    # Addresses and pids may have some digits more.
    assert large.bytes <= 1.05 * small.bytes


def test_150_modules_are_taken_in_with_few_round_trips_each(measured: dict[str, Measured]) -> None:
    """Once in a session."""
    small, large = measured["small begin"], measured["large begin"]
    each = (large.round_trips - small.round_trips) / MODULES
    print(f"{each:.2f} round trips for each module, {(large.bytes - small.bytes) / MODULES:.0f} bytes")
    assert each <= 0.12 * PLAIN
