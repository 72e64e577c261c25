# SPDX-License-Identifier: Apache-2.0
"""Two gdbs on one stop, and gdbs that vanish: nobody misses a thing, and the target never stands for nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from nullmodem.rsp.replies import StopReason
from nullmodem.session.model import Policy, Said, State, Stopped
from support.fakekernel import FakeKernel
from support.rig import PID, STACK, Arrival, rig_on

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.rsp.replies import StopReply
    from support.rig import Gdb, Rig

LIVE, COMING, GOING = 0, 1, 2


def pc(stop: StopReply) -> int:
    return int.from_bytes(dict(stop.registers)[16], "little")


def two(rig: Rig) -> tuple[Gdb, Gdb]:
    """The first holds the target; both are at their prompts."""
    first, second = rig.gdb(), rig.gdb()
    first.attach()
    second.attach()
    assert first.ask(b"P0=0100000000000000") == b"OK"
    return first, second


def go(rig: Rig, *gdbs: Gdb) -> None:
    """Let these continue, the last of which may."""
    for gdb in gdbs:
        gdb.send(b"vCont;c")
        assert gdb.nothing_comes()
    rig.until(State.RUNNING)
    assert rig.fake.running


def code(rig: Rig) -> int:
    return rig.kernel.symbol("do_init_module") + 4


# -- two gdbs --------------------------------------------------------------------------------------------------------


def test_both_are_shown_the_same_stop_and_only_whose_breakpoint_it_is_that_it_is_one(rig: Rig) -> None:
    first, second = two(rig)
    first.ask(b"Z0,%x,1" % code(rig))
    second.send(b"vCont;c")  # without the right to run it, it waits
    assert second.nothing_comes()
    assert b"gdb holds the target" in second.console
    go(rig, first)
    rig.happen(Arrival(code(rig)))
    for gdb, reason, signal in ((first, StopReason.SWBREAK, 5), (second, None, 2)):
        stop = gdb.stop()
        assert (stop.reason, stop.signal, pc(stop)) == (reason, signal, code(rig))


def test_the_end_of_a_step_is_a_trap_to_who_stepped_and_an_interruption_to_the_other(rig: Rig) -> None:
    first, second = two(rig)
    first.send(b"vCont;s:%x;c" % PID)
    assert (ended := first.stop()).signal == 5
    second.send(b"vCont;s:%x;c" % PID)  # as gdb does to leave a breakpoint, and then goes on from any trap
    assert ((missed := second.stop()).signal, pc(missed)) == (2, pc(ended))
    second.send(b"vCont;c")
    assert second.nothing_comes()
    first.send(b"vCont;s:%x;c" % PID)
    assert (first.stop().signal, second.stop().signal) == (5, 2)


def test_the_second_gdb_on_a_stop_costs_no_packet(rig: Rig) -> None:
    rig.gdb().attach()
    before = len(rig.fake.requests)
    assert rig.gdb().attach().thread == PID
    assert len(rig.fake.requests) == before


def test_who_was_at_its_prompt_while_it_ran_is_shown_what_it_missed_before_it_goes_on(rig: Rig) -> None:
    first, second = two(rig)
    first.ask(b"Z0,%x,1" % code(rig))
    go(rig, first)
    rig.happen(Arrival(code(rig)))
    first.stop()
    second.send(b"vCont;c")
    assert pc(second.stop()) == code(rig)
    assert rig.live.state is State.STOPPED


def test_registers_and_memory_are_written_by_the_holder_alone_and_read_by_all(rig: Rig) -> None:
    first, second = two(rig)
    assert second.ask(b"P0=0102030405060708") == b"E.cannot write registers: gdb holds the target"
    assert second.ask(b"M%x,1:00" % rig.kernel.symbol("init_task")).startswith(b"E.cannot write memory")
    assert second.ask(b"m%x,4" % code(rig)) == first.ask(b"m%x,4" % code(rig))
    second.ask(b"qRcmd," + b"take".hex().encode())
    assert b"held by gdb" in second.console
    assert second.ask(b"P0=0102030405060708") == b"OK"
    assert first.ask(b"P0=0000000000000000").startswith(b"E")


def test_a_breakpoint_of_both_stays_until_both_have_taken_it_out(rig: Rig) -> None:
    first, second = two(rig)
    for gdb in (first, second):
        gdb.ask(b"Z0,%x,1" % code(rig))
    first.ask(b"z0,%x,1" % code(rig))
    go(rig, first)
    assert code(rig) in rig.machine.software
    rig.happen(Arrival(code(rig)))
    first.stop()
    second.ask(b"z0,%x,1" % code(rig))
    go(rig, first)
    assert code(rig) not in rig.machine.software


def test_when_one_vanishes_the_other_keeps_its_stop_and_its_breakpoints(rig: Rig) -> None:
    first, second = two(rig)
    first.ask(b"Z0,%x,1" % code(rig))
    second.ask(b"Z0,%x,1" % (code(rig) + 1))
    first.vanish()
    assert rig.live.state is State.STOPPED
    second.ask(b"m%x,4" % code(rig))
    go(rig, second)
    assert code(rig) not in rig.machine.software
    assert code(rig) + 1 in rig.machine.software


def test_when_the_holder_vanishes_the_one_who_waits_goes_on_waiting_for_a_running_target(rig: Rig) -> None:
    first, second = two(rig)
    second.ask(b"Z0,%x,1" % code(rig))
    second.send(b"vCont;c")
    second.nothing_comes()
    first.vanish()
    rig.until(State.RUNNING)
    rig.happen(Arrival(code(rig)))
    assert pc(second.stop()) == code(rig)


def test_ctrl_c_of_one_who_waits_for_another_brings_it_back_to_the_stop_there_is(rig: Rig) -> None:
    first, second = two(rig)
    second.send(b"vCont;c")
    second.nothing_comes()
    second.raw(b"\x03")
    assert second.stop().thread == PID
    first.vanish()
    assert rig.live.state is State.STOPPED, "second is at its prompt"


def test_both_are_stopped_by_the_ctrl_c_of_either(rig: Rig) -> None:
    first, second = two(rig)
    second.send(b"c")
    second.nothing_comes()
    go(rig, first)
    second.raw(b"\x03")
    assert first.stop().signal == 2
    assert second.stop().signal == 2


# -- vanishing -------------------------------------------------------------------------------------------------------


def said(rig: Rig) -> str:
    """Everything that was said to whoever listens."""
    words = []
    while (event := rig.events.get()) is not None:
        if isinstance(event, Said):
            words.append(event.text)
    return "\n".join(words)


def test_the_last_to_vanish_lets_it_run_and_that_is_said(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.ask(b"Z0,%x,1" % code(rig))
    said(rig)
    gdb.vanish()
    assert rig.live.state is State.RUNNING
    assert code(rig) not in rig.machine.software
    assert "the target runs on" in said(rig)


def test_with_the_policy_to_hold_it_stays_and_that_is_said(kernel_file: Path, tmp_path: Path) -> None:
    with rig_on(FakeKernel(kernel_file), tmp_path, policy=Policy.HOLD) as rig:
        gdb = rig.gdb()
        gdb.attach()
        said(rig)
        gdb.vanish()
        assert rig.live.state is State.STOPPED
        assert "stays stopped" in said(rig)
        assert rig.gdb().attach().thread == PID


@pytest.mark.parametrize("policy", Policy)
def test_a_gdb_that_vanishes_at_a_modules_load_is_missed_as_the_policy_says(
    kernel_file: Path, module_path: Path, tmp_path: Path, policy: Policy
) -> None:
    with rig_on(FakeKernel(kernel_file), tmp_path, policy=policy) as rig:
        gdb = rig.gdb()
        gdb.attach()
        go(rig, gdb)
        rig.happen(rig.module_loads(rig.load(module_path)))
        assert gdb.stop().library
        said(rig)
        gdb.vanish()
        rig.settle()
        if policy is Policy.HOLD:
            assert rig.live.stop is not None
            assert (rig.live.state, rig.live.stop.reason.value) == (State.STOPPED, "module load")
            assert "stays stopped" in said(rig)
            assert rig.gdb().attach().thread == PID
        else:
            assert rig.fake.running
            assert "the target runs on" in said(rig)


def test_a_gdb_that_vanishes_while_it_runs_leaves_no_breakpoint_that_stops_it(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.ask(b"Z0,%x,1" % code(rig))
    go(rig, gdb)
    gdb.vanish()
    assert code(rig) in rig.machine.software, "nobody can lift it while it runs"
    rig.happen(Arrival(code(rig)))
    rig.settle()
    assert rig.live.state is State.RUNNING
    assert code(rig) not in rig.machine.software


def test_a_gdb_that_vanishes_after_its_ctrl_c_leaves_no_stop_for_nobody(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    go(rig, gdb)
    late = rig.live._break_in
    rig.live._break_in = lambda: None  # the break-in takes its time
    gdb.raw(b"\x03")
    gdb.vanish()
    late()
    rig.settle()
    assert rig.live.state is State.RUNNING
    assert rig.fake.running


def test_an_interrupt_that_was_not_gdbs_is_not_forgotten_when_gdb_vanishes(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    go(rig, gdb)
    late = rig.live._break_in
    rig.live._break_in = lambda: None
    rig.live.interrupt()
    gdb.vanish()
    late()
    assert rig.live.wait_for_stop(5).signal == 2


def test_a_gdb_that_vanishes_in_the_middle_of_a_step_leaves_no_stop_for_nobody(rig: Rig) -> None:
    gdb = rig.gdb()
    gdb.attach()
    at = rig.hook("do_init_module")
    rig.machine.cpus[0].registers["rip"] = at
    gdb.send(b"vCont;r%x,%x:%x;c" % (rig.break_pc - 1, rig.break_pc + 3, PID))
    gdb.vanish()
    rig.until(State.RUNNING)
    rig.settle()
    assert rig.fake.running


@pytest.mark.parametrize("piece", [b"$", b"$m", b"$mffff", b"$X0,4:}", b"$c#", b"$c#6", b"+$vCont;c", b"\x03$"])
def test_a_connection_that_drops_in_the_middle_of_a_packet_lets_the_target_run(rig: Rig, piece: bytes) -> None:
    gdb = rig.gdb()
    gdb.attach()
    gdb.raw(piece)
    gdb.vanish()
    rig.until(State.RUNNING)


# -- what the target refuses -----------------------------------------------------------------------------------------


def test_a_stop_whose_registers_cannot_be_read_is_shown_and_nobody_loses_its_gdb(rig: Rig) -> None:
    first, second = two(rig)
    second.send(b"vCont;c")
    assert second.nothing_comes()
    rig.fake.refused = {b"p7", b"g"}
    first.send(b"vCont;s:%x;c" % PID)
    for gdb in (first, second):
        assert gdb.stop().thread == PID
        assert b"its registers cannot be read" in gdb.console
    assert first.ask(b"p7").startswith(b"E")
    rig.fake.refused.clear()
    assert first.ask(b"p7") == (STACK + 0x2000).to_bytes(8, "little").hex().encode()
    go(rig, first)
    first.raw(b"\x03")
    assert first.stop().signal == 2


def test_a_gdb_that_must_be_left_is_told_why_and_no_other_notices(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    first, second = two(rig)
    second.send(b"vCont;c")
    assert second.nothing_comes()
    assert rig.live.stop is not None
    rig.live.events.publish(Stopped(replace(rig.live.stop, number=99, thread=cast("int", "nobody"))))
    with pytest.raises(EOFError):
        second.stop()
    assert b"nullmodem must leave this gdb: " in second.console
    assert [record.getMessage() for record in caplog.records] == ["a connection of gdb failed"]
    caplog.clear()
    go(rig, first)
