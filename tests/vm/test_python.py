# SPDX-License-Identifier: Apache-2.0
"""A program that debugs: `nullmodem.boot`, breakpoints, stops, frames, on a real kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import nullmodem
from nullmodem.errors import StopOver, UnknownPlace, UnknownVariable, UsageError, WaitTimeout
from support.modules import copy_module

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nullmodem import Target

pytestmark = pytest.mark.vm

READ = "head -c5 /dev/simple"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module called simple, as the directory drivers/simple."""
    directory = tmp_path_factory.mktemp("python")
    (directory / "drivers").mkdir()
    return copy_module("counter", directory).rename(directory / "drivers" / "simple")


@pytest.fixture(scope="module")
def booted(source: Path) -> Iterator[Target]:
    """One machine for the whole file, with the module loaded and 500 items in its list."""
    with nullmodem.boot(module=source, parameters=["items=500"]) as target:
        yield target


@pytest.fixture
def target(booted: Target) -> Iterator[Target]:
    """The machine, which runs, without breakpoints of another test, nor a command that one has started."""
    yield booted
    for breakpoint_ in booted.breakpoints:
        breakpoint_.delete()
    booted.continue_()
    booted.run("while pidof dd head insmod rmmod >/dev/null; do usleep 20000; done")


def test_a_frame_has_its_place_and_its_variables(target: Target) -> None:
    stop = target.break_at("simple_read").wait(after=lambda: target.start(READ))
    frame = stop.frame
    assert (frame.function, frame.module, frame["len"]) == ("simple_read", "simple", 5)
    assert frame.file is not None
    assert frame.file.endswith("drivers/simple/simple.c")
    assert frame["file"].f_op == stop.prog["simple_operations"].address_of_()
    assert frame.locals["sum"].absent_
    assert "sum = <optimized out>" in frame.describe()
    assert [f.function for f in stop.stack][:2] == ["simple_read", "vfs_read"]  # by a tail call
    assert frame.parent is not None
    assert frame.parent.function == "vfs_read"


def test_what_is_written_is_there_and_stays(target: Target) -> None:
    breakpoint_ = target.break_at("simple_read")
    stop = breakpoint_.wait(after=lambda: target.start(READ))
    counter = stop.prog["simple_counter"]
    with pytest.raises(UsageError, match="it does not fit"):
        stop.write(counter, 1 << 40)
    stop.write(counter, 1000)
    assert counter == 1000
    stop = breakpoint_.wait(after=lambda: target.start(READ))
    assert stop.prog["simple_counter"] == 1001


def test_a_stop_that_is_over_says_so(target: Target) -> None:
    stop = target.break_at("simple_read").wait(after=lambda: target.start(READ))
    frame, counter = stop.frame, stop.prog["simple_counter"]
    stop.continue_()
    assert target.is_running
    for use in (lambda: frame["len"], lambda: stop.frame, lambda: stop.prog, lambda: int(counter), stop.continue_):
        with pytest.raises(StopOver, match="the stop is over, the target is running"):
            use()
    again = target.interrupt()
    with pytest.raises(StopOver, match="at another stop"):
        frame["len"]
    assert again.reason is nullmodem.StopReason.INTERRUPT


@pytest.mark.parametrize("condition", ["len == 2", lambda frame: frame["len"] == 2], ids=["text", "function"])
def test_a_condition_chooses_the_stop(target: Target, condition: str) -> None:
    breakpoint_ = target.break_at("simple_read", condition=condition)
    lead = "for n in 5 1 2 3; do dd if=/dev/simple bs=$n count=1 2>/dev/null >/dev/null; done"
    stop = breakpoint_.wait(after=lambda: target.start(lead))
    assert stop.frame["len"] == 2
    assert breakpoint_.hits == 1
    with pytest.raises(WaitTimeout, match="simple_read"):
        breakpoint_.wait(timeout=0.5)
    assert target.is_running
    assert target.run(READ).text == "hello"  # past the breakpoint, whose condition does not hold


@pytest.mark.parametrize(
    ("where", "message", "nearest"),
    [
        ("simple_reed", "no function 'simple_reed'", "simple_read"),
        ("simple.c:1", "line 1 of simple.c has no code", "simple.c:"),
        ("smiple.c:45", "no code comes from a file 'smiple.c'", "simple.c"),
    ],
)
def test_a_place_that_is_not_there_names_what_is_near(target: Target, where: str, message: str, nearest: str) -> None:
    with pytest.raises(UnknownPlace, match=message) as caught:
        target.break_at(where)
    assert caught.value.nearest[0].startswith(nearest)
    assert target.breakpoints == ()
    assert target.is_running


def test_wrong_requests_are_refused_and_arm_nothing(target: Target) -> None:
    with pytest.raises(UsageError, match="no module 'nosuch'"):
        target.break_at("simple_read", module="nosuch")
    with pytest.raises(UsageError, match="is no expression"):
        target.break_at("simple_read", condition="len =")
    with pytest.raises(UsageError, match="'a b' is no place"):
        target.break_at("a b")
    with pytest.raises(UsageError, match="5 is no condition"):
        target.break_at("simple_read", condition=5)
    with pytest.raises(UsageError, match="'simple_counter' is no object of drgn"):
        target.watch("simple_counter")
    with pytest.raises(UsageError, match="no module 'nosuch' is loaded"):
        target.unload("nosuch")
    assert target.breakpoints == ()
    assert target.run("echo alive").text == "alive\n"


