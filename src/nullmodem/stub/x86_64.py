# SPDX-License-Identifier: Apache-2.0
"""x86-64 as kgdb presents it: registers, and as much of the instruction set as running code without stepping needs.

The register order is ``dbg_reg_def`` in arch/x86/kernel/kgdb.c. The ``g`` packet ends after ``es``: ``NUMREGBYTES`` is
``17 * 8 + 5 * 4``, so ``fs`` and ``gs``, which the table names, are never sent. ``ds`` and ``es`` have no place in
``pt_regs`` and are always zero; ``dbg_set_reg`` ignores writes to ``sp``, ``cs`` and ``ss`` without saying so.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import capstone
from capstone import x86_const as x86

from nullmodem.stub.arch import Arch, Instruction, Kind, Register

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.stub.arch import Registers, RegisterValues

_NAMES_64 = (
    ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *tuple(f"r{n}" for n in range(8, 16)), "rip")
)  # fmt: skip
_NAMES_32 = ("eflags", "cs", "ss", "ds", "es")


def _registers() -> tuple[Register, ...]:
    wide = [Register(name, n, 8 * n, 8) for n, name in enumerate(_NAMES_64)]
    base = 8 * len(wide)
    narrow = [Register(name, len(wide) + n, base + 4 * n, 4) for n, name in enumerate(_NAMES_32)]
    return tuple(wide + narrow)


@cache
def _decoder() -> capstone.Cs:
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.detail = True
    return decoder


_TRANSFERS = frozenset({
    x86.X86_GRP_JUMP, x86.X86_GRP_CALL, x86.X86_GRP_RET, x86.X86_GRP_INT, x86.X86_GRP_IRET,
    x86.X86_GRP_BRANCH_RELATIVE,
})  # fmt: skip
# Instructions that go on to the next one only after something a temporary breakpoint must not be trusted across:
# they stop the processor, change the stack or the privilege, or restart themselves.
_BARRIERS = frozenset({
    x86.X86_INS_HLT, x86.X86_INS_MWAIT, x86.X86_INS_SYSENTER, x86.X86_INS_SYSEXIT, x86.X86_INS_SYSCALL,
    x86.X86_INS_SYSRET, x86.X86_INS_UD0, x86.X86_INS_UD1, x86.X86_INS_UD2, x86.X86_INS_INT3, x86.X86_INS_IRETQ,
    x86.X86_INS_INVALID,
})  # fmt: skip

# Instructions with a memory operand that read and write nothing, as far as debug registers are concerned.
_ADDRESS_ONLY = frozenset({
    x86.X86_INS_LEA, x86.X86_INS_NOP, x86.X86_INS_PREFETCH, x86.X86_INS_PREFETCHNTA, x86.X86_INS_PREFETCHT0,
    x86.X86_INS_PREFETCHT1, x86.X86_INS_PREFETCHT2, x86.X86_INS_PREFETCHW, x86.X86_INS_INVLPG, x86.X86_INS_CLFLUSH,
    x86.X86_INS_CLFLUSHOPT,
})  # fmt: skip

# The kernel turns such a nop into a jump, and back, while it runs (static keys, arch/x86/kernel/jump_label.c), so a
# nop of this size may have become a branch by the time a processor gets there.
_PATCHED_NOPS = frozenset({2, 5})


def _first(code: bytes, address: int) -> Any | None:
    return next(_decoder().disasm(code[:16], address, 1), None)


def _leaves(instruction: Any) -> bool:
    if instruction.id == x86.X86_INS_NOP and instruction.size in _PATCHED_NOPS:
        return True
    return bool(_TRANSFERS.intersection(instruction.groups)) or instruction.id in _BARRIERS


_CONDITIONS: dict[int, Callable[[int, int, int, int, int], bool]] = {
    x86.X86_INS_JE: lambda _c, _p, z, _s, _o: bool(z),
    x86.X86_INS_JNE: lambda _c, _p, z, _s, _o: not z,
    x86.X86_INS_JS: lambda _c, _p, _z, s, _o: bool(s),
    x86.X86_INS_JNS: lambda _c, _p, _z, s, _o: not s,
    x86.X86_INS_JB: lambda c, _p, _z, _s, _o: bool(c),
    x86.X86_INS_JAE: lambda c, _p, _z, _s, _o: not c,
    x86.X86_INS_JBE: lambda c, _p, z, _s, _o: bool(c or z),
    x86.X86_INS_JA: lambda c, _p, z, _s, _o: not (c or z),
    x86.X86_INS_JL: lambda _c, _p, _z, s, o: s != o,
    x86.X86_INS_JGE: lambda _c, _p, _z, s, o: s == o,
    x86.X86_INS_JLE: lambda _c, _p, z, s, o: bool(z) or s != o,
    x86.X86_INS_JG: lambda _c, _p, z, s, o: not z and s == o,
    x86.X86_INS_JO: lambda _c, _p, _z, _s, o: bool(o),
    x86.X86_INS_JNO: lambda _c, _p, _z, _s, o: not o,
    x86.X86_INS_JP: lambda _c, p, _z, _s, _o: bool(p),
    x86.X86_INS_JNP: lambda _c, p, _z, _s, _o: not p,
}


_DIRECT: dict[int, tuple[Kind, int | None]] = {
    x86.X86_INS_JMP: (Kind.JUMP, 0),
    x86.X86_INS_CALL: (Kind.CALL, -8),
    **dict.fromkeys(_CONDITIONS, (Kind.BRANCH, 0)),
}


def _taken(instruction: Any, flags: int) -> bool | None:
    """Whether a jump is taken with these flags; None where this table does not know."""
    if instruction.id == x86.X86_INS_JMP:
        return True
    condition = _CONDITIONS.get(instruction.id)
    if condition is None:
        return None
    carry, parity, zero, sign, overflow = (flags >> bit & 1 for bit in (0, 2, 6, 7, 11))
    return condition(carry, parity, zero, sign, overflow)


class X86Instructions:
    """`InstructionSet` for x86-64, by capstone. Stateless."""

    def decode(self, code: bytes, address: int) -> Instruction | None:
        instruction = _first(code, address)
        if instruction is None:
            return None
        size = int(instruction.size)
        if not _leaves(instruction):
            _read, written = instruction.regs_access()
            moves = instruction.id == x86.X86_INS_ENTER or any(
                _wide_name(instruction, number) == "rsp" for number in written
            )
            return Instruction(size, Kind.PLAIN, stack=None if moves else 0)
        operands = instruction.operands
        if len(operands) != 1 or operands[0].type != x86.X86_OP_IMM:
            known = {x86.X86_INS_RET: None if operands else 8, x86.X86_INS_NOP: 0}
            return Instruction(size, Kind.OTHER, stack=known.get(instruction.id))
        kind, stack = _DIRECT.get(instruction.id, (Kind.OTHER, None))
        return Instruction(size, kind, operands[0].imm & (1 << 64) - 1, stack)

    def text(self, code: bytes, address: int) -> str:
        instruction = _first(code, address)
        return f"{instruction.mnemonic} {instruction.op_str}".rstrip() if instruction is not None else ""

    def instruction_length(self, code: bytes, address: int) -> int:
        instruction = _first(code, address)
        return int(instruction.size) if instruction is not None else 0

    def returns(self, code: bytes, address: int) -> bool:
        instruction = _first(code, address)
        return instruction is not None and x86.X86_GRP_RET in instruction.groups

    def may_be_patched(self, code: bytes, address: int) -> bool:
        instruction = _first(code, address)
        return instruction is not None and (
            (instruction.id == x86.X86_INS_NOP and instruction.size in _PATCHED_NOPS)
            or instruction.id in (x86.X86_INS_JMP, x86.X86_INS_CALL)
        )

    def keeps(self, code: bytes, names: frozenset[str]) -> bool:
        instruction = _first(code, 0)
        if instruction is None or _leaves(instruction):
            return False
        _read, written = instruction.regs_access()
        return not names.intersection(_wide_name(instruction, number) for number in written)

    def skip(self, code: bytes, registers: RegisterValues) -> dict[str, int] | None:
        instruction = _first(code, registers.pc)
        if instruction is None:
            return None
        after = {"rip": registers.pc + instruction.size}
        if instruction.id in (x86.X86_INS_NOP, x86.X86_INS_ENDBR64):
            return after
        operands = instruction.operands
        if len(operands) == 1 and operands[0].type == x86.X86_OP_IMM and x86.X86_GRP_JUMP in instruction.groups:
            taken = _taken(instruction, registers["eflags"])
            if taken is None:
                return None
            return {"rip": operands[0].imm & (1 << 64) - 1} if taken else after
        if instruction.id == x86.X86_INS_MOV and all(op.type == x86.X86_OP_REG and op.size == 8 for op in operands):
            target, source = (instruction.reg_name(op.reg) for op in operands)
            if target in X86_64.writable and source in _NAMES_64:
                return {target: registers[source], **after}
        return None

    def accesses(self, code: bytes, registers: Registers) -> tuple[tuple[int, int], ...]:
        instruction = _first(code, registers.pc)
        if instruction is None or instruction.id in _ADDRESS_ONLY:
            return ()
        ranges = []
        for operand in instruction.operands:
            if operand.type != x86.X86_OP_MEM:
                continue
            address = _effective_address(instruction, operand.mem, registers)
            if address is not None:
                ranges.append((address, int(operand.size)))
        return tuple(ranges)


def _wide_name(instruction: Any, number: int) -> str:
    """The 64-bit register that holds this one: ``edi``, ``di`` and ``dil`` are all part of ``rdi``."""
    name = str(instruction.reg_name(number))
    if name in _NAMES_64 or not name:
        return name
    if name[0] == "r" and name[1:2].isdigit():
        return "r" + "".join(c for c in name[1:] if c.isdigit())
    stem = name.removeprefix("e").removesuffix("l").removesuffix("h").removesuffix("x")
    for wide in _NAMES_64:
        if stem and wide[1:].removesuffix("x") == stem.removesuffix("x"):
            return wide
    return name


def _effective_address(instruction: Any, memory: Any, registers: Registers) -> int | None:
    if memory.segment:  # per-cpu data through gs: its base is not in the g packet
        return None
    address = int(memory.disp)
    for number, scale in ((memory.base, 1), (memory.index, memory.scale)):
        if not number:
            continue
        name = str(instruction.reg_name(number))
        if name == "rip":
            address += registers.pc + instruction.size
        elif name in _NAMES_64:
            address += registers[name] * scale
        else:
            return None
    return address & (1 << 64) - 1


X86_64 = Arch(
    name="x86-64",
    gdb_name="i386:x86-64",
    elf_machine=62,  # EM_X86_64
    registers=_registers(),
    bufmax=1024,
    pc="rip",
    sp="rsp",
    fp="rbp",
    arguments=("rdi", "rsi", "rdx", "rcx", "r8", "r9"),
    result="rax",
    word=8,
    breakpoint_length=1,
    trap=b"\xcc",
    pc_after_breakpoint=1,
    hardware_slots=4,
    saved=frozenset({*_NAMES_64, "eflags", "cs", "ss"}),
    watches_reads_alone=False,
    writable=frozenset(_NAMES_64) - {"rsp"} | {"eflags"},
    instructions=X86Instructions(),
    resume_flag=("eflags", 1 << 16),
    trap_flag=("eflags", 1 << 8),
)
