# SPDX-License-Identifier: Apache-2.0
"""Processors that execute a few real x86-64 instructions, to stand behind a fake stub.

What matters of a processor under kgdb is here: int3 leaves the pc behind itself, the trap flag belongs to an
interrupted frame and outlives a stop of another processor, every processor runs during a step, and a break-in or
another interrupt stands on top of whatever was executed. Each processor keeps the addresses it executed, and has debug
registers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import capstone

from nullmodem.kernel.debug_exceptions import Excepted
from nullmodem.testing.fakemachine import Machine, Region, Stop
from support.debug_unit import DebugUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

TEXT = 0xFFFF_FFFF_8100_0000
STACK = 0xFFFF_C900_0000_0000
STACK_SIZE = 0x3000
PAGE = 0x1000
BREAK_IN = TEXT + 0xF00
"""Where a break-in executes its trap, as kgdb_breakpoint does; its handler has a few more instructions."""
LIMIT = 5000
"""Instructions, of all processors together, after which nothing is going to happen any more."""
CF, PF, ZF, SF, OF = 1 << 0, 1 << 2, 1 << 6, 1 << 7, 1 << 11
TF = 1 << 8
"""The trap flag, which is still set in what a step leaves behind: the kernel clears it when the machine is resumed
(kgdb_arch_handle_exception)."""
RF = 1 << 16
"""The resume flag: the next instruction is executed although a hardware breakpoint stands on it."""

CONDITIONS: dict[str, Callable[[int], bool]] = {
    "o": lambda f: bool(f & OF),
    "no": lambda f: not f & OF,
    "b": lambda f: bool(f & CF),
    "ae": lambda f: not f & CF,
    "e": lambda f: bool(f & ZF),
    "ne": lambda f: not f & ZF,
    "be": lambda f: bool(f & (CF | ZF)),
    "a": lambda f: not f & (CF | ZF),
    "s": lambda f: bool(f & SF),
    "ns": lambda f: not f & SF,
    "p": lambda f: bool(f & PF),
    "np": lambda f: not f & PF,
    "l": lambda f: bool(f & SF) != bool(f & OF),
    "ge": lambda f: bool(f & SF) == bool(f & OF),
    "le": lambda f: bool(f & ZF) or bool(f & SF) != bool(f & OF),
    "g": lambda f: not f & ZF and bool(f & SF) == bool(f & OF),
}
"""What each jcc asks of the flags, in the order of their opcodes: 0x70 + n (Intel SDM volume 2, Jcc)."""

NOP = b"\x90"
NOP2 = b"\x66\x90"
NOP5 = b"\x0f\x1f\x44\x00\x00"
ENDBR = b"\xf3\x0f\x1e\xfa"
RET = b"\xc3"
PUSH, POP = b"\x55", b"\x5d"  # of rbp
INC, DEC = b"\x48\xff\xc0", b"\x48\xff\xcb"  # inc rax, dec rbx
MOVE = b"\x48\x89\xc1"  # mov rcx, rax
SELF = b"\xeb\xfe"  # jmp to itself
IRET = b"\xcf"
HANDLER = b"\xcc" + 3 * NOP + IRET


def jump(offset: int) -> bytes:
    """``jmp`` over ``offset`` bytes behind itself."""
    return b"\xeb" + offset.to_bytes(1, "little", signed=True)


def jump5(offset: int) -> bytes:
    """The same with four bytes of offset."""
    return b"\xe9" + offset.to_bytes(4, "little", signed=True)


def jump_if(condition: str, offset: int) -> bytes:
    """``jcc`` over ``offset`` bytes behind itself."""
    return bytes((0x70 + list(CONDITIONS).index(condition),)) + offset.to_bytes(1, "little", signed=True)


def call(offset: int) -> bytes:
    """``call`` to ``offset`` bytes behind itself."""
    return b"\xe8" + offset.to_bytes(4, "little", signed=True)


def store(address: int, at: int) -> bytes:
    """``mov [address], rax``, assembled to stand at ``at``: rip-relative, as the kernel's own."""
    return b"\x48\x89\x05" + (address - at - 7).to_bytes(4, "little", signed=True)


@dataclass
class Frame:
    """What an interrupt left behind: the registers to go back to, with the trap flag they had."""

    registers: dict[str, int]
    trap: bool


@dataclass
class Processor:
    """One processor's hidden state; its registers are the machine's."""

    registers: dict[str, int]
    trap: bool = False
    frames: list[Frame] = field(default_factory=list)
    executed: list[int] = field(default_factory=list)
    debug: DebugUnit = field(default_factory=DebugUnit)


