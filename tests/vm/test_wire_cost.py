# SPDX-License-Identifier: Apache-2.0
"""What the wire is used for, counted on the kernel's side, beside what a plain gdb needs for the same on that kernel.

The operations and both ways to do them are those of `nullmodem bench`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from startup import serving, use

from nullmodem.api.boot import open_files
from nullmodem.bench.measure import build_modules, count
from nullmodem.bench.play import play
from nullmodem.bench.report import Comparison, compare
from nullmodem.bench.scenarios import read_scenarios
from nullmodem.bench.sides import Plain, Session, World
from nullmodem.kbuild import build_module, ensure_kernel
from support.gdb import EVERY_KERNEL_ONE_GDB, debian

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _pytest.mark.structures import ParameterSet
    from startup import Served

    from nullmodem.bench.sides import Measured
    from nullmodem.wire.meter import WireCost

# The first test waits for everything to be measured on both sides.
pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.slow, pytest.mark.timeout(600)]

SCENARIOS = read_scenarios()
NO_DEARER = 1.05
"""Five in a hundred are allowed for what is read ahead."""
BYTES = {
    "next": 0.20,
    "next, loop": 0.20,
    "next, 340 tasks": 0.12,
    "next, loop, 340 tasks": 0.12,
    "false condition": 0.35,
}
TRIPS = {
    "next": 0.30,
    "stepi, 340 tasks": 0.20,
    "hit, 340 tasks": 0.20,
    "print struct": 0.5,
    "x/400xb": 0.01,
    "info threads, 340 tasks": 0.03,
    "load": 0.25,
    "attach, 340 tasks": 0.25,
}
"""Of operations: nullmodem's figure by plain gdb's, at most."""
QUICK = ("stepping", "beginning")
"""Scenarios that are measured with the other kernel and the other gdb, too."""
BREAK_INS = ("attach", "attach, 340 tasks", "begin", "begin, 20 modules", "interrupt, five set")
NESTED = 5000
"""Bytes of a break-in that lands on top of an interrupt that had interrupted something itself, at most: the stack is
followed down to that, which a plain gdb cannot show. On a processor that is not kept busy that is rare chance."""
ONE_READ = 100
"""Bytes more of a break-in that meets an interrupt on top of another: one more piece of the stack is read."""
MODULES = 20
"""How many the scenario "beginning with modules" loads."""
RAW_LENGTH = 1 << 16


@dataclass(frozen=True)
class Costs:
    """Every operation of every scenario, by name, on both sides; and the session's own count of all of them."""

    plain: dict[str, Measured]
    nullmodem: dict[str, Measured]
    session_counted: WireCost
    relay_counted: WireCost
    raw_read: WireCost

    def operation(self, name: str) -> Comparison:
        """One operation, on both sides."""
        return next(each for each in compare(SCENARIOS, self.plain, self.nullmodem) if each.name == name)

    def byte_ratio(self, name: str) -> float:
        """nullmodem's bytes by plain gdb's."""
        return said(self.operation(name), self.operation(name).byte_ratio)

    def trip_ratio(self, name: str) -> float:
        """nullmodem's round trips by plain gdb's."""
        return said(self.operation(name), self.operation(name).trip_ratio)


def bars(most: dict[str, float]) -> list[ParameterSet]:
    """Parameters for a test of each: operation, limit."""
    return [pytest.param(name, limit, id=f"{name}-{limit}") for name, limit in most.items()]


def is_nested(measured: Measured) -> bool:
    """Whether a break-in has landed where only the whole stack could tell what it interrupted."""
    return any(exchange.request == b"g" for exchange in measured.exchanges)


def said(operation: Comparison, ratio: float | None) -> float:
    """A ratio that is there, printed with what it was made of, which a failed test shows."""
    print(" | ".join((operation.title, *operation.cells(measured=False))))
    assert ratio is not None
    return ratio


