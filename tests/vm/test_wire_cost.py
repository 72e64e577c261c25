# SPDX-License-Identifier: Apache-2.0
"""What the wire is used for, counted on the kernel's side, beside what a plain gdb needs for the same on that kernel.

The operations and both ways to do them are those of bench/, which measures more and writes it down.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from report import compare, total
from scenarios import OPERATIONS, SCENARIOS
from sides import Plain, Session
from startup import serving, use

from nullmodem.kbuild import build_module, ensure_kernel
from support.gdb import EVERY_KERNEL_ONE_GDB, debian

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sides import Measured
    from startup import Served

    from nullmodem.wire.meter import WireCost

# The first test waits for everything to be measured on both sides.
pytestmark = [pytest.mark.vm, pytest.mark.gdb, pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Costs:
    """Every operation of every scenario, by name, on both sides; and the session's own count of all of them."""

    plain: dict[str, Measured]
    nullmodem: dict[str, Measured]
    session_counted: WireCost
    relay_counted: WireCost

    def table(self, *names: str) -> str:
        """What was measured, as text."""
        operations = compare({name: OPERATIONS[name] for name in names}, self.plain, self.nullmodem)
        return "\n".join(" | ".join((operation.title, *operation.cells)) for operation in operations)


@pytest.fixture(scope="module", params=EVERY_KERNEL_ONE_GDB)
def costs(request: pytest.FixtureRequest, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Costs:
    """All scenarios, on a kernel for each side."""
    name, gdb = request.param
    kernel = ensure_kernel(name)
    work = tmp_path_factory.mktemp("cost")
    source = shutil.copytree(repository / "bench" / "module", work / "module")
    module = build_module(source, kernel, work / "build")
    with Plain(kernel, gdb(), (module,), work / "p") as plain:
        for scenario in SCENARIOS:
            scenario(plain)
    with Session(kernel, gdb(), (module,), work / "s") as session:
        for scenario in SCENARIOS:
            scenario(session)
        session_counted, relay_counted = session.machine.live.cost, session.relay.cost
    costs = Costs(plain.measured, session.measured, session_counted, relay_counted)
    print(costs.table(*OPERATIONS))
    return costs


def test_the_sessions_own_count_is_true(costs: Costs) -> None:
    assert costs.session_counted == costs.relay_counted


def test_a_module_load_takes_few_round_trips(costs: Costs) -> None:
    """From insmod to running on with init done: a plain gdb reads every section's name and address one by one."""
    plain, ours = costs.plain["load"], costs.nullmodem["load"]
    print(f"round trips for a module load: {ours.round_trips}, plain gdb with lx-symbols {plain.round_trips}")
    assert ours.round_trips <= 16
    assert 3 * ours.round_trips <= plain.round_trips


def test_loading_the_same_module_again_takes_fewer(costs: Costs) -> None:
    assert costs.nullmodem["load again"].round_trips < costs.nullmodem["load"].round_trips


@pytest.mark.parametrize("again", ["bt again", "print struct again"])
def test_what_was_looked_at_costs_nothing_again_in_the_same_stop(costs: Costs, again: str) -> None:
    assert total(costs.nullmodem[again].cost) == 0, costs.nullmodem[again].exchanges


def test_a_second_gdb_on_the_same_stop_costs_nothing(costs: Costs) -> None:
    assert total(costs.nullmodem["second gdb"].cost) == 0, costs.nullmodem["second gdb"].exchanges


def test_breakpoints_that_stay_set_are_not_sent_again(costs: Costs) -> None:
    """gdb removes them all at every stop and inserts them when it continues."""
    for operation in ("hit, five more set", "interrupt, five set"):
        exchanges = costs.nullmodem[operation].exchanges
        assert not [exchange for exchange in exchanges if exchange.request[:1] in (b"Z", b"z")], operation
    assert costs.nullmodem["hit, five more set"].round_trips == costs.nullmodem["hit"].round_trips
    assert costs.plain["hit, five more set"].round_trips >= costs.plain["hit"].round_trips + 10


def test_400_bytes_take_at_most_four_reads(costs: Costs) -> None:
    assert costs.nullmodem["x/400xb"].round_trips <= 4, costs.nullmodem["x/400xb"].exchanges


def test_the_thread_list_is_the_processors(costs: Costs) -> None:
    """A plain gdb asks for every task's name and registers, two round trips for each."""
    assert costs.nullmodem["info threads"].round_trips <= costs.plain["info threads"].round_trips // 10


@pytest.mark.parametrize("operation", ["attach", "hit", "bt", "print struct", "stepi", "next", "next, loop", "finish"])
def test_no_common_operation_takes_more_round_trips_than_a_plain_gdb(costs: Costs, operation: str) -> None:
    print(costs.table(operation))
    assert costs.nullmodem[operation].round_trips < costs.plain[operation].round_trips


def test_a_line_is_stepped_over_at_half_the_bytes_or_less(costs: Costs) -> None:
    """A plain gdb executes it instruction by instruction, and reads all registers after each."""
    assert total(costs.nullmodem["next"].cost) <= 0.6 * total(costs.plain["next"].cost), costs.table("next")


@pytest.fixture(scope="module")
def served(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The program itself, started as its users start it; nothing has been asked of it yet."""
    work = tmp_path_factory.mktemp("served")
    source = shutil.copytree(repository / "examples" / "simple", work / "simple")
    module = build_module(source, ensure_kernel("6.1"), work / "build").ko
    # The first start on a machine fills caches.
    with serving(module, "6.1", work):
        pass
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
