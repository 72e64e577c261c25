# SPDX-License-Identifier: Apache-2.0
"""What differs by processor, in one table; no other package may know which processor it is.

The figures are the kernel's: ``BUFMAX``, ``NUMREGBYTES`` and the register order from ``arch/*/include/asm/kgdb.h`` and
``dbg_reg_def`` in ``arch/*/kernel/kgdb.c``, read in Linux 6.1 and 6.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from nullmodem.errors import RemoteProtocolError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Register:
    """One register of the ``g`` packet: ``offset`` and ``size`` in bytes, ``number`` as gdb and the stub count it."""

    name: str
    number: int
    offset: int
    size: int

    def cut(self, value: int) -> int:
        """As much of a number as fits."""
        return value & (1 << 8 * self.size) - 1

    def encode(self, value: int) -> bytes:
        """A value in target order."""
        return self.cut(value).to_bytes(self.size, "little")


@dataclass(frozen=True, slots=True)
class Registers:
    """The registers of one thread at one stop, by name. ``raw`` is the ``g`` packet they came from."""

    arch: Arch
    raw: bytes

    def __getitem__(self, name: str) -> int:
        register = self.arch.register(name)
        return int.from_bytes(self.field(register), "little")

    def field(self, register: Register) -> bytes:
        """The raw bytes of one register, in target order."""
        return self.raw[register.offset : register.offset + register.size]

    @property
    def pc(self) -> int:
        return self[self.arch.pc]

    @property
    def sp(self) -> int:
        return self[self.arch.sp]

    def replace(self, values: Mapping[str, int]) -> Registers:
        """The same registers with some changed; values are cut to the register's size."""
        raw = bytearray(self.raw)
        for name, value in values.items():
            register = self.arch.register(name)
            raw[register.offset : register.offset + register.size] = register.encode(value)
        return Registers(self.arch, bytes(raw))

    def as_dict(self) -> dict[str, int]:
        """Every register's value by its name."""
        return {register.name: self[register.name] for register in self.arch.registers}

    def changed_from(self, other: Registers) -> tuple[Register, ...]:
        """The registers whose values differ from ``other``'s."""
        return tuple(r for r in self.arch.registers if self.field(r) != other.field(r))


class RegisterValues(Protocol):
    """Registers by name. Looking at one may cost a round trip."""

    @property
    def pc(self) -> int: ...

    def __getitem__(self, name: str) -> int: ...


class Kind(Enum):
    """How an instruction goes on: to the next one; to ``target``; to either; into a function and, as a rule, to the
    next one; or in a way that the processor has to show."""

    PLAIN = "plain"
    JUMP = "jump"
    BRANCH = "branch"
    CALL = "call"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Instruction:
    """``length`` in bytes. ``target`` is where a direct jump or call leads; None for others, and where only the
    processor knows. ``stack`` is what it adds to the stack pointer, None where that is not told."""

    length: int
    kind: Kind
    target: int | None = None
    stack: int | None = 0


class InstructionSet(Protocol):
    """What the engine must know of machine code; one implementation a processor."""

    def decode(self, code: bytes, address: int) -> Instruction | None:
        """The first instruction of ``code``, None where there is none."""

    def instruction_length(self, code: bytes, address: int) -> int:
        """Length of the first instruction, 0 where it cannot be decoded."""

    def text(self, code: bytes, address: int) -> str:
        """The first instruction as an assembler has it; empty where it cannot be decoded."""

    def skip(self, code: bytes, registers: RegisterValues) -> dict[str, int] | None:
        """Register values that have the effect of the first instruction; None where it needs more than that."""

    def may_be_patched(self, code: bytes, address: int) -> bool:
        """Whether the kernel may replace the first instruction while it runs (static keys, static calls)."""

    def keeps(self, code: bytes, names: frozenset[str]) -> bool:
        """Whether the first instruction leaves these registers alone and goes on to the next one."""

    def returns(self, code: bytes, address: int) -> bool:
        """Whether the first instruction returns from the function."""

    def accesses(self, code: bytes, registers: Registers) -> tuple[tuple[int, int], ...]:
        """Memory (address, length) the first instruction touches, with the registers as they were before it."""


