# SPDX-License-Identifier: Apache-2.0
"""A stop that landed in kdb and was taken from it: the target may have run without breakpoints, or have rebooted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import WireTimeout
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import Lost, State, StopReason
from support.rig import PATIENCE_SECONDS, next_event
from support.rigged import kernel_file, rig

if TYPE_CHECKING:
    from support.rig import Rig

__all__ = ["kernel_file", "rig"]


def stop_in_kdb(rig: Rig, pc: int) -> None:
    """The machine stops there, and kdb has the line."""
    rig.machine.cpus[0].registers["rip"] = pc
    rig.line.poke(lambda: rig.fake.stop(in_kdb=True))


def test_the_code_that_is_there_now_is_shown(rig: Rig) -> None:
    rig.live.attach("somebody")
    at = rig.kernel.symbol("do_init_module")
    rig.live.interrupt()
    rig.live.wait_for_stop(PATIENCE_SECONDS)
    before = rig.live.look_into(lambda session: session.target.code_at(at))
    rig.live.go()
    rig.memory.write(at, b"\x90" * len(before))
    stop_in_kdb(rig, rig.break_pc)
    rig.live.wait_for_stop(PATIENCE_SECONDS, after=2)
    assert rig.live.look_into(lambda session: session.target.code_at(at)) == b"\x90" * len(before)


def test_another_boot_is_noticed_and_let_go_with_nothing_of_this_session_in_it(rig: Rig) -> None:
    rig.machine.drop_breakpoints()
    rig.machine.memory.clear()  # it is loaded somewhere else
    rig.fake.connected = False
    before = len(rig.fake.requests)
    stop_in_kdb(rig, rig.break_pc + 0x10_0000)
    lost = next_event(rig.events, Lost)
    assert isinstance(lost, Lost)
    assert lost.reason == "the target has rebooted, and has stopped in kdb"
    assert rig.live.state is State.LOST
    assert rig.fake.running
    since = rig.fake.requests[before:]
    assert since[-1] == b"D"
    assert not [request for request in since if request[:1] in b"ZMPcs"]


def test_one_that_has_run_into_a_breakpoint_is_shown_at_it_where_they_cannot_be_put_back(rig: Rig) -> None:
    rig.live.attach("somebody")
    at = rig.hook("do_init_module")

    class Losing:
        """`Inserter` whose first answer is lost."""

        lost = False

        def insert(self, kind: BreakpointKind, address: int, length: int) -> None:
            rig.session.stub.insert(kind, address, length)
            if not self.lost:
                self.lost = True
                raise WireTimeout("no answer")

        def remove(self, kind: BreakpointKind, address: int, length: int) -> None:
            rig.session.stub.remove(kind, address, length)

        def forget_breakpoints(self) -> None:
            rig.session.stub.forget_breakpoints()

    armed = rig.machine.software
    rig.live.look_into(lambda session: session.table.send_through(lambda _stub: Losing()))
    stop_in_kdb(rig, at + 1)
    stop = rig.live.wait_for_stop(PATIENCE_SECONDS, after=1)
    assert (stop.reason, stop.pc) == (StopReason.TROUBLE, at)
    rig.live.go()
    rig.until(State.RUNNING)
    assert rig.machine.software == armed
    assert Breakpoint(BreakpointKind.SOFTWARE, at, 1) in rig.session.table.armed
