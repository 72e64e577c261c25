# SPDX-License-Identifier: Apache-2.0
"""A stopped x86-64 machine to put a fake stub in front of: memory, CPUs and their registers, tasks, breakpoints.

Only what kgdb can say of a machine is here, in kgdb's own terms: arch/x86/kernel/kgdb.c for registers and hardware
breakpoints, kernel/debug/debug_core.c for software ones.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

EPERM, ENOENT, E2BIG, EFAULT, EBUSY, EEXIST, EINVAL, ERANGE = 1, 2, 7, 14, 16, 17, 22, 34

WIDE: tuple[str, ...] = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp")
WIDE += ("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip")
NARROW = ("eflags", "cs", "ss", "ds", "es", "fs", "gs")
REGISTERS = WIDE + NARROW  # DBG_MAX_REG_NUM is 24
REGISTER_BYTES = 17 * 8 + 5 * 4  # NUMREGBYTES: the last two are not in it
NOT_REAL = frozenset(("ds", "es", "fs", "gs"))  # have offset -1 in dbg_reg_def: read as nothing, written nowhere
ORIG_AX = 57

_SLOTS = 1000  # KGDB_MAX_BREAKPOINTS
_HARDWARE_SLOTS = 4
_KERNEL_HALF = 1 << 63
_KERNEL_CS, _KERNEL_DS = 0x10, 0x18


@dataclass(slots=True)
class Region:
    """A stretch of mapped memory. Breakpoints belong in an ``executable`` one; ``writable`` is what X may change."""

    data: bytearray
    writable: bool = False
    executable: bool = False


@dataclass(slots=True)
class Cpu:
    """A CPU: the pid it runs (0 is its idle task) and the registers it stopped with."""

    pid: int = 0
    registers: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Task:
    """A task; ``rbp`` and ``rsp`` are all that kgdb knows of one that is on no CPU."""

    comm: str
    rbp: int = 0
    rsp: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """Why the machine stops: a signal, on a CPU."""

    signal: int = 5
    cpu: int = 0


class BreakState(enum.Enum):
    """kgdb's BP_SET and BP_REMOVED."""

    SET = enum.auto()
    REMOVED = enum.auto()


def register_size(name: str) -> int:
    """Return the bytes a register takes in ``g``."""
    return 8 if name in WIDE else 4