@dataclass(frozen=True, slots=True)
class Arch:
    """One processor as kgdb presents it.

    ``bufmax`` is the stub's buffer in characters; ``m`` must never ask for more than ``max_read`` bytes, because
    ``gdb_cmd_memread`` in kernel/debug/gdbstub.c does not check and writes past its buffer. ``word``: bytes of an
    address. ``saved``: what the kernel keeps of interrupted code; the others are not real. ``watches_reads_alone``: a
    debug register can be told to stop at reads and not at writes. ``resume_flag``: a register and the bit in it that
    has the next instruction executed although a hardware breakpoint stands on it. ``trap_flag``: the one that stops the
    processor behind the next instruction, and is still set when it has.
    """

    name: str
    gdb_name: str
    elf_machine: int
    registers: tuple[Register, ...]
    bufmax: int
    pc: str
    sp: str
    fp: str
    arguments: tuple[str, ...]
    result: str
    word: int
    breakpoint_length: int
    trap: bytes
    pc_after_breakpoint: int
    hardware_slots: int
    saved: frozenset[str]
    watches_reads_alone: bool
    writable: frozenset[str]
    instructions: InstructionSet
    resume_flag: tuple[str, int] | None = None
    trap_flag: tuple[str, int] | None = None

    @property
    def g_length(self) -> int:
        """Bytes in a ``g`` packet, before hex coding."""
        return max(r.offset + r.size for r in self.registers)

    @property
    def max_read(self) -> int:
        """Most bytes one ``m`` may ask for: two characters a byte and the terminating NUL must fit in ``bufmax``."""
        return self.bufmax // 2 - 1

    @property
    def max_write(self) -> int:
        """Most bytes one ``M`` may carry: its text, with address and length in hex, must fit in ``bufmax - 1``."""
        return (self.bufmax - 1 - len("Mffffffffffffffff,ffff:")) // 2

    def register(self, name: str) -> Register:
        """Raises KeyError for a name this processor does not have."""
        for register in self.registers:
            if register.name == name:
                return register
        raise KeyError(name)

    def numbered(self, number: int) -> Register | None:
        """The register gdb calls ``number``, or None where the stub has none."""
        return self.registers[number] if 0 <= number < len(self.registers) else None

    def parse(self, raw: bytes) -> Registers:
        """Registers from the bytes of a ``g`` reply. Raises RemoteProtocolError for a wrong length."""
        if len(raw) != self.g_length:
            msg = f"the stub sent {len(raw)} bytes of registers, {self.name} has {self.g_length}"
            raise RemoteProtocolError(msg)
        return Registers(self, raw)


def by_elf_machine(machine: int) -> Arch:
    """The processor an ELF file is for, by its ``e_machine``. Raises UsageError for one that is not supported."""
    known = {arch.elf_machine: arch for arch in _supported()}
    if machine not in known:
        raise _unsupported(f"ELF machine {machine}")
    return known[machine]


def by_name(name: str) -> Arch:
    """The processor of that ``name``. Raises UsageError for one that is not supported."""
    known = {arch.name: arch for arch in _supported()}
    if name not in known:
        raise _unsupported(f"{name[:40]!r}")
    return known[name]


def _supported() -> tuple[Arch, ...]:
    from nullmodem.stub.x86_64 import X86_64  # noqa: PLC0415 - the table's entries import this module

    return (X86_64,)


def _unsupported(what: str) -> UsageError:
    supported = ", ".join(sorted(arch.name for arch in _supported()))
    msg = f"no support for kernels of this processor ({what})"
    return UsageError(msg, hint=f"Supported processors: {supported}.")