class MiniCpus:
    """`Execution` for `FakeKgdb`: the processors of a machine take turns as ``schedule`` says, then in order.

    ``break_in`` makes one stop in kgdb's own breakpoint before its next instruction.
    """

    def __init__(self, machine: Machine, schedule: Iterable[int] = (), limit: int = LIMIT) -> None:
        self.machine = machine
        self._left = limit
        self._decoded: dict[tuple[int, bytes], Any] = {}
        self.processors = [Processor(cpu.registers) for cpu in machine.cpus]
        self._schedule = iter(schedule)
        self._turn = 0
        self._broken: list[int] = []
        self._late: list[int] = []
        self._interrupts: dict[int, int] = {}
        self._losing: set[int] = set()
        self._stopped = 0
        self._by_trap = False  # the last stop was a debug exception
        self._stored: tuple[int, int] | None = None
        self._decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self._decoder.detail = True

    def break_in(self, cpu: int = 0) -> None:
        """Let a break-in wait for ``cpu`` to run."""
        self._broken.append(cpu)

    def interrupt(self, cpu: int, handler: int) -> None:
        """Let ``cpu`` be interrupted before its next instruction; the handler's code ends in iret."""
        self._interrupts[cpu] = handler

    def lose_step(self, cpu: int) -> None:
        """Let the next report of a step of this one get lost: see `Journey.net`."""
        self._losing.add(cpu)

    def settle(self) -> dict[int, Excepted]:
        """What `StaleRegisters.settle` is to do."""
        for processor in self.processors:
            processor.debug.settle()
        return {
            number: Excepted(each.registers["rip"], own=number in (self._stopped, *self._late))
            for number, each in enumerate(self.processors)
            if each.debug.inside
        }

    @property
    def here(self) -> int:
        """The processor whose stop it is."""
        return self._stopped

    def report_late(self, cpu: int) -> None:
        """Let ``cpu`` report when it gets to run that a debug register has stopped it where it stands: it waited for
        another one's stop to be over, and takes that one back in before it has left."""
        self.processors[cpu].registers["eflags"] |= RF
        self.processors[cpu].debug.wait()
        self._late.append(cpu)

    def __call__(self, machine: Machine, stepping: bool) -> Stop | None:
        """Run until something stops."""
        self._leave(stepping=stepping)
        while self._left > 0:
            self._left -= 1
            cpu = self._next()
            stop = self._turn_of(cpu)
            if stop is not None:
                self._stopped = cpu
                for number, processor in enumerate(self.processors):
                    processor.debug.enter(by_nmi=number != cpu, by_trap=number == cpu and self._by_trap)
                return stop
        return None

    def _leave(self, *, stepping: bool) -> None:
        processor = self.processors[self._stopped]
        processor.trap = stepping
        processor.registers["eflags"] = processor.registers["eflags"] & ~TF | TF * stepping
        for each in self.processors:
            each.debug.leave(self.machine, stays=bool(self._late))

    def _next(self) -> int:
        if self._late:
            return self._late[0]
        chosen = next(self._schedule, None)
        if chosen is not None:
            return chosen % len(self.processors)
        self._turn = (self._turn + 1) % len(self.processors)
        return self._turn

    def _turn_of(self, cpu: int) -> Stop | None:
        processor = self.processors[cpu]
        self._by_trap = cpu in self._late
        if cpu in self._late:
            self._late.remove(cpu)
            return Stop(cpu=cpu)
        if cpu in self._broken:
            self._broken.remove(cpu)
            self._enter_interrupt(processor, BREAK_IN + 1)
            return Stop(cpu=cpu)
        if cpu in self._interrupts:
            self._enter_interrupt(processor, self._interrupts.pop(cpu))
        rip = processor.registers["rip"]
        if processor.frames and self.machine.read(rip, 1) == IRET:
            self._return_from_interrupt(processor)
            return None
        if rip in self.machine.software:
            processor.registers["rip"] = rip + 1
            return Stop(cpu=cpu)
        stands = not processor.registers["eflags"] & RF and processor.debug.stops_at(rip)
        if stands is None:
            return None  # it takes the exception again and again, and nobody hears of it
        if stands:
            processor.registers["eflags"] |= RF  # hw_breakpoint_handler does so for whoever is stopped
            self._by_trap = True
            return Stop(cpu=cpu)
        return self._advance(cpu, processor)

    def _advance(self, cpu: int, processor: Processor) -> Stop | None:
        self._stored = None
        if not self._execute(processor):
            return Stop(signal=11, cpu=cpu)
        self._by_trap = True
        if processor.trap and cpu in self._losing:
            self._losing.remove(cpu)
        elif processor.trap:
            processor.trap = False
            return Stop(cpu=cpu)
        return Stop(cpu=cpu) if self._stored and processor.debug.watches(*self._stored) else None

    def _enter_interrupt(self, processor: Processor, handler: int) -> None:
        processor.frames.append(Frame(dict(processor.registers), processor.trap))
        processor.trap = False
        processor.registers["eflags"] &= ~(TF | RF)
        processor.registers["rsp"] -= 0x200
        processor.registers["rip"] = handler

    def _return_from_interrupt(self, processor: Processor) -> None:
        frame = processor.frames.pop()
        processor.registers.clear()
        processor.registers.update(frame.registers)
        processor.trap = frame.trap

    def _execute(self, processor: Processor) -> bool:
        """One instruction. False when there is none."""
        registers = processor.registers
        rip = registers["rip"]
        code = self.machine.read(rip, 16)
        if code is None:
            return False
        if (rip, code) not in self._decoded:
            self._decoded[rip, code] = next(self._decoder.disasm(code, rip, 1), None)
        instruction = self._decoded[rip, code]
        if instruction is None:
            return False
        if not processor.frames:
            processor.executed.append(rip)
        registers["eflags"] &= ~RF
        registers["rip"] = rip + instruction.size
        self._do(instruction, registers)
        return True

    def _do(self, instruction: Any, registers: dict[str, int]) -> None:
        name = instruction.mnemonic
        if name in ("nop", "endbr64"):
            return
        if name[0] == "j":
            if name == "jmp" or CONDITIONS[name[1:]](registers["eflags"]):
                registers["rip"] = instruction.operands[0].imm & (1 << 64) - 1
        elif name in ("inc", "dec"):
            self._count(registers, instruction.reg_name(instruction.operands[0].reg), 1 if name == "inc" else -1)
        elif name == "mov":
            self._move(instruction, registers)
        else:
            self._use_stack(name, instruction, registers)

    def _count(self, registers: dict[str, int], register: str, by: int) -> None:
        value = registers.get(register, 0) + by & (1 << 64) - 1
        registers[register] = value
        flags = registers["eflags"] & ~(ZF | SF | PF)
        flags |= ZF * (value == 0) | SF * (value >> 63) | PF * ((value & 0xFF).bit_count() % 2 == 0)
        registers["eflags"] = flags

    def _move(self, instruction: Any, registers: dict[str, int]) -> None:
        target, source = instruction.operands
        value = registers.get(instruction.reg_name(source.reg), 0)
        if target.type == capstone.x86.X86_OP_MEM:
            place = int(instruction.address + instruction.size + instruction.disp)
            assert self.machine.write(place, value.to_bytes(8, "little")) == 0
            self._stored = place, 8
        else:
            registers[instruction.reg_name(target.reg)] = value

    def _use_stack(self, name: str, instruction: Any, registers: dict[str, int]) -> None:
        match name:
            case "call":
                self._push(registers, registers["rip"])
                registers["rip"] = instruction.operands[0].imm & (1 << 64) - 1
            case "ret":
                registers["rip"] = self._pop(registers)
            case "push":
                self._push(registers, registers.get("rbp", 0))
            case "pop":
                registers["rbp"] = self._pop(registers)
            case _:
                raise AssertionError(f"the model has no instruction {name}")

    def _push(self, registers: dict[str, int], value: int) -> None:
        registers["rsp"] -= 8
        assert self.machine.write(registers["rsp"], value.to_bytes(8, "little")) == 0

    def _pop(self, registers: dict[str, int]) -> int:
        data = self.machine.read(registers["rsp"], 8)
        assert data is not None
        registers["rsp"] += 8
        return int.from_bytes(data, "little")