FIRST, OTHER = EVERY_KERNEL_ONE_GDB


@pytest.fixture(scope="module", params=[FIRST, pytest.param(*OTHER.values, id=OTHER.id, marks=pytest.mark.soak)])
def costs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Costs:
    """All scenarios, on a kernel for each side."""
    name, gdb = request.param
    kernel = ensure_kernel(name)
    work = tmp_path_factory.mktemp("cost")
    world = World(kernel, gdb(), build_modules(SCENARIOS, kernel, work / "modules"))
    plain = count(Plain, world, SCENARIOS, work / "p")
    with Session(world, work / "s") as session:
        start = session.relay.cost
        session.forget()
        session.begin()
        own = session.machine.live.cost
        before = session.relay.cost
        address = session.machine.live.text_address
        assert len(session.machine.live.read_memory(address, RAW_LENGTH)) == RAW_LENGTH
        raw_read = session.relay.cost - before
        session_counted, relay_counted = session.machine.live.cost - own, session.relay.cost - before
        assert (before - start).round_trips > 0
        session.leave()
        for scenario in SCENARIOS.scenarios:
            play(scenario, session)
    costs = Costs(plain, session.measured, session_counted, relay_counted, raw_read)
    for operation in compare(SCENARIOS, costs.plain, costs.nullmodem):
        print(" | ".join((operation.title, *operation.cells(measured=False))))
    return costs


def test_the_sessions_own_count_is_true(costs: Costs) -> None:
    assert costs.session_counted == costs.relay_counted


def test_64_kib_read_use_95_percent_of_what_hex_and_the_line_allow(costs: Costs) -> None:
    """Hex takes two bytes for one; what is lost besides are the packets around them."""
    used = costs.raw_read.bytes_out + costs.raw_read.bytes_in
    print(f"{used} bytes on the wire, {2 * RAW_LENGTH / used:.3f} of the least there can be")
    assert 2 * RAW_LENGTH / used >= 0.95


# -- bars: nullmodem's figures by plain gdb's, in the same run --------------------------------------------------------


@pytest.mark.parametrize(("operation", "most"), bars(BYTES))
def test_bytes_are_at_most_this_part_of_plain_gdbs(costs: Costs, operation: str, most: float) -> None:
    assert costs.byte_ratio(operation) <= most


@pytest.mark.parametrize(("operation", "most"), bars(TRIPS))
def test_round_trips_are_at_most_this_part_of_plain_gdbs(costs: Costs, operation: str, most: float) -> None:
    assert costs.trip_ratio(operation) <= most


@pytest.mark.parametrize(("operation", "more"), [("attach", 1), ("hit", 0), ("info threads", 0), ("stepi", 0)])
def test_300_more_tasks_cost_nothing(costs: Costs, operation: str, more: int) -> None:
    """But for a break-in that meets an interrupt on top of another: that takes one read ``more``, with any tasks."""
    few, many = costs.nullmodem[operation], costs.nullmodem[f"{operation}, 340 tasks"]
    assert many.round_trips <= few.round_trips + more


@pytest.mark.soak
@pytest.mark.parametrize("pair", [OTHER])
def test_stepping_and_beginning_are_as_cheap_with_the_other_kernel_and_gdb(
    pair: tuple[str, Callable[[], str]], tmp_path: Path
) -> None:
    kernel, gdb = ensure_kernel(pair[0]), pair[1]()
    chosen = replace(SCENARIOS, scenarios=tuple(each for each in SCENARIOS.scenarios if each.name in QUICK))
    world = World(kernel, gdb, build_modules(chosen, kernel, tmp_path / "modules"))
    sides = [count(side, world, chosen, tmp_path / side.name) for side in (Plain, Session)]
    found = {each.name: each for each in compare(chosen, *sides) if each.nullmodem is not None}
    assert {"next", "next, loop", "stepi", "finish", "begin"} <= found.keys()
    for name, each in found.items():
        assert said(each, each.byte_ratio) <= BYTES.get(name, NO_DEARER)
        assert said(each, each.trip_ratio) <= TRIPS.get(name, NO_DEARER)


