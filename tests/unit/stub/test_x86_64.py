# SPDX-License-Identifier: Apache-2.0
"""What the engine must know of x86-64 machine code, against tables made from Intel's manual, volume 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.stub.arch import Instruction, Kind
from nullmodem.stub.x86_64 import X86_64
from support.minicpu import CF, CONDITIONS, OF, PF, SF, ZF, jump_if

if TYPE_CHECKING:
    from nullmodem.stub.arch import Registers

PC = 0xFFFF_FFFF_8100_0000
CODE = X86_64.instructions
NOPS = 16 * b"\x90"


def registers(**values: int) -> Registers:
    plain = {"rip": PC, "rsp": 0xFFFF_C900_0000_1000, "eflags": 0x246}
    return X86_64.parse(bytes(X86_64.g_length)).replace({**plain, **values})


def code(text: str) -> bytes:
    return bytes.fromhex(text)


# (bytes, what it is)
GOES_ON = [
    ("90", "nop"),
    ("0f1f00", "nop of three bytes"),
    ("660f1f440000", "nop of six bytes"),
    ("f30f1efa", "endbr64"),
    ("f390", "pause"),
    ("4889e5", "mov rbp, rsp"),
    ("48c7c001000000", "mov rax, 1"),
    ("8b07", "mov eax, [rdi]"),
    ("f048ff00", "lock inc [rax]"),
    ("55", "push rbp"),
    ("5d", "pop rbp"),
    ("c9", "leave"),
    ("9c", "pushfq"),
    ("9d", "popfq"),
    ("fa", "cli"),
    ("fb", "sti"),
    ("f3a4", "rep movsb"),
    ("0fa2", "cpuid"),
    ("0f31", "rdtsc"),
    ("0f30", "wrmsr"),
    ("0f01f8", "swapgs"),
    ("0f94c0", "sete al"),
    ("480f44c1", "cmove rax, rcx"),
    ("65488b042500000000", "mov rax, gs:[0]"),
]
LEAVES = [
    ("eb10", "jmp short"),
    ("e900010000", "jmp near"),
    ("ffe0", "jmp rax"),
    ("ff2500000000", "jmp [rip]"),
    ("e800010000", "call"),
    ("ffd0", "call rax"),
    ("c3", "ret"),
    ("c20800", "ret 8"),
    ("f3c3", "rep ret"),
    ("cb", "retf"),
    ("48cf", "iretq"),
    ("cc", "int3"),
    ("cd80", "int 0x80"),
    ("f1", "int1"),
    ("0f05", "syscall"),
    ("0f07", "sysret"),
    ("0f34", "sysenter"),
    ("0f0b", "ud2"),
    ("0fb9c0", "ud1, with which later kernels warn"),
    ("0fff00", "ud0"),
    ("f4", "hlt"),
    ("0f01c9", "mwait"),
    ("e310", "jrcxz"),
    ("e210", "loop"),
    ("c7f800000000", "xbegin"),
    ("6690", "nop of two bytes, which may become a jump"),
    ("0f1f440000", "nop of five bytes, which may become a jump"),
]


@pytest.mark.parametrize(("text", "what"), GOES_ON, ids=[what for _text, what in GOES_ON])
def test_straight_line_code_includes(text: str, what: str) -> None:
    size = len(code(text))
    here = CODE.decode(code(text) + NOPS, PC)
    assert here is not None
    assert (here.kind, here.length, here.target) == (Kind.PLAIN, size, None)
    assert CODE.instruction_length(code(text) + NOPS, PC) == size
    assert not CODE.returns(code(text), PC)


@pytest.mark.parametrize(("text", "what"), LEAVES, ids=[what for _text, what in LEAVES])
def test_straight_line_code_ends_before(text: str, what: str) -> None:
    here = CODE.decode(code(text) + NOPS, PC)
    assert here is None or here.kind is not Kind.PLAIN
    assert not CODE.keeps(code(text) + NOPS, frozenset())


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_conditional_jump_goes_on_or_to_its_target(condition: str) -> None:
    near = bytes((0x0F, 0x80 + list(CONDITIONS).index(condition))) + bytes(4)
    assert CODE.decode(jump_if(condition, 4) + NOPS, PC) == Instruction(2, Kind.BRANCH, PC + 6)
    assert CODE.decode(near + NOPS, PC) == Instruction(6, Kind.BRANCH, PC + 6)


def test_where_a_jump_and_a_call_lead_is_told_only_where_the_code_says_it() -> None:
    assert CODE.decode(code("ebfe") + NOPS, PC) == Instruction(2, Kind.JUMP, PC)
    assert CODE.decode(code("e8fbffffff") + NOPS, PC) == Instruction(5, Kind.CALL, PC, stack=-8)
    for text in ("ffe0", "ffd0", "ff25000000", "c3", "cc", "cf"):
        here = CODE.decode(code(text) + NOPS, PC)
        assert here is not None
        assert (here.kind, here.target) == (Kind.OTHER, None), text


@pytest.mark.parametrize(
    "text", ["55", "5d", "c9", "4883ec08", "488d6508", "89e4", "66bc0100", "c8000000", "9c", "89e0"]
)
def test_what_moves_the_stack_pointer_is_told(text: str) -> None:
    here = CODE.decode(code(text) + NOPS, PC)
    assert here is not None
    assert here.stack == (0 if text == "89e0" else None)


def test_what_a_call_and_a_return_do_to_the_stack_pointer_is_known() -> None:
    changes = [CODE.decode(code(text) + NOPS, PC) for text in ("e8fbffffff", "c3", "c20800", "cf", "ffd0")]
    assert [here.stack if here is not None else 0 for here in changes] == [-8, 8, None, None, None]


@given(st.binary(max_size=40))
def test_any_bytes_are_decoded_or_not_and_never_more_than_there_are(data: bytes) -> None:
    here = CODE.decode(data, PC)
    length = CODE.instruction_length(data, PC)
    assert 0 <= length <= min(15, len(data))
    assert length == (here.length if here is not None else 0)
    registers_ = registers(rax=1, rsp=1 << 63)
    values = CODE.skip(data, registers_)
    if values is not None:
        assert length > 0
        assert set(values) <= X86_64.writable
        assert all(0 <= value < 1 << 64 for value in values.values())
    for address, size in CODE.accesses(data, registers_):
        assert 0 <= address < 1 << 64
        assert size > 0
    CODE.keeps(data, frozenset({"rdi"}))
    CODE.returns(data, PC)
    CODE.may_be_patched(data, PC)


@given(st.binary(max_size=15), st.binary(min_size=1, max_size=15))
def test_an_instruction_that_is_cut_short_is_no_other_instruction(head: bytes, rest: bytes) -> None:
    """A step's range may end inside one: a breakpoint is never planted by such a misreading."""
    whole = CODE.instruction_length(head + rest, PC)
    assert CODE.instruction_length(head, PC) in (0, whole)


