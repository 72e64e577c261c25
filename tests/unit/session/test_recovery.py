# SPDX-License-Identifier: Apache-2.0
"""Breakpoints of a killed session that another processor may have run into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.session.model import State
from nullmodem.session.recovery import Place, Residue, remember
from support.rig import PATIENCE_SECONDS
from support.rigged import kernel_file, rig

if TYPE_CHECKING:
    from support.rig import Rig

__all__ = ["kernel_file", "rig"]


def places(rig: Rig, *residues: Residue) -> list[Place]:
    at = rig.kernel.symbol("do_init_module") + 4
    return [Place(at + number, "", residue) for number, residue in enumerate(residues)]


def stop(rig: Rig) -> int:
    """Have it stand; how many requests that took."""
    rig.live.interrupt()
    rig.live.wait_for_stop(PATIENCE_SECONDS)
    return len(rig.fake.requests)


def test_they_are_removed_when_the_target_runs_on_as_the_kernel_passes_over_removed_ones(rig: Rig) -> None:
    at = places(rig, Residue.CLEAN, Residue.PATCHED)
    before = stop(rig)
    rig.live.look_into(lambda session: remember(session, at))
    rig.live.go()
    rig.until(State.RUNNING)
    asked = rig.fake.requests[before:]
    for place in at:
        assert asked.index(b"Z0,%x,1" % place.address) < asked.index(b"z0,%x,1" % place.address) < asked.index(b"c")
    assert rig.live.look_into(lambda session: session.table.wanted) == frozenset()


@pytest.mark.parametrize("residue", [Residue.TRAP, Residue.UNKNOWN, Residue.GONE])
def test_memory_that_is_not_the_code_it_was_is_not_touched(rig: Rig, residue: Residue) -> None:
    at = places(rig, residue)
    before = stop(rig)
    rig.live.look_into(lambda session: remember(session, at))
    assert not [request for request in rig.fake.requests[before:] if request.startswith(b"Z")]


def test_one_that_is_refused_leaves_the_others(rig: Rig) -> None:
    at = places(rig, Residue.CLEAN, Residue.CLEAN)
    stop(rig)
    rig.fake.refused.add(b"Z0,%x,1" % at[0].address)
    rig.live.look_into(lambda session: remember(session, at))
    assert not rig.live.look_into(lambda session: session.table.software_at(at[0].address))
    assert rig.live.look_into(lambda session: session.table.software_at(at[1].address))
