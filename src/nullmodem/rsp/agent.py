# SPDX-License-Identifier: Apache-2.0
"""gdb's agent expressions: the bytecode of conditions and dprintfs (gdb manual, "Agent Expressions").

A program is checked whole before it is taken (`Program.parse`), and runs with bounds on its steps and its stack, on
64-bit numbers. Opcodes and their operands are those of gdb/gdbsupport/ax.def; operands are big-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from nullmodem.errors import RemoteProtocolError
from nullmodem.rsp.agent_printf import FormatText

if TYPE_CHECKING:
    from collections.abc import Callable

MASK = (1 << 64) - 1
MAX_STEPS = 10_000
MAX_STACK = 100
MAX_PROGRAM = 1 << 14


class Op(IntEnum):
    """What is understood. Left out are floating point, which gdb never emits, and what only tracepoints have."""

    ADD, SUB, MUL, DIV_SIGNED, DIV_UNSIGNED, REM_SIGNED, REM_UNSIGNED = range(0x02, 0x09)
    LSH, RSH_SIGNED, RSH_UNSIGNED = range(0x09, 0x0C)
    LOG_NOT, BIT_AND, BIT_OR, BIT_XOR, BIT_NOT, EQUAL, LESS_SIGNED, LESS_UNSIGNED, EXT = range(0x0E, 0x17)
    REF8, REF16, REF32, REF64 = range(0x17, 0x1B)
    IF_GOTO, GOTO, CONST8, CONST16, CONST32, CONST64, REG, END, DUP, POP, ZERO_EXT, SWAP = range(0x20, 0x2C)
    PICK, ROT, PRINTF = range(0x32, 0x35)


_OPERAND = {
    Op.EXT: 1, Op.ZERO_EXT: 1, Op.CONST8: 1, Op.CONST16: 2, Op.CONST32: 4, Op.CONST64: 8,
    Op.IF_GOTO: 2, Op.GOTO: 2, Op.REG: 2, Op.PICK: 1,
}  # fmt: skip
_REF = {Op.REF8: 1, Op.REF16: 2, Op.REF32: 4, Op.REF64: 8}


class AgentError(Exception):
    """A program went wrong while it ran: it divided by zero, ran too long, or used what is not on its stack."""


class Machine(Protocol):
    """What a program looks at. Both methods may raise what they like; it ends the program."""

    def register(self, number: int) -> int: ...
    def memory(self, address: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: ``operand`` is its number, or how many arguments ``text`` takes; ``after`` is where the next
    one begins."""

    op: Op
    operand: int
    after: int
    text: FormatText | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a program left: the number on top of its stack, 0 when there is none, and what it printed."""

    value: int
    printed: str


@dataclass(frozen=True, slots=True)
class Program:
    """A checked program: its instructions by offset."""

    instructions: dict[int, Instruction]

    @classmethod
    def parse(cls, code: bytes) -> Program:
        """Read the bytecode. Raises RemoteProtocolError for what is not understood, cut off, or leads out of it."""
        if len(code) > MAX_PROGRAM:
            raise RemoteProtocolError(f"an agent expression of {len(code)} bytes is too long")
        found: dict[int, Instruction] = {}
        at = 0
        while at < len(code):
            found[at] = instruction = _decode(code, at)
            at = instruction.after
        for where, instruction in found.items():
            if instruction.op in (Op.IF_GOTO, Op.GOTO) and instruction.operand not in found:
                raise RemoteProtocolError(f"the agent expression jumps to {instruction.operand}, where nothing begins")
            if instruction.op not in (Op.END, Op.GOTO) and instruction.after not in found:
                raise RemoteProtocolError(f"the agent expression does not end after {where}")
        if not found:
            raise RemoteProtocolError("an agent expression is empty")
        return cls(found)

    def run(self, machine: Machine) -> Outcome:
        """Evaluate it. Raises AgentError, and whatever ``machine`` does."""
        return _Run(self, machine).finish()

    @property
    def registers(self) -> frozenset[int]:
        """The registers it may look at."""
        return frozenset(i.operand for i in self.instructions.values() if i.op is Op.REG)


def _decode(code: bytes, at: int) -> Instruction:
    try:
        op = Op(code[at])
    except ValueError:
        raise RemoteProtocolError(
            f"an agent expression has the opcode {code[at]:#04x}, which has no use here"
        ) from None
    if op is Op.PRINTF:
        return _decode_printf(code, at)
    size = _OPERAND.get(op, 0)
    operand = code[at + 1 : at + 1 + size]
    if len(operand) != size:
        raise RemoteProtocolError("an agent expression is cut off in the middle of an instruction")
    number = int.from_bytes(operand, "big")
    if op in (Op.EXT, Op.ZERO_EXT) and not 0 < number <= 64:
        raise RemoteProtocolError(f"an agent expression extends a number of {number} bits")
    return Instruction(op, number, at + 1 + size)


def _decode_printf(code: bytes, at: int) -> Instruction:
    """Number of arguments, two bytes of length, the format with its terminating zero."""
    length = int.from_bytes(code[at + 2 : at + 4], "big")
    text = code[at + 4 : at + 4 + length]
    if length == 0 or len(text) != length or text[-1] != 0:
        raise RemoteProtocolError("an agent expression has a format that does not end")
    form = FormatText.parse(text[:-1])
    if form.arguments != code[at + 1]:
        raise RemoteProtocolError(f"a format of {form.arguments} arguments is given {code[at + 1]}")
    return Instruction(Op.PRINTF, code[at + 1], at + 4 + length, form)


def _signed(value: int, bits: int = 64) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _divided(left: int, right: int) -> tuple[int, int]:
    """Quotient and rest as C has them: towards zero, the rest with the sign of ``left``."""
    if right == 0:
        msg = "division by zero"
        raise AgentError(msg)
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return quotient, left - quotient * right


_BINARY: dict[Op, Callable[[int, int], int]] = {
    Op.ADD: lambda a, b: a + b,
    Op.SUB: lambda a, b: a - b,
    Op.MUL: lambda a, b: a * b,
    Op.DIV_SIGNED: lambda a, b: _divided(_signed(a), _signed(b))[0],
    Op.DIV_UNSIGNED: lambda a, b: _divided(a, b)[0],
    Op.REM_SIGNED: lambda a, b: _divided(_signed(a), _signed(b))[1],
    Op.REM_UNSIGNED: lambda a, b: _divided(a, b)[1],
    Op.LSH: lambda a, b: a << b if b < 64 else 0,
    Op.RSH_SIGNED: lambda a, b: _signed(a) >> min(b, 63),
    Op.RSH_UNSIGNED: lambda a, b: a >> b if b < 64 else 0,
    Op.BIT_AND: lambda a, b: a & b,
    Op.BIT_OR: lambda a, b: a | b,
    Op.BIT_XOR: lambda a, b: a ^ b,
    Op.EQUAL: lambda a, b: int(a == b),
    Op.LESS_SIGNED: lambda a, b: int(_signed(a) < _signed(b)),
    Op.LESS_UNSIGNED: lambda a, b: int(a < b),
}


class _Run:
    """One evaluation."""

    def __init__(self, program: Program, machine: Machine) -> None:
        self._program = program
        self._machine = machine
        self._stack: list[int] = []
        self._printed: list[str] = []

    def finish(self) -> Outcome:
        at = 0
        for _ in range(MAX_STEPS):
            instruction = self._program.instructions[at]
            if instruction.op is Op.END:
                return Outcome(self._stack[-1] if self._stack else 0, "".join(self._printed))
            at = self._next(instruction)
        msg = f"it did not end within {MAX_STEPS} steps"
        raise AgentError(msg)

    def _next(self, instruction: Instruction) -> int:
        if instruction.op is Op.GOTO or (instruction.op is Op.IF_GOTO and self._pop() != 0):
            return instruction.operand
        if instruction.op is not Op.IF_GOTO:
            self._do(instruction)
        return instruction.after

    def _do(self, instruction: Instruction) -> None:
        op, operand = instruction.op, instruction.operand
        if op in _BINARY:
            right, left = self._pop(), self._pop()
            self._push(_BINARY[op](left, right))
        elif op in _REF:
            # The target's order is little-endian on every processor that is supported.
            self._push(int.from_bytes(self._machine.memory(self._pop(), _REF[op]), "little"))
        elif op is Op.PRINTF:
            self._print(instruction)
        elif op in (Op.CONST8, Op.CONST16, Op.CONST32, Op.CONST64):
            self._push(operand)
        elif op is Op.REG:
            self._push(self._machine.register(operand))
        else:
            self._shuffle(op, operand)

    def _shuffle(self, op: Op, operand: int) -> None:
        match op:
            case Op.LOG_NOT:
                self._push(int(self._pop() == 0))
            case Op.BIT_NOT:
                self._push(~self._pop())
            case Op.EXT:
                self._push(_signed(self._pop(), operand))
            case Op.ZERO_EXT:
                self._push(self._pop() & (1 << operand) - 1)
            case Op.DUP:
                self._push(self._peek(0))
            case Op.PICK:
                self._push(self._peek(operand))
            case Op.POP:
                self._pop()
            case Op.SWAP:
                top, below = self._pop(), self._pop()
                self._push(top)
                self._push(below)
            case _:  # rot: a b c becomes c a b
                third, second, first = self._pop(), self._pop(), self._pop()
                for value in (third, first, second):
                    self._push(value)

    def _print(self, instruction: Instruction) -> None:
        """On top are the function and the channel to print with, which gdb leaves zero; then the first argument."""
        self._pop()
        self._pop()
        values = [self._pop() for _ in range(instruction.operand)]
        assert instruction.text is not None
        self._printed.append(instruction.text.fill(values, self._machine.memory))

    def _push(self, value: int) -> None:
        if len(self._stack) >= MAX_STACK:
            msg = f"it wants more than {MAX_STACK} numbers on its stack"
            raise AgentError(msg)
        self._stack.append(value & MASK)

    def _pop(self) -> int:
        if not self._stack:
            msg = "it takes from an empty stack"
            raise AgentError(msg)
        return self._stack.pop()

    def _peek(self, depth: int) -> int:
        if depth >= len(self._stack):
            msg = "it looks below its stack"
            raise AgentError(msg)
        return self._stack[-1 - depth]
