# SPDX-License-Identifier: Apache-2.0
"""Where code can go on to: nothing that executes it ever leaves the range but by one of the places that were told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nullmodem.session.flow import Flow, explore
from nullmodem.stub.x86_64 import X86_64
from support.minicpu import (
    CONDITIONS,
    DEC,
    ENDBR,
    INC,
    MOVE,
    NOP,
    NOP5,
    POP,
    PUSH,
    RET,
    TEXT,
    MiniCpus,
    addresses,
    call,
    jump,
    jump_if,
    machine,
)

PIECES = st.one_of(
    st.sampled_from([INC, DEC, MOVE, NOP, NOP5, ENDBR, PUSH, POP, RET]),
    st.builds(jump, st.integers(-12, 12)),
    st.builds(jump_if, st.sampled_from(list(CONDITIONS)), st.integers(-12, 12)),
    st.builds(call, st.integers(-12, 12)),
)


def explored(
    code: tuple[bytes, ...], end: int, around: range = range(0), passable: frozenset[int] = frozenset()
) -> Flow | None:
    text = b"".join(code)
    found = around or range(TEXT, TEXT + end + 1)
    return explore(
        X86_64.instructions, lambda at: text[at - TEXT :][:16], TEXT, range(TEXT, TEXT + end), found, passable
    )


def flow_of(stops: set[int], through: tuple[int, ...], *, loops: bool = False, calls: bool = False) -> Flow:
    ways = frozenset(TEXT + offset for offset in through)
    return Flow(frozenset(stops), ways, loops=loops, calls=calls, moves_stack=False)


def test_straight_code_leaves_at_its_end() -> None:
    assert explored((INC, DEC, MOVE, NOP), 9) == flow_of({TEXT + 9}, (0, 3, 6))


def test_a_loop_leaves_behind_it() -> None:
    code = (INC, DEC, jump_if("ne", -8), NOP)
    assert explored(code, 8) == flow_of({TEXT + 8}, (0, 3, 6), loops=True)


def test_calls_returns_and_what_may_be_patched_are_stops_themselves() -> None:
    for piece in (call(3), RET, NOP5):
        code = (INC, piece, NOP)
        assert explored(code, 3 + len(piece)) == flow_of({TEXT + 3}, (0,))


def test_a_jump_may_become_a_nop() -> None:
    code = (INC, jump(3), INC, NOP)
    flow = explored(code, 8)
    assert flow is not None
    assert len(flow.through) == 3
    assert flow.stops == {TEXT + 8}


def test_no_stop_is_put_where_everybody_comes_by() -> None:
    """A return through a thunk is a jump far away, and so may a conditional jump be."""
    for piece in (jump(100), jump_if("e", 100)):
        code = (INC, INC, piece, NOP)
        flow = explored(code, 8)
        assert flow is not None
        assert flow.stops == {TEXT + 6}
        nearer = explored(code, 8, around=range(TEXT, TEXT + 200))
        assert nearer is not None
        assert TEXT + 108 in nearer.stops


def test_a_function_that_is_stepped_over_goes_on_behind_its_call() -> None:
    code = (INC, call(3), INC, NOP)
    flow = explored(code, 11, passable=frozenset({TEXT + 11}))
    assert flow == flow_of({TEXT + 11}, (0, 3, 8), calls=True)
    moved = explored((PUSH, *code), 12, passable=frozenset({TEXT + 12}))
    assert moved is not None
    assert moved.moves_stack


def test_code_that_is_not_there_is_not_explored() -> None:
    assert explored((INC,), 20) is None


@given(st.lists(PIECES, min_size=1, max_size=14), st.integers(1, 40))
def test_a_processor_that_leaves_the_range_does_so_at_a_stop(pieces: list[bytes], end: int) -> None:
    code = (*pieces, *[NOP] * 16)
    flow = explored(code, end)
    if flow is None:
        return
    cpu = machine(*code)
    cpu.cpus[0].registers.update(rax=1, rbx=2, rcx=3, rbp=0)
    cpus = MiniCpus(cpu)
    (processor,) = cpus.processors
    starts = {*addresses(*code)}
    for _ in range(60):
        pc = processor.registers["rip"]
        if pc in flow.stops:
            return
        assert TEXT <= pc < TEXT + end, hex(pc)
        if pc not in starts:
            return  # in the middle of an instruction: other code than was written down
        if not cpus._execute(processor):
            return
