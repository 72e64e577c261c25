# SPDX-License-Identifier: Apache-2.0
"""No processor goes on with a debug register on that nobody has set any more: a whole session on a fake stub."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from nullmodem.kernel.debug_exceptions import Excepted
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import Policy, State
from support.client import PATIENCE_SECONDS
from support.fakekernel import FakeKernel
from support.rig import Arrival, Rig
from support.rigged import kernel_file, module_path, rig
from support.runner import assert_harmless

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["kernel_file", "module_path", "rig"]

AREAS = {0: 0xFFFF_8880_0F60_0000, 2: 0xFFFF_8880_0F80_0000}
KEPT = 0xFFFF_FFFF_C000_1000


class Registers:
    """The kernel's variables for them, each of both processors."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        for cpu, area in AREAS.items():
            rig.kernel.poke(rig.memory, rig.kernel.symbol("__per_cpu_offset") + 8 * cpu, area)
            rig.memory.add(area, bytes(4096))

    def _places(self) -> Iterator[int]:
        for area in AREAS.values():
            yield area + self._rig.kernel.symbol("cpu_debugreg", 0)
            yield area + self._rig.kernel.symbol("nmi_dr7", 0)

    def keep(self) -> None:
        """As the kernel does on its way into the debugger, when the first of them is on."""
        for place in self._places():
            self._rig.kernel.poke(self._rig.memory, place, KEPT)

    @property
    def kept(self) -> list[int]:
        return [int.from_bytes(self._rig.memory.read(place, 8), "little") for place in self._places()]


@pytest.fixture
def stopped(kernel_file: Path, tmp_path: Path) -> Iterator[tuple[Rig, Registers]]:
    """A machine that stands, of which no session knows yet."""
    rig = Rig(FakeKernel(kernel_file), tmp_path, Policy.RELEASE)
    with contextlib.closing(rig):
        yield rig, Registers(rig)
    assert_harmless(rig.fake)


def test_a_session_that_ends_while_one_is_on_leaves_none(stopped: tuple[Rig, Registers]) -> None:
    rig, registers = stopped
    rig.live.start(PATIENCE_SECONDS)
    gdb = rig.gdb()
    gdb.attach()
    gdb.ask(b"Z1,%x,1" % rig.kernel.symbol("do_init_module"))
    gdb.send(b"vCont;c")
    rig.until(State.RUNNING)
    registers.keep()
    rig.live.close(release=True)
    assert registers.kept == [0] * 4
    assert rig.machine.hardware == {}
    assert rig.fake.running


def test_what_an_earlier_session_has_left_on_is_off_when_the_target_goes_on(stopped: tuple[Rig, Registers]) -> None:
    rig, registers = stopped
    rig.kernel.set(rig.memory, "struct hw_breakpoint", rig.kernel.symbol("breakinfo"), {"addr": KEPT})
    registers.keep()
    rig.live.start(PATIENCE_SECONDS)
    assert registers.kept == [KEPT] * 4
    rig.live.go()
    rig.until(State.RUNNING)
    assert registers.kept == [0] * 4


def test_a_session_without_them_does_not_look_for_them(stopped: tuple[Rig, Registers]) -> None:
    rig, registers = stopped
    registers.keep()
    rig.live.start(PATIENCE_SECONDS)
    rig.live.go()
    rig.until(State.RUNNING)
    rig.live.close(release=True)
    assert registers.kept == [KEPT] * 4


@pytest.mark.parametrize("again", [False, True])
def test_what_waited_at_a_deleted_breakpoint_is_shown_if_there_is_another_by_now(rig: Rig, again: bool) -> None:
    """A second processor had come to it with the first, and reports that when the first one's stop is over."""
    at = rig.kernel.symbol("module_event") + 4
    registers = rig.session.runner.registers
    registers.settle, registers.here = lambda: {1: Excepted(at, own=True)}, lambda: 1
    client = rig.live.attach("test")
    stop(rig)
    rig.live.insert(client, Breakpoint(BreakpointKind.HARDWARE, at, 1))
    rig.live.go()
    rig.until(State.RUNNING)
    stops = stop(rig)
    rig.live.remove(client, Breakpoint(BreakpointKind.HARDWARE, at, 1))
    if again:
        rig.live.insert(client, Breakpoint(BreakpointKind.SOFTWARE, at, 1))
    registers.here = lambda: 0
    rig.live.go()
    rig.until(State.RUNNING)
    registers.here = lambda: 1
    rig.happen(Arrival(at, cpu=1, traps=True))
    rig.settle()
    assert rig.live.stop is not None
    assert (rig.live.state, rig.live.stop.number - stops) == ((State.STOPPED, 1) if again else (State.RUNNING, 0))


def stop(rig: Rig) -> int:
    """Have it stand; the number of the stop."""
    rig.live.interrupt()
    return rig.live.wait_for_stop(PATIENCE_SECONDS).number
