# SPDX-License-Identifier: Apache-2.0
"""The table of modules after the kernel has run unwatched: what the kernel's list says now, and nothing of before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from nullmodem.kernel.hooks import ModuleState
from nullmodem.kernel.modules import LoadedModule
from nullmodem.kernel.regions import ModuleRegion, RegionKind
from nullmodem.session.modules import ModuleTable
from nullmodem.symbols.ranges import AddressRange
from support.minicpu import PAGE

AREA = 0xFFFFFFFFC0000000
TEXT_REGION = ModuleRegion(RegionKind.TEXT, AddressRange(AREA, AREA + PAGE))
INIT_REGION = ModuleRegion(RegionKind.INIT_TEXT, AddressRange(AREA + 2 * PAGE, AREA + 3 * PAGE))
LIVE = LoadedModule("simple", AREA + 64, ModuleState.LIVE, None, "ABC", (TEXT_REGION,), 0, 0, 0)
COMING = replace(LIVE, state=ModuleState.COMING, regions=(TEXT_REGION, INIT_REGION))
MOVED = ModuleRegion(RegionKind.TEXT, AddressRange(AREA + PAGE, AREA + 2 * PAGE))


class Kernel:
    """`ModuleReader` of a list of modules; `ModuleFinder` of no file; and what was said to be freed."""

    directories = ()

    def __init__(self, *modules: LoadedModule) -> None:
        self.list = list(modules)
        self.dropped: list[tuple[int, int]] = []

    def walk(self, _memory: object, *, sections: bool) -> list[LoadedModule]:
        assert not sections
        return self.list

    def find(self, *_identity: object) -> None:
        return None

    def drop_range(self, start: int, end: int) -> None:
        self.dropped.append((start, end))

    def table(self) -> ModuleTable:
        table = ModuleTable(cast("Any", self), cast("Any", self), cast("Any", None), self)
        table.read_all(NO_MEMORY)
        return table


NO_MEMORY = cast("Any", None)


def of(region: ModuleRegion) -> tuple[int, int]:
    return region.range.start, region.range.end


def verdict(table: ModuleTable, region: ModuleRegion) -> bool | None:
    found = table.breakpoint_verdict(region.range.start)
    return None if found is None else found.allowed


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(replace(LIVE, srcversion="DEF"), id="another source"),
        pytest.param(replace(LIVE, build_id=b"1", srcversion=None), id="another build"),
        pytest.param(replace(LIVE, regions=(MOVED,)), id="the same elsewhere"),
        pytest.param(replace(LIVE, percpu=64), id="the same with its per-cpu data elsewhere"),
        pytest.param(COMING, id="the same before its init"),
    ],
)
def test_what_is_not_the_module_that_was_there_is_met_anew(now: LoadedModule) -> None:
    kernel = Kernel(LIVE)
    table = kernel.table()
    kernel.list = [now]
    table.catch_up(NO_MEMORY)
    assert [module.loaded for module in table.all] == [now]
    assert kernel.dropped == [of(TEXT_REGION)]


def test_what_cannot_be_told_from_another_build_in_its_place_is_met_anew_and_nothing_stays_armed_in_it() -> None:
    nameless = replace(LIVE, srcversion=None)
    kernel = Kernel(nameless)
    table = kernel.table()
    before = table.generation
    table.catch_up(NO_MEMORY)
    assert kernel.dropped == [of(TEXT_REGION)]
    assert table.generation > before
    assert [module.loaded for module in table.all] == [nameless]


def test_what_is_still_there_keeps_its_breakpoints() -> None:
    for module in (LIVE, COMING):
        kernel = Kernel(module)
        table = kernel.table()
        before = table.all
        table.catch_up(NO_MEMORY)
        assert table.all == before
        assert kernel.dropped == []


def test_the_init_of_a_module_that_went_live_unseen_is_freed() -> None:
    kernel = Kernel(COMING)
    table = kernel.table()
    assert verdict(table, INIT_REGION)
    kernel.list = [LIVE]
    for _ in range(2):
        table.catch_up(NO_MEMORY)
        assert kernel.dropped == [of(INIT_REGION)]
        assert (verdict(table, INIT_REGION), verdict(table, TEXT_REGION)) == (False, True)
        assert not table.is_loading


def test_the_init_of_a_live_module_will_be_freed_without_a_word() -> None:
    """MODULE_STATE_LIVE is told before the memory goes (do_init_module): that may have been missed."""
    kernel = Kernel(COMING)
    table = kernel.table()
    kernel.list = [replace(COMING, state=ModuleState.LIVE)]
    table.catch_up(NO_MEMORY)
    assert kernel.dropped == [of(INIT_REGION)]
    kernel.list = [LIVE]
    table.catch_up(NO_MEMORY)
    assert verdict(table, INIT_REGION) is False
