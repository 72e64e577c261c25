# SPDX-License-Identifier: Apache-2.0
"""Agent expressions: they compute what C would, stay in their bounds, and no bytes do anything else."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nullmodem.errors import RemoteProtocolError
from nullmodem.rsp.agent import MAX_STACK, AgentError, Op, Program

MASK = (1 << 64) - 1


@dataclass
class Registers:
    """A machine of two registers and sixteen bytes at 0x100."""

    values: dict[int, int] = field(default_factory=lambda: {0: 7, 5: MASK})
    bytes: bytes = bytes(range(1, 17))
    reads: list[tuple[int, int]] = field(default_factory=list)

    def register(self, number: int) -> int:
        return self.values[number]

    def memory(self, address: int, length: int) -> bytes:
        self.reads.append((address, length))
        if not 0x100 <= address <= 0x110 - length:
            msg = f"nothing at {address:#x}"
            raise AgentError(msg)
        return self.bytes[address - 0x100 :][:length]


def const(value: int) -> bytes:
    return bytes((Op.CONST64,)) + (value & MASK).to_bytes(8, "big")


def value_of(code: bytes) -> int:
    return Program.parse(code + bytes((Op.END,))).run(Registers()).value


# -- an independent evaluation: trees of operations, computed by Python's own operators on C's ranges --------------


def signed(value: int) -> int:
    return (value ^ 1 << 63) - (1 << 63)


def towards_zero(left: int, right: int) -> int:
    magnitude, _rest = divmod(abs(left), abs(right))
    return -magnitude if left * right < 0 else magnitude


BINARY = {
    Op.ADD: operator.add,
    Op.SUB: operator.sub,
    Op.MUL: operator.mul,
    Op.DIV_SIGNED: lambda a, b: towards_zero(signed(a), signed(b)),
    Op.DIV_UNSIGNED: operator.floordiv,
    Op.REM_SIGNED: lambda a, b: signed(a) - signed(b) * towards_zero(signed(a), signed(b)),
    Op.REM_UNSIGNED: operator.mod,
    Op.BIT_AND: operator.and_,
    Op.BIT_OR: operator.or_,
    Op.BIT_XOR: operator.xor,
    Op.EQUAL: operator.eq,
    Op.LESS_SIGNED: lambda a, b: signed(a) < signed(b),
    Op.LESS_UNSIGNED: operator.lt,
}
UNARY = {Op.LOG_NOT: operator.not_, Op.BIT_NOT: operator.invert}
NUMBERS = st.one_of(st.integers(0, MASK), st.integers(0, 300), st.integers(MASK - 300, MASK), st.just(1 << 63))


@dataclass(frozen=True)
class Tree:
    """An expression: its bytecode and its value."""

    code: bytes
    value: int


def binary(op: Op, left: Tree, right: Tree) -> Tree:
    if op in (Op.DIV_SIGNED, Op.DIV_UNSIGNED, Op.REM_SIGNED, Op.REM_UNSIGNED) and not right.value:
        right = Tree(const(3), 3)
    value = int(BINARY[op](left.value, right.value)) & MASK
    return Tree(left.code + right.code + bytes((op,)), value)


def shifted(op: Op, left: Tree, by: int) -> Tree:
    value = {
        Op.LSH: left.value << by,
        Op.RSH_UNSIGNED: left.value >> by,
        Op.RSH_SIGNED: signed(left.value) >> by,
    }[op]
    return Tree(left.code + bytes((Op.CONST8, by, op)), value & MASK)


def extended(op: Op, inner: Tree, bits: int) -> Tree:
    low = inner.value % (1 << bits)
    negative = op is Op.EXT and low >= 1 << bits - 1
    return Tree(inner.code + bytes((op, bits)), (low - (1 << bits)) & MASK if negative else low)


LEAVES = st.one_of(
    NUMBERS.map(lambda value: Tree(const(value), value)),
    st.integers(0, 255).map(lambda value: Tree(bytes((Op.CONST8, value)), value)),
    st.sampled_from([Tree(bytes((Op.REG, 0, 0)), 7), Tree(bytes((Op.REG, 0, 5)), MASK)]),
    st.tuples(st.sampled_from([(Op.REF8, 1), (Op.REF16, 2), (Op.REF32, 4), (Op.REF64, 8)]), st.integers(0, 8)).map(
        lambda t: Tree(
            const(0x100 + t[1]) + bytes((t[0][0],)),
            int.from_bytes(bytes(range(t[1] + 1, t[1] + 1 + t[0][1])), "little"),
        )
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(binary, st.sampled_from(sorted(BINARY)), inner, inner),
        st.builds(shifted, st.sampled_from([Op.LSH, Op.RSH_SIGNED, Op.RSH_UNSIGNED]), inner, st.integers(0, 63)),
        st.builds(extended, st.sampled_from([Op.EXT, Op.ZERO_EXT]), inner, st.integers(1, 64)),
        st.builds(
            lambda op, tree: Tree(tree.code + bytes((op,)), int(UNARY[op](tree.value)) & MASK),
            st.sampled_from(sorted(UNARY)),
            inner,
        ),
    ),
    max_leaves=12,
)


@given(TREES)
def test_expressions_have_the_values_that_c_gives_them(tree: Tree) -> None:
    assert value_of(tree.code) == tree.value


@given(TREES, TREES, TREES)
def test_a_choice_takes_one_way(condition: Tree, yes: Tree, no: Tree) -> None:
    other = no.code + bytes((Op.GOTO,))
    to_yes = len(condition.code) + 3 + len(other) + 2
    end = to_yes + len(yes.code)
    code = condition.code + bytes((Op.IF_GOTO,)) + to_yes.to_bytes(2, "big") + other + end.to_bytes(2, "big") + yes.code
    assert value_of(code) == (yes if condition.value else no).value


def test_the_stack_is_shuffled_as_the_manual_says() -> None:
    three = const(1) + const(2) + const(3)

    def left(code: bytes) -> list[int]:
        return [value_of(three + code + bytes((Op.POP,)) * n) for n in range(3)]

    assert left(bytes((Op.SWAP,))) == [2, 3, 1]
    assert left(bytes((Op.ROT,))) == [2, 1, 3]
    assert left(bytes((Op.DUP,))) == [3, 3, 2]
    assert left(bytes((Op.PICK, 2))) == [1, 3, 2]


@pytest.mark.parametrize(
    "code",
    [
        b"", b"\x22", b"\x22\x01", b"\x26\x00", b"\x20\x00\x01\x27", b"\x21\x00\x09", b"\x01\x27", b"\x0c\x00\x01\x27",
        b"\x2c\x00\x01\x27", b"\x16\x00\x27", b"\x16\x41\x27", b"\x34\x00\x00\x00\x27", b"\x34\x01\x00\x03%d!\x27",
        b"\x34\x00\x00\x03%d\x00\x27", b"\x34\x01\x00\x03%f\x00\x27", b"\x34\x00\xff\xffabc\x00\x27", b"\xff",
        b"\x31\x27",
        b"\x34\x01\x00\x06%999d\x00\x27", bytes((Op.DUP,)) * ((1 << 14) + 1),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused(code: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Program.parse(code)


@given(st.binary(max_size=60))
@example(b"\x34\x01\x00\x03%s\x00\x27")
def test_any_bytes_are_refused_or_end_within_their_bounds(code: bytes) -> None:
    try:
        program = Program.parse(code)
    except RemoteProtocolError:
        return
    try:
        outcome = program.run(Registers({n: n for n in range(1 << 16)} if program.registers else {}))
    except AgentError:
        return
    assert 0 <= outcome.value <= MASK


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (b"\x21\x00\x00", "did not end"),
        (b"\x29\x27", "empty stack"),
        (b"\x02\x27", "empty stack"),
        (b"\x32\x05\x27", "below its stack"),
        (b"\x22\x01\x22\x00\x05\x27", "division by zero"),
        (b"\x22\x01" + bytes((Op.DUP,)) * MAX_STACK + b"\x27", "more than"),
    ],
)
def test_what_goes_wrong_while_it_runs_ends_it(code: bytes, why: str) -> None:
    with pytest.raises(AgentError, match=why):
        Program.parse(code).run(Registers())


def printed(form: bytes, *values: int) -> str:
    arguments = b"".join(const(value) for value in reversed(values))
    code = arguments + const(0) + const(0) + bytes((Op.PRINTF, len(values)))
    code += (len(form) + 1).to_bytes(2, "big") + form + b"\0" + bytes((Op.END,))
    return Program.parse(code).run(Registers(bytes=b"spare\0".ljust(16, b"x"))).printed


@pytest.mark.parametrize(
    ("form", "values", "text"),
    [
        (rb"a\tb\\ \101\x42\n", (), "a\tb\\ AB\n"),
        (b"%d %i", (MASK, 5), "-1 5"),
        (b"%u", (MASK,), "4294967295"),
        (b"%lu %llx %#lx", (MASK, MASK, 255), f"{MASK} {MASK:x} 0xff"),
        (b"%5d|%-5d|%05d", (42, 42, 42), "   42|42   |00042"),
        (b"%hhd %hd", (0x1FF, 0x18000), "-1 -32768"),
        (b"100%% %c %p", (65, 0xFFFF), "100% A 0xffff"),
        (b"<%s> <%10s> <%.2s>", (0x100, 0x100, 0x100), "<spare> <     spare> <sp>"),
        (b"%x %X %o", (171, 171, 8), "ab AB 10"),
    ],
)
def test_a_format_is_filled_as_c_fills_it(form: bytes, values: tuple[int, ...], text: str) -> None:
    assert printed(form, *values) == text


def test_a_string_is_read_in_pieces_that_do_not_reach_over_their_end() -> None:
    machine = Registers(bytes=b"0123456789abcdef")
    form = b"%s\0"
    code = const(0x103) + const(0) * 2 + bytes((Op.PRINTF, 1, 0, len(form))) + form + bytes((Op.END,))
    with pytest.raises(AgentError, match="nothing at 0x110"):
        Program.parse(code).run(machine)
    assert machine.reads == [(0x103, 13), (0x110, 16)]