SKIPPED = [
    ("90", {"rip": PC + 1}),
    ("6690", {"rip": PC + 2}),
    ("0f1f440000", {"rip": PC + 5}),
    ("f30f1efa", {"rip": PC + 4}),
    ("eb10", {"rip": PC + 0x12}),
    ("ebfe", {"rip": PC}),
    ("e900010000", {"rip": PC + 0x105}),
    ("e9fbffffff", {"rip": PC}),
    ("4889e5", {"rip": PC + 3, "rbp": 0xFFFF_C900_0000_1000}),
    ("4989fc", {"rip": PC + 3, "r12": 0x1234}),
]
NEEDS_MORE = [
    ("4889ec", "mov rsp, rbp: the stub cannot set rsp"),
    ("89f8", "mov eax, edi: clears the upper half"),
    ("0f20c0", "mov rax, cr0"),
    ("0f22d8", "mov cr3, rax"),
    ("8ed8", "mov ds, eax"),
    ("488b07", "mov rax, [rdi]"),
    ("e800000000", "call"),
    ("c3", "ret"),
    ("ffe0", "jmp rax"),
    ("ff2500000000", "jmp [rip]"),
    ("e300", "jrcxz"),
    ("e200", "loop"),
    ("c7f800000000", "xbegin"),
    ("55", "push rbp"),
    ("f390", "pause"),
    ("cc", "int3"),
    ("06", "nothing"),
]


@pytest.mark.parametrize(("text", "expected"), SKIPPED, ids=[text for text, _ in SKIPPED])
def test_its_work_can_be_done_by_writing_registers(text: str, expected: dict[str, int]) -> None:
    assert CODE.skip(code(text) + NOPS, registers(rdi=0x1234)) == expected


@pytest.mark.parametrize(("text", "what"), NEEDS_MORE, ids=[what for _text, what in NEEDS_MORE])
def test_it_must_be_executed(text: str, what: str) -> None:
    assert CODE.skip(code(text) + NOPS, registers(rax=5, rcx=1)) is None


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_conditional_jump_is_taken_as_the_processor_takes_it(condition: str) -> None:
    near = bytes((0x0F, 0x80 + list(CONDITIONS).index(condition))) + (0x40).to_bytes(4, "little")
    for bits in range(32):
        flags = sum(flag for n, flag in enumerate((CF, PF, ZF, SF, OF)) if bits >> n & 1) | 0x202
        taken = CONDITIONS[condition](flags)
        here = registers(eflags=flags)
        assert CODE.skip(jump_if(condition, -6) + NOPS, here) == {"rip": PC - 4 if taken else PC + 2}
        assert CODE.skip(near + NOPS, here) == {"rip": PC + 0x46 if taken else PC + 6}