class Machine:
    """The machine, while it is stopped. Tests set it up and look at it directly.

    ``memory`` maps start addresses to regions; ``blocked`` are addresses no breakpoint may have (the kernel's kprobe
    blocklist); ``text_busy`` stands for a held ``text_mutex``. ``violations`` collects in words whatever a client did
    that a real kernel might not survive; a test asserts that it is empty.
    """

    def __init__(self, *, cpus: int = 1) -> None:
        self.memory: dict[int, Region] = {}
        self.cpus = [Cpu() for _ in range(cpus)]
        self.tasks: dict[int, Task] = {}
        self.blocked: set[int] = set()
        self.text_busy = False
        self.violations: list[str] = []
        self._software: dict[int, BreakState] = {}
        self._slots: list[tuple[int, int, int] | None] = [None] * _HARDWARE_SLOTS  # address, type, length

    @property
    def software(self) -> frozenset[int]:
        """Addresses of the software breakpoints that are set; in memory only while the machine runs."""
        return frozenset(at for at, state in self._software.items() if state is BreakState.SET)

    @property
    def hardware(self) -> dict[int, tuple[int, int]]:
        """Type (1 to 4) and length of each hardware breakpoint that is set, by address."""
        return {address: (kind, length) for address, kind, length in self.debug_registers}

    @property
    def debug_registers(self) -> tuple[tuple[int, int, int], ...]:
        """Address, type and length of each hardware breakpoint, in the order in which a processor takes them into its
        registers: ``kgdb_correct_hw_break``."""
        return tuple(slot for slot in self._slots if slot is not None)

    def region_of(self, address: int, length: int) -> tuple[int, Region] | None:
        """Return the region that holds all of the range, and its start; None when there is none."""
        for start, region in self.memory.items():
            if start <= address and address + length <= start + len(region.data):
                return start, region
        return None

    def read(self, address: int, length: int) -> bytes | None:
        """Return memory, or None on a fault."""
        found = self.region_of(address, length)
        if found is None:
            return None
        start, region = found
        return bytes(region.data[address - start : address - start + length])

    def write(self, address: int, data: bytes) -> int:
        """Write memory; return 0 or EFAULT, as ``copy_to_kernel_nofault`` does, for which no bytes never fault."""
        found = self.region_of(address, len(data))
        if not data:
            return 0
        if found is None or not found[1].writable:
            return EFAULT
        start, region = found
        region.data[address - start : address - start + len(data)] = data
        return 0

    def free(self, start: int) -> None:
        """Let the kernel free the region at ``start``: still mapped, but no text any more."""
        self.memory[start].executable = False

    def is_text(self, address: int) -> bool:
        """Whether an instruction of live code can be at ``address``."""
        found = self.region_of(address, 1)
        return found is not None and found[1].executable

    def set_software(self, address: int) -> int:
        """``dbg_set_sw_break``: return 0 or an errno."""
        error = self._why_no_text(address)
        if error:
            return error
        if self._software.get(address) is BreakState.SET:
            return EEXIST
        # A slot once used is free for the same address alone, until all are dropped.
        if address not in self._software and len(self._software) >= _SLOTS:
            return E2BIG
        if not self.is_text(address):
            self.violations.append(f"breakpoint at {address:#x}, which is not live text")
        self._software[address] = BreakState.SET
        return 0

    def _why_no_text(self, address: int) -> int:
        """``kgdb_validate_break_address``, which plants a breakpoint and takes it out again: return 0 or an errno."""
        if address in self.blocked:
            return EINVAL
        if address < _KERNEL_HALF:
            return ERANGE  # copy_from_kernel_nofault_allowed
        if self.region_of(address, 1) is None:
            return EFAULT
        return EBUSY if self.text_busy else 0

    def remove_software(self, address: int) -> int:
        """``dbg_remove_sw_break``: return 0 or an errno."""
        if self._software.get(address) is not BreakState.SET:
            return ENOENT
        self._software[address] = BreakState.REMOVED
        return 0

    def set_hardware(self, address: int, length: int, kind: int) -> int:
        """``kgdb_set_hw_break``: return 0 or EPERM (-1). No debug register can watch reads alone."""
        if kind == 3 or None not in self._slots:
            return EPERM
        length = 1 if kind == 1 else length
        if length not in (1, 2, 4, 8):
            return EPERM
        self._slots[self._slots.index(None)] = address, kind, length
        return 0

    def remove_hardware(self, address: int) -> int:
        """``kgdb_remove_hw_break``, which looks at nothing but the address: return 0 or EPERM (-1)."""
        for number, slot in enumerate(self._slots):
            if slot is not None and slot[0] == address:
                self._slots[number] = None
                return 0
        return EPERM

    def drop_breakpoints(self) -> None:
        """``dbg_remove_all_break``."""
        self._software.clear()
        self._slots = [None] * _HARDWARE_SLOTS

    def register_file(self, cpu: int | None, pid: int) -> bytes:
        """Return all 24 registers, of a CPU or of a sleeping task, in ``g``'s layout."""
        if cpu is not None:
            values = {name: value for name, value in self.cpus[cpu].registers.items() if name not in NOT_REAL}
        else:
            task = self.tasks[pid]
            values = {"rbp": task.rbp, "rsp": task.rsp, "cs": _KERNEL_CS, "ss": _KERNEL_DS}
        return b"".join(values.get(name, 0).to_bytes(register_size(name), "little") for name in REGISTERS)

    def set_register(self, cpu: int, name: str, value: int) -> None:
        """``dbg_set_reg``: rsp and what is not real stay as they are, without a word."""
        if name == "rsp":
            if value != self.cpus[cpu].registers.get("rsp", 0):
                self.violations.append(f"rsp set to {value:#x}, which the stub ignores")
        elif name not in NOT_REAL:
            self.cpus[cpu].registers[name] = value


Execution: TypeAlias = Callable[[Machine, bool], Stop | None]


class Trace:
    """An execution model: one CPU runs the instructions at ``addresses``, in this order, and then runs on for ever.

    An int3 leaves rip behind itself, as on x86; resuming from there without setting it back is a violation, for the
    CPU would run on in the middle of the instruction that the int3 stood for.
    """

    def __init__(self, addresses: Sequence[int], *, cpu: int = 0) -> None:
        self._addresses = tuple(addresses)
        self._cpu = cpu
        self._at = 0

    def __call__(self, machine: Machine, stepping: bool) -> Stop | None:
        """Run from rip on: one instruction when ``stepping``, else to the next breakpoint; None: there is none."""
        registers = machine.cpus[self._cpu].registers
        rip = registers["rip"]
        if rip not in self._addresses[self._at :]:
            machine.violations.append(f"resumed at {rip:#x}, where no instruction of the trace begins")
            return None
        self._at = self._addresses.index(rip, self._at)
        if rip in machine.software:
            registers["rip"] = rip + 1
            return Stop(cpu=self._cpu)
        while self._at + 1 < len(self._addresses):
            self._at += 1
            rip = self._addresses[self._at]
            hit = rip in machine.software
            registers["rip"] = rip + 1 if hit and not stepping else rip
            if stepping or hit or machine.hardware.get(rip, (0, 0))[0] == 1:
                return Stop(cpu=self._cpu)
        return None