def test_a_variable_that_is_not_there_names_what_is_near(target: Target) -> None:
    frame = target.break_at("simple_read").wait(after=lambda: target.start(READ)).frame
    with pytest.raises(UnknownVariable, match="has no variable 'lem'\nIs len meant"):
        frame["lem"]
    assert "nosuch" not in frame
    with pytest.raises(KeyError):
        frame["nosuch"]


def test_a_breakpoint_in_init_is_pending_and_follows_the_module(target: Target) -> None:
    target.unload("simple")
    breakpoint_ = target.break_at("simple_init")
    assert breakpoint_.pending
    stop = breakpoint_.wait(after=lambda: target.load("simple"))
    assert stop.frame.function == "simple_init"
    stop.continue_()
    target.machine.live.wait_until_running(30)
    assert target.break_at("simple_read").wait(after=lambda: target.run(READ)).frame["len"] == 5


def test_a_watchpoint_stops_where_a_variable_was_written(target: Target) -> None:
    stop = target.break_at("simple_read").wait(after=lambda: target.start(READ))
    before = int(stop.prog["simple_counter"])
    watchpoint = target.watch(stop.prog["simple_counter"])
    stop = target.wait()
    assert stop.hits == (watchpoint,)
    assert stop.watched == stop.prog["simple_counter"].address_
    assert stop.prog["simple_counter"] == before + 1
    assert stop.frame.function == "simple_read"
    with pytest.raises(UsageError, match="stands at no address"):
        target.watch(stop.frame["position"])
    with pytest.raises(UsageError, match="Accesses: write, access"):
        target.watch(stop.prog["simple_counter"], access="raed")


def test_steps_take_the_stop_along(target: Target) -> None:
    stop = target.break_at("simple_read").wait(after=lambda: target.start(READ))
    first = stop.frame
    assert stop.next() is stop
    assert stop.reason is nullmodem.StopReason.STEP
    assert stop.frame.line != first.line
    with pytest.raises(StopOver):
        first["len"]
    while stop.frame.function == "simple_read":
        stop.step()
    assert stop.frame.function == "simple_sum"
    assert stop.finish() is stop
    assert stop.frame.function == "simple_read"
    assert stop.returned is not None
    assert stop.returned.type_.type_name() == "int"
    pc = stop.pc
    assert stop.step_instruction().pc != pc
    assert stop.finish().returned == 5
    assert stop.frame.function == "vfs_read"


def test_a_step_that_takes_too_long_leaves_the_target_running(target: Target) -> None:
    stop = target.break_at("simple_read").wait(after=lambda: target.start(READ))
    target.breakpoints[0].delete()
    with pytest.raises(nullmodem.errors.StateError, match="cannot run a command: the target is stopped"):
        target.run("true")
    with pytest.raises(WaitTimeout, match="has not ended within 0 s, and the target runs"):
        stop.next(timeout=0)
    assert not stop.is_current
    assert target.run("echo alive").text == "alive\n"


def test_until_runs_to_a_place_or_out_of_the_function(target: Target) -> None:
    stop = target.break_at("simple_read").wait(after=lambda: target.start(READ))
    assert stop.until("simple_sum").frame.function == "simple_sum"
    stop.finish()
    assert stop.until("simple_read_op").frame.function == "vfs_read"


@pytest.mark.parametrize(
    ("event", "has_symbols"), [("coming", False), ("init", True), ("live", True), ("going", False)]
)
def test_the_events_of_a_modules_life_can_be_stopped_at(target: Target, event: str, *, has_symbols: bool) -> None:
    if event != "going":
        target.unload("simple")
    stop_at = target.stop_at_module("simple", event=event)
    lead = target.unload if event == "going" else target.load
    stop = stop_at.wait(after=lambda: lead("simple"))
    assert stop.hits == (stop_at,)
    assert stop_at.last == "simple"
    assert stop.frame.function == ("do_init_module" if event == "init" else "module_event")
    assert ("simple" in target.modules) == has_symbols
    stop_at.delete()
    stop.continue_()
    target.run("while pidof insmod rmmod >/dev/null; do usleep 20000; done")
    if event == "going":
        target.load("simple", "items=500")


def test_an_event_that_is_not_there_is_refused(target: Target) -> None:
    with pytest.raises(UsageError, match="no event 'gone'\nIs 'going' meant"):
        target.stop_at_module("simple", event="gone")
    assert target.breakpoints == ()


def test_a_function_that_was_inlined_has_a_place_for_each_call(target: Target) -> None:
    breakpoint_ = target.break_at("simple_twice")
    assert breakpoint_.addresses
    stop = breakpoint_.wait(after=lambda: target.start(READ))
    assert stop.frame.function == "simple_twice"
    assert stop.frame.inlined
    assert stop.frame.parent is not None
    assert stop.frame.parent.function == "simple_sum"


def test_a_breakpoint_and_a_stop_end_with_their_block(target: Target) -> None:
    with target.break_at("simple_read") as breakpoint_, breakpoint_.wait(after=lambda: target.start(READ)) as stop:
        assert stop.frame["len"] == 5
    assert target.breakpoints == ()
    assert target.is_running