def test_both_ways_of_every_condition_are_in_the_table() -> None:
    every = [sum(f for n, f in enumerate((CF, PF, ZF, SF, OF)) if bits >> n & 1) for bits in range(32)]
    for holds in CONDITIONS.values():
        assert {holds(flags) for flags in every} == {True, False}


PATCHED = ["6690", "0f1f440000", "eb10", "e900010000", "e800010000"]


@pytest.mark.parametrize("text", PATCHED)
def test_the_kernel_may_patch(text: str) -> None:
    assert CODE.may_be_patched(code(text) + NOPS, PC)


@pytest.mark.parametrize("text", ["90", "0f1f00", "7410", "0f8400010000", "c3", "4889e5", "06"])
def test_the_kernel_does_not_patch(text: str) -> None:
    assert not CODE.may_be_patched(code(text) + NOPS, PC)


WRITES_RDI = ["bf01000000", "40b701", "66bf0100", "89c7", "5f", "f3a4", "aa", "48ffc7", "4887f8", "0fb6f8", "0fb1f8"]
WRITES_OTHERS = ["b801000000", "4889fb", "55", "5b", "48393f", "4839c7", "4885ff", "894708", "48893e", "0f94c0"]


@pytest.mark.parametrize("text", WRITES_RDI)
def test_an_instruction_that_changes_an_argument_in_any_width_does_not_keep_it(text: str) -> None:
    # cmpxchg eax, edi writes its first operand, which 0fb1f8 has in eax: that one keeps rdi.
    assert CODE.keeps(code(text) + NOPS, frozenset({"rdi"})) == (text == "0fb1f8")


@pytest.mark.parametrize("text", WRITES_OTHERS)
def test_an_instruction_that_changes_something_else_keeps_it(text: str) -> None:
    assert CODE.keeps(code(text) + NOPS, frozenset({"rdi"}))


# mov $1 into each general register, in all four widths: opcode b8+r and b0+r.
@pytest.mark.parametrize("number", range(16))
@pytest.mark.parametrize("width", ["64", "32", "16", "8"])
def test_a_part_of_a_register_is_the_register(number: int, width: str) -> None:
    name = X86_64.registers[[0, 2, 3, 1, 7, 6, 4, 5, *range(8, 16)][number]].name
    low = number & 7
    prefix = {"64": 0x48, "32": 0x40, "16": 0x40, "8": 0x40}[width] | number >> 3
    head = b"\x66" if width == "16" else b""
    opcode = (0xB0 if width == "8" else 0xB8) + low
    size = {"64": 8, "32": 4, "16": 2, "8": 1}[width]
    instruction = head + bytes((prefix, opcode)) + (1).to_bytes(size, "little")
    assert not CODE.keeps(instruction + NOPS, frozenset({name}))
    others = frozenset(r.name for r in X86_64.registers) - {name}
    assert CODE.keeps(instruction + NOPS, others)


@pytest.mark.parametrize(("text", "name"), [("b401", "rax"), ("b501", "rcx"), ("b601", "rdx"), ("b701", "rbx")])
def test_the_high_byte_of_a_register_is_the_register(text: str, name: str) -> None:
    assert not CODE.keeps(code(text) + NOPS, frozenset({name}))


ACCESSES = [
    ("488b07", [(0x1000, 8)]),  # mov rax, [rdi]
    ("8907", [(0x1000, 4)]),  # mov [rdi], eax
    ("668907", [(0x1000, 2)]),
    ("8807", [(0x1000, 1)]),
    ("488b4708", [(0x1008, 8)]),  # [rdi + 8]
    ("488b04f7", [(0x1100, 8)]),  # [rdi + rsi * 8]
    ("48890510000000", [(PC + 0x17, 8)]),  # [rip + 0x10]
    ("8b042500f0ffff", [(0xFFFF_FFFF_FFFF_F000, 4)]),  # an absolute address, sign-extended
    ("f048ff4708", [(0x1008, 8)]),  # lock inc
    ("a4", [(0x1000, 1), (0x20, 1)]),  # movsb: [rdi], [rsi]
    ("65488b042500000000", []),  # gs: its base is not known
    ("488d4708", []),  # lea computes an address and reads nothing
    ("0f1f4708", []),  # nor does a nop with one
    ("0f184708", []),  # nor a prefetch, as far as a watchpoint is concerned
    ("4889e5", []),
    ("06", []),
]


@pytest.mark.parametrize(("text", "expected"), ACCESSES, ids=[text for text, _ in ACCESSES])
def test_the_memory_an_instruction_touches(text: str, expected: list[tuple[int, int]]) -> None:
    here = registers(rdi=0x1000, rsi=0x20)
    assert sorted(CODE.accesses(code(text) + NOPS, here)) == sorted(expected)