def machine(*code: bytes, cpus: int = 1, entries: Sequence[int] = (), data: int = 0) -> Machine:
    """A machine whose text is ``code``, each processor at ``TEXT`` or at its entry, as pid 101, 102 …

    ``data``: bytes of writable memory one page behind the text.
    """
    result = Machine(cpus=cpus)
    text = b"".join(code)
    assert len(text) < BREAK_IN - TEXT
    text = text.ljust(BREAK_IN - TEXT, b"\x06") + HANDLER  # 06 is no instruction
    result.memory[TEXT] = Region(bytearray(text.ljust(PAGE, b"\x06")), executable=True)
    result.memory[STACK] = Region(bytearray(STACK_SIZE * cpus), writable=True)
    if data:
        result.memory[TEXT + PAGE] = Region(bytearray(data), writable=True)
    for number, cpu in enumerate(result.cpus):
        cpu.pid = 101 + number
        entry = entries[number] if number < len(entries) else TEXT
        cpu.registers.update(
            rip=entry, rsp=STACK + STACK_SIZE * number + STACK_SIZE // 2, eflags=0x246, cs=0x10, ss=0x18
        )
    return result


def addresses(*code: bytes) -> tuple[int, ...]:
    """Where each piece of code stands."""

    def places() -> Iterator[int]:
        at = TEXT
        for piece in code:
            yield at
            at += len(piece)

    return tuple(places())
