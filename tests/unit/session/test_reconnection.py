# SPDX-License-Identifier: Apache-2.0
"""A line that goes away and comes back: the target is found as it is, nothing is sent twice, and gdb need not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import StateError, TargetError, WireClosed
from nullmodem.rsp.framing import encode_packet
from nullmodem.session.model import Lost, Policy, State, StopReason
from nullmodem.session.threads import PROCESSOR_BASE
from support.cable import Cable
from support.cabled import cable, code, quick, run, said, stopped_gdb
from support.fakekernel import FakeKernel
from support.rig import PID, Arrival, next_event, rig_on
from support.rigged import kernel_file, module_path
from support.runner import DirectLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.rig import Rig

__all__ = ["cable", "kernel_file", "module_path", "quick"]


@pytest.fixture
def rig(kernel_file: Path, tmp_path: Path) -> Iterator[Rig]:
    with rig_on(FakeKernel(kernel_file), tmp_path) as rig:
        yield rig
        assert set(rig.fake.typed) <= set(b"+-$qC#b4"), "a running kernel hears a question, and makes nothing of it"
        rig.fake.typed.clear()


def running(rig: Rig) -> list[bytes]:
    """What has set the target going, in order."""
    return [request for request in rig.fake.requests if request[:1] in (b"c", b"s", b"C")]


def test_a_target_that_ran_is_seen_to_be_the_same_has_its_breakpoints_and_nobody_is_shown_a_stop(
    rig: Rig, cable: Cable
) -> None:
    gdb = stopped_gdb(rig)
    run(rig, gdb)
    armed, before = rig.machine.software, len(rig.fake.requests)
    cable.pull()
    cable.plug()
    said(rig, "given its breakpoints anew")
    assert gdb.nothing_comes()
    assert rig.machine.software == armed
    since = rig.fake.requests[before:]
    assert since.count(b"?") == 1, "the stub is made to forget what it may have"
    assert [request for request in since if request[:2] == b"Z0"] == [b"Z0,%x,1" % at for at in sorted(armed)]
    rig.happen(Arrival(code(rig)))
    assert gdb.stop().thread == PID


def test_a_stop_that_nobody_heard_is_heard_when_the_line_is_back(rig: Rig, cable: Cable) -> None:
    gdb = stopped_gdb(rig)
    run(rig, gdb)
    cable.pull()
    rig.happen(Arrival(code(rig)))
    assert not rig.fake.running
    went = running(rig)
    cable.plug()
    stop = gdb.stop()
    assert int.from_bytes(dict(stop.registers)[16], "little") == code(rig), "set back onto the breakpoint"
    assert running(rig) == went
    run(rig, gdb)
    assert rig.machine.cpus[0].registers["rip"] > code(rig)
    assert code(rig) in rig.machine.software


def test_a_target_that_stood_stands_and_what_gdb_has_set_in_it_is_kept(rig: Rig, cable: Cable) -> None:
    gdb = stopped_gdb(rig)
    assert gdb.ask(b"P0=4200000000000000") == b"OK"
    requests = len(rig.fake.requests)
    cable.pull()
    with pytest.raises(StateError, match="disconnected"):
        rig.live.read_memory(code(rig), 4)
    assert gdb.ask(b"m%x,4" % code(rig)).startswith(b"E")
    cable.plug()
    said(rig, "stands where it stood")
    assert rig.live.state is State.STOPPED
    assert gdb.ask(b"p0") == b"4200000000000000"
    assert not [r for r in rig.fake.requests[requests:] if r[:1] in (b"?", b"Z", b"c", b"P")], "it was only looked at"
    armed = rig.machine.software
    run(rig, gdb)
    assert rig.machine.cpus[0].registers["rax"] == 0x42
    assert rig.machine.software == armed


def test_which_thread_was_looked_at_last_does_not_decide_where_the_target_stands(rig: Rig, cable: Cable) -> None:
    gdb = stopped_gdb(rig)
    assert rig.live.registers(PROCESSOR_BASE + 1).pc == rig.machine.cpus[1].registers["rip"]  # the stub is left there
    cable.pull()
    cable.plug()
    said(rig, "stands where it stood")
    before = len(rig.fake.requests)
    run(rig, gdb)
    steps = [request for request in rig.fake.requests[before:] if request[:1] in (b"P", b"s", b"c")]
    back = b"P10=%b" % code(rig).to_bytes(8, "little").hex().encode()
    own_flags = b"P11=46020100"  # with the resume flag, which has it pass a debug register
    assert steps == [back, own_flags, b"s", b"c"], "set back onto the breakpoint before it goes on"


@pytest.mark.parametrize("looked", [False, True])
def test_a_task_can_be_looked_at_after_the_line_was_away(rig: Rig, cable: Cable, looked: bool) -> None:
    stopped_gdb(rig)
    tasks = rig.kernel.symbol("init_task") + rig.kernel.types.offset("struct task_struct", "tasks")
    rig.kernel.poke(rig.memory, tasks, tasks)  # the list that tells more of a task that sleeps
    if looked:
        rig.live.registers(2)
    cable.pull()
    cable.plug()
    said(rig, "stands where it stood")
    before = len(rig.fake.requests)
    assert rig.live.registers(1).pc == rig.live.registers(2).pc == 0
    assert rig.fake.requests[before:].count(b"qfThreadInfo") == 1


def test_a_target_that_ran_into_another_breakpoint_unheard_is_shown_at_it_and_not_behind_it(
    rig: Rig, cable: Cable
) -> None:
    stopped_gdb(rig)
    other = rig.hook("do_init_module")
    cable.pull()
    rig.machine.cpus[0].registers["rip"] = other + 1
    cable.plug()
    said(rig, "does not stand where it stood")
    rig.until(State.STOPPED)
    assert rig.live.stop is not None
    assert rig.live.stop.pc == other
    rig.live.go()
    assert b"P10=%b" % other.to_bytes(8, "little").hex().encode() in rig.fake.requests


def test_a_target_that_rebooted_while_it_ran_is_noticed_and_left_running(rig: Rig, cable: Cable) -> None:
    cable.pull()
    rig.machine.drop_breakpoints()
    rig.fake.connected = False

    def no_effect() -> None:
        rig.break_in()  # it stops, and its stub tells nobody
        raise TargetError("no effect")

    rig.live._reconnecting._break_in = no_effect  # type: ignore[union-attr]
    cable.plug()
    lost = next_event(rig.events, Lost)
    assert isinstance(lost, Lost)
    assert "rebooted" in lost.reason
    assert rig.fake.running
    assert not rig.machine.software


def test_a_target_that_nothing_can_break_into_is_taken_to_run_and_that_is_said(rig: Rig, cable: Cable) -> None:
    def none() -> None:
        raise TargetError("no way to stop the target is known")

    rig.live._reconnecting._break_in = none  # type: ignore[union-attr]
    cable.pull()
    cable.plug()
    said(rig, "is taken to run on")
    assert rig.live.state is State.RUNNING
    gdb = rig.gdb()
    rig.live.interrupt()
    assert gdb.attach().thread == PID
    run(rig, gdb)
    assert rig.fake.requests.count(b"?") == 2, "the breakpoints are given anew at the first stop there is"


class Cut(DirectLine):
    """A line that is gone with the first write that holds ``what``; ``late``: behind it, else before."""

    def __init__(self, rig: Rig, what: bytes, *, late: bool) -> None:
        super().__init__(rig.fake)
        self._what, self._late = what, late

    def write(self, data: bytes) -> None:
        if self._what in data:
            if self._late:
                super().write(data)
            self.unplug()
            raise WireClosed("the line was unplugged")
        super().write(data)


def swap(cable: Cable, make: Callable[[Rig], DirectLine]) -> None:
    """Have the session use another line from here on; it stands still."""
    rig = cable.rig
    rig.line = make(rig)
    cable.lines.append(rig.line)
    rig.live.look_into(lambda session: session.stub._exchange.renew(rig.line))
    rig.live._engine._line_changed = True
    rig.live.status()


def test_a_continue_that_did_not_get_there_is_not_sent_again_and_that_is_shown(rig: Rig, cable: Cable) -> None:
    gdb = stopped_gdb(rig)
    went = running(rig)
    swap(cable, lambda rig: Cut(rig, encode_packet(b"s"), late=False))
    gdb.send(b"vCont;c")  # off the breakpoint, by a step
    said(rig, "did not reach it")
    assert gdb.stop().thread == PID
    assert running(rig) == went
    gdb.send(b"vCont;c")
    assert gdb.stop().library, "modules may have come and gone"
    run(rig, gdb)
    assert len(running(rig)) > len(went)


def test_a_continue_that_got_there_is_not_sent_again(rig: Rig, cable: Cable) -> None:
    gdb = stopped_gdb(rig)
    assert gdb.ask(b"z0,%x,1" % code(rig)) == b"OK"
    before = running(rig)
    swap(cable, lambda rig: Cut(rig, encode_packet(b"c"), late=True))
    gdb.send(b"vCont;c")
    said(rig, "given its breakpoints anew")
    assert gdb.nothing_comes()
    # One that went before, and one behind the break-in that showed where it was.
    assert len(running(rig)) == len(before) + 2
    assert rig.fake.running


def test_a_stop_in_whose_middle_the_line_went_is_shown(rig: Rig, cable: Cable, module_path: Path) -> None:
    gdb = rig.gdb()
    gdb.attach()
    run(rig, gdb)
    loaded = rig.load(module_path)
    cut = Cut(rig, b"$m", late=False)
    rig.live.look_into(lambda session: session.stub._exchange.renew(cut))
    rig.line = cut
    cable.lines.append(cut)
    rig.live._engine._line_changed = True
    rig.live.status()
    rig.happen(rig.module_loads(loaded))
    said(rig, "in the middle of a stop")
    assert gdb.stop().thread == PID
    run(rig, gdb)
    assert rig.fake.running
    assert rig.hook("do_init_module") in rig.machine.software


def test_who_wants_it_stopped_meanwhile_gets_that_when_the_line_is_back(rig: Rig, cable: Cable) -> None:
    gdb = rig.gdb()
    gdb.attach()
    run(rig, gdb)
    cable.pull()
    gdb.raw(b"\x03")
    assert gdb.nothing_comes()
    cable.plug()
    assert gdb.stop().signal == 2
    assert rig.live.stop is not None
    assert rig.live.stop.reason is StopReason.INTERRUPT


def test_a_gdb_that_goes_meanwhile_leaves_nothing_standing(rig: Rig, cable: Cable) -> None:
    gdb = stopped_gdb(rig)
    cable.pull()
    gdb.vanish()
    cable.plug()
    rig.until(State.RUNNING)
    assert rig.fake.running
    assert code(rig) not in rig.machine.software


def test_with_the_policy_to_hold_it_stays(kernel_file: Path, tmp_path: Path) -> None:
    with rig_on(FakeKernel(kernel_file), tmp_path, policy=Policy.HOLD) as rig:
        cable = Cable(rig)
        gdb = stopped_gdb(rig)
        cable.pull()
        gdb.vanish()
        cable.plug()
        said(rig, "it stays stopped")
        assert rig.live.state is State.STOPPED
        rig.live.close(release=False)
        cable.close()


def test_a_target_that_stood_and_answers_no_more_ends_the_session_with_the_reason(rig: Rig, cable: Cable) -> None:
    stopped_gdb(rig)
    cable.pull()
    rig.machine.drop_breakpoints()
    rig.fake._stub, rig.fake.connected = None, False  # it was reset, and boots

    def none() -> None:
        raise TargetError("nothing has an effect")

    rig.live._reconnecting._break_in = none  # type: ignore[union-attr]
    cable.plug()
    lost = next_event(rig.events, Lost)
    assert isinstance(lost, Lost)
    assert "does not answer any more where it stood" in lost.reason


def test_a_target_that_stands_elsewhere_is_shown_there(rig: Rig, cable: Cable) -> None:
    gdb = stopped_gdb(rig)
    cable.pull()
    rig.machine.cpus[0].registers["rip"] = rig.break_pc
    cable.plug()
    said(rig, "does not stand where it stood")
    rig.until(State.STOPPED)
    assert rig.live.stop is not None
    assert rig.live.stop.pc == rig.break_pc
    gdb.send(b"vCont;c")
    assert gdb.stop().thread == PID, "gdb is shown what it missed before anything runs"


def test_a_line_that_goes_again_and_again_is_no_more_than_one_that_went_once(rig: Rig, cable: Cable) -> None:
    gdb = stopped_gdb(rig)
    for _ in range(5):
        cable.pull()
        cable.plug()
        said(rig, "stands where it stood")
    run(rig, gdb)
    for _ in range(5):
        cable.pull()
        cable.plug()
        said(rig, "given its breakpoints anew")
    assert gdb.nothing_comes()
    rig.happen(Arrival(code(rig)))
    assert gdb.stop().thread == PID


def test_a_line_that_does_not_come_back_ends_the_session_in_the_time_that_was_said(rig: Rig) -> None:
    cable = Cable(rig, seconds=0.2)
    cable.pull()
    lost = next_event(rig.events, Lost)
    assert isinstance(lost, Lost)
    assert lost.reason == "the line went away and did not come back: there is no device"
    assert rig.live.state is State.LOST
    rig.live.close(release=False)
    cable.close()


def test_closing_a_session_whose_line_is_away_waits_for_nothing(rig: Rig, cable: Cable) -> None:
    armed = rig.machine.software
    cable.pull()
    rig.live.close(release=True)
    assert rig.machine.software == armed, "nobody could lift them: the journal has them"
