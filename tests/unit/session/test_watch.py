# SPDX-License-Identifier: Apache-2.0
"""Watchpoints: what the debug registers are asked to watch, and which of them it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import BreakpointRefused
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.model import Access, Watched
from nullmodem.session.watch import Watches
from nullmodem.stub.x86_64 import X86_64
from support.minicpu import INC, NOP, PAGE, TEXT, machine, store
from support.runner import Track, track_on

WRITE, ACCESS, SOFTWARE = BreakpointKind.WRITE, BreakpointKind.ACCESS, BreakpointKind.SOFTWARE
CELL = TEXT + PAGE
STORE = store(CELL, TEXT + 3)


def watch(kind: BreakpointKind = WRITE, address: int = CELL, length: int = 8) -> Breakpoint:
    return Breakpoint(kind, address, length)


def at(track: Track, pc: int) -> None:
    """The processor stands at ``pc``, in a new stop."""
    track.machine.cpus[0].registers["rip"] = pc
    track.target.begin(101)


# -- pieces ----------------------------------------------------------------------------------------------------------


@given(st.integers(0, (1 << 64) - 64), st.integers(1, 32))
def test_the_pieces_cover_just_what_is_watched_and_each_fits_a_register(address: int, length: int) -> None:
    pieces = Watches().pieces(Breakpoint(WRITE, address, length))
    assert all(piece.length in (1, 2, 4, 8) and piece.address % piece.length == 0 for piece in pieces)
    covered = [byte for piece in pieces for byte in range(piece.address, piece.address + piece.length)]
    assert covered == list(range(address, address + length))


@pytest.mark.parametrize("length", [0, -1, 33, 1 << 40, 1 << 64])
def test_what_no_debug_registers_could_watch_is_refused(length: int) -> None:
    with pytest.raises(BreakpointRefused, match="cannot be watched"):
        Watches().pieces(Breakpoint(WRITE, CELL, length))


def test_an_execution_breakpoint_is_one_piece() -> None:
    breakpoint_ = Breakpoint(SOFTWARE, TEXT, 1)
    assert Watches().pieces(breakpoint_) == (breakpoint_,)


# -- which it was ----------------------------------------------------------------------------------------------------


def test_a_changed_value_names_the_watchpoint_at_the_address_as_it_was_asked_for() -> None:
    cpu = machine(INC, STORE, data=PAGE)
    with track_on(cpu) as track:
        watches = Watches()
        watches.added("gdb", watch(address=CELL + 2, length=3))
        watches.remember(track.target)
        cpu.memory[CELL].data[3] = 7
        at(track, TEXT)
        assert watches.explain(track.target, X86_64) == Watched(Access.WRITE, CELL + 2)
        assert watches.explain(track.target, X86_64) is None, "it is known now"


def test_a_write_of_the_same_value_is_found_by_the_instruction_that_did_it() -> None:
    cpu = machine(INC, STORE, NOP, data=PAGE)
    with track_on(cpu) as track:
        watches = Watches()
        watches.added("gdb", watch())
        watches.remember(track.target)
        at(track, TEXT + 3 + len(STORE))
        assert watches.explain(track.target, X86_64) == Watched(Access.WRITE, CELL)
        assert watches.explain(track.target, X86_64, trapped=False) is None, "a step says nothing of it"
        at(track, TEXT + 3)
        assert watches.explain(track.target, X86_64) is None


def test_an_access_is_told_at_a_step_too() -> None:
    cpu = machine(INC, STORE, NOP, data=PAGE)
    with track_on(cpu) as track:
        watches = Watches()
        watches.added("gdb", watch(ACCESS))
        watches.remember(track.target)
        at(track, TEXT + 3 + len(STORE))
        assert watches.explain(track.target, X86_64, trapped=False) == Watched(Access.ACCESS, CELL)


def test_code_before_the_pc_that_cannot_be_read_explains_nothing_and_is_no_error() -> None:
    cpu = machine(INC, data=PAGE)
    with track_on(cpu) as track:
        watches = Watches()
        watches.added("gdb", watch())
        watches.remember(track.target)
        for pc in (TEXT, TEXT + 2, 0x1000, 0):
            at(track, pc)
            assert watches.explain(track.target, X86_64) is None


def test_what_cannot_be_read_is_no_change() -> None:
    cpu = machine(INC, data=PAGE)
    with track_on(cpu) as track:
        watches = Watches()
        watches.added("gdb", watch(address=0xFFFF_FFFF_FFFF_E000))
        watches.remember(track.target)
        assert watches.explain(track.target, X86_64) is None


def test_one_place_watched_by_two_is_watched_until_both_have_gone() -> None:
    cpu = machine(INC, data=PAGE)
    with track_on(cpu) as track:
        watches = Watches()
        for owner in ("one", "two", "two"):
            watches.added(owner, watch())
        watches.removed("two", watch())
        watches.remember(track.target)
        cpu.memory[CELL].data[0] ^= 1
        at(track, TEXT)
        assert watches.explain(track.target, X86_64) is not None
        watches.forget_owner("one")
        cpu.memory[CELL].data[0] ^= 1
        at(track, TEXT)
        assert watches.explain(track.target, X86_64) is None


def test_what_was_freed_is_watched_no_longer() -> None:
    """Whatever the kernel puts there next is nobody's variable."""
    cpu = machine(INC, data=PAGE)
    with track_on(cpu) as track:
        watches = Watches()
        watches.added("gdb", watch())
        watches.added("gdb", watch(address=CELL + 64))
        watches.remember(track.target)
        watches.keep_only({watch(address=CELL + 64)})
        cpu.memory[CELL].data[0] ^= 1
        at(track, TEXT)
        assert watches.explain(track.target, X86_64) is None
        cpu.memory[CELL].data[64] ^= 1
        at(track, TEXT)
        assert watches.explain(track.target, X86_64) == Watched(Access.WRITE, CELL + 64)


def test_nothing_is_read_while_nothing_is_watched() -> None:
    cpu = machine(INC, data=PAGE)
    with track_on(cpu) as track:
        watches = Watches()
        before = len(track.fake.requests)
        watches.remember(track.target)
        assert watches.explain(track.target, X86_64) is None
        assert watches.explain(track.target, X86_64, trapped=False) is None
        assert len(track.fake.requests) == before