def test_symbols_of_all_modules_take_few_round_trips_for_each(costs: Costs) -> None:
    """What the kernel itself costs is taken off on both sides."""
    plain, ours = (
        (side["begin, 20 modules"].round_trips - side["begin"].round_trips) / MODULES
        for side in (costs.plain, costs.nullmodem)
    )
    print(f"round trips for each module: {ours:.2f}, plain gdb with lx-symbols {plain:.2f}")
    assert ours <= 0.12 * plain


@pytest.mark.parametrize("operation", [each.name for each in SCENARIOS.operations if not each.lone])
def test_no_operation_takes_more_bytes_than_a_plain_gdb(costs: Costs, operation: str) -> None:
    """Where a break-in lands is chance."""
    measured = costs.nullmodem[operation]
    if operation in BREAK_INS and is_nested(measured):
        assert measured.bytes <= NESTED
    else:
        print(f"{costs.byte_ratio(operation):.3f} of plain gdb's")
        chance = ONE_READ if operation in BREAK_INS else 0
        assert measured.bytes <= NO_DEARER * costs.plain[operation].bytes + chance


@pytest.mark.parametrize("again", ["bt again", "print struct again"])
def test_what_was_looked_at_costs_nothing_again_in_the_same_stop(costs: Costs, again: str) -> None:
    assert costs.nullmodem[again].bytes == 0, costs.nullmodem[again].exchanges


def test_a_second_gdb_on_the_same_stop_costs_nothing(costs: Costs) -> None:
    assert costs.nullmodem["second gdb"].bytes == 0, costs.nullmodem["second gdb"].exchanges


# -- how it is done ----------------------------------------------------------------------------------------------------


def test_loading_the_same_module_again_takes_fewer(costs: Costs) -> None:
    assert costs.nullmodem["load again"].round_trips < costs.nullmodem["load"].round_trips


def test_breakpoints_that_stay_set_are_not_sent_again(costs: Costs) -> None:
    """gdb removes them all at every stop and inserts them when it continues."""
    for operation in ("hit, five more set", "interrupt, five set"):
        exchanges = costs.nullmodem[operation].exchanges
        assert not [exchange for exchange in exchanges if exchange.request[:1] in (b"Z", b"z")], operation
    assert costs.nullmodem["hit, five more set"].round_trips == costs.nullmodem["hit"].round_trips
    assert costs.plain["hit, five more set"].round_trips >= costs.plain["hit"].round_trips + 10


def test_400_bytes_take_at_most_four_reads(costs: Costs) -> None:
    assert costs.nullmodem["x/400xb"].round_trips <= 4, costs.nullmodem["x/400xb"].exchanges


@pytest.fixture(scope="module")
def served(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The program itself, started as its users start it; nothing has been asked of it yet."""
    work = tmp_path_factory.mktemp("served")
    source = shutil.copytree(repository / "examples" / "simple", work / "simple")
    kernel = ensure_kernel("6.1")
    module = build_module(source, kernel, work / "build").ko
    open_files(kernel, work)  # the first time on a machine fills the caches
    with serving(module, "6.1", work) as served:
        yield served


def test_starting_takes_little_of_the_processor(served: Served) -> None:
    """Besides booting and gdb's reading of symbols. In processor time, as other tests run beside this one."""
    print(f"{served.processor_seconds:.2f} s of the processor, {served.own_seconds:.2f} s of wall time")
    assert served.processor_seconds < 2


def test_a_session_needs_little_memory(served: Served) -> None:
    use(served, debian())
    print(f"{served.memory('VmHWM'):.0f} MB at most, {served.memory('VmRSS'):.0f} MB now")
    assert served.memory("VmHWM") < 400
