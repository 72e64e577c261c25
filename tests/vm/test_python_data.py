# SPDX-License-Identifier: Apache-2.0
"""What a program sees of the whole kernel at a stop, and what that costs the wire."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from drgn.helpers.linux.list import list_for_each_entry
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.printk import get_printk_records

import nullmodem
from nullmodem.errors import StopOver, TargetLost, UsageError
from nullmodem.targets.qemu import QemuTarget
from support.modules import copy_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nullmodem import Stop, Target

pytestmark = [pytest.mark.vm, pytest.mark.timeout(300)]

ITEMS = 500


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Two processors, a module with a list."""
    source = copy_module("counter", tmp_path_factory.mktemp("data"))
    with nullmodem.boot(module=source, parameters=[f"items={ITEMS}"], cpus=2) as target:
        target.run("sleep 10000 &")
        yield target


@pytest.fixture
def stop(target: Target) -> Iterator[Stop]:
    """The target, stopped wherever it was; nothing of this stop has been read."""
    with target.interrupt() as stop:
        assert stop.prog.type("struct task_struct").size
        yield stop


def cost(target: Target, walk: Callable[[], int]) -> tuple[int, int]:
    """How many there were, and the round trips it took to look at them."""
    before = target.machine.live.cost.round_trips
    count = walk()
    return count, target.machine.live.cost.round_trips - before


@pytest.mark.parametrize("more", [20, pytest.param(170, marks=pytest.mark.soak)])
def test_walking_tasks_with_drgns_helpers_costs_few_round_trips_each(target: Target, more: int) -> None:
    target.run(f"i=0; while [ $i -lt {more} ]; do sleep 10000 & i=$((i+1)); done")
    with target.interrupt() as stop:

        def walk() -> int:
            return len([(int(task.pid), task.comm.string_()) for task in for_each_task(stop.prog)])

        count, trips = cost(target, walk)
        print(f"{count} tasks, {trips / count:.2f} round trips each")
        assert count > more
        assert trips <= 60 + 3.2 * count  # at 200 tasks 3.5 each
        assert cost(target, walk) == (count, 0)


def test_a_list_of_a_modules_structures_costs_a_round_trip_each_at_most(target: Target, stop: Stop) -> None:
    head = stop.prog["simple_items"].address_of_()

    def walk() -> int:
        values = [int(item.value) for item in list_for_each_entry("struct simple_item", head, "link")]
        assert values == list(range(ITEMS))
        return len(values)

    count, trips = cost(target, walk)
    print(f"{count} entries, {trips / count:.2f} round trips each")
    assert trips <= 1.1 * count
    assert cost(target, walk) == (count, 0)


@pytest.mark.soak
def test_drgns_helpers_read_the_kernels_log(stop: Stop) -> None:
    texts = [record.text.decode() for record in get_printk_records(stop.prog)]
    assert any("Linux version" in text for text in texts)


def test_other_processors_and_sleeping_tasks_have_stacks(stop: Stop) -> None:
    assert set(stop.processors) == {0, 1}
    for cpu in stop.processors:
        assert len(stop.stack_of(cpu=cpu)) > 1
    sleeping = next(int(task.pid) for task in for_each_task(stop.prog) if task.comm.string_() == b"sleep")
    names = [frame.function for frame in stop.stack_of(pid=sleeping)]
    assert "schedule" in names
    assert "do_nanosleep" in names


@pytest.mark.parametrize(
    ("which", "message"),
    [({"cpu": 7}, "processor 7 is not online"), ({"pid": 99999}, "no task 99999"), ({}, "one of them")],
)
def test_a_stack_that_is_not_there_is_refused(stop: Stop, which: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        stop.stack_of(**which)


def test_the_console_is_an_iterator_of_lines(target: Target) -> None:
    console = target.console(timeout=30)
    target.run("echo one >/dev/console; echo two >/dev/console")
    lines = []
    while lines[-1:] != ["two"]:
        lines.append(next(console))
    assert "one" in lines
    assert "one" in console.text()


def test_going_on_from_a_fault_hands_it_to_the_kernel(target: Target, tmp_path: Path) -> None:
    target.build(copy_module("oopsinit", tmp_path))
    stop = target.wait(after=lambda: target.load("oopsinit"))
    assert stop.reason is nullmodem.StopReason.FAULT
    assert stop.frame.module == "oopsinit"
    stop.continue_()
    target.machine.live.wait_until_running(30)
    assert target.run("echo alive").text == "alive\n"


def test_a_reboot_keeps_breakpoints_and_modules_that_were_built(target: Target) -> None:
    before = target.interrupt()
    breakpoint_ = target.break_at("simple_read")
    target.reboot()
    assert not before.is_current
    assert breakpoint_.pending
    assert target.modules == ()
    target.load("simple")
    stop = breakpoint_.wait(after=lambda: target.start("head -c5 /dev/simple"))
    assert stop.frame["len"] == 5
    breakpoint_.delete()
    stop.continue_()


def test_a_target_that_dies_in_the_middle_of_a_step_is_one_clear_error(target: Target) -> None:
    stop = target.break_at("do_nanosleep").wait(after=lambda: target.start("sleep 10000"))
    machine = target.machine.target
    assert isinstance(machine, QemuTarget)

    def kill() -> None:
        target.machine.live.wait_until_running(60)
        os.kill(machine.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    # Its line and the command on it are both lost, in either order.
    with pytest.raises(TargetLost, match=r"the target is lost|the target ended while it ran `sleep 10000`"):
        stop.finish()
    thread.join()
    assert not stop.is_current
    with pytest.raises(StopOver, match="the target is lost"):
        _ = stop.frame
