# SPDX-License-Identifier: Apache-2.0
"""The target while it stands still: memory and registers, each read once and written through.

The registers shown are the processor's own view of where it is, which differs from what the stub reports in two ways.
After a software breakpoint x86 reports the address behind it; the breakpoint's own is shown. After a break-in the stub
reports its own entry path under the serial interrupt; the interrupted code's registers are shown (`interrupted`).
What differs is written back when the target is about to run, and only then.

Registers are read as they are asked for. All of them take some 320 characters on the wire, one by itself 60, and most
stops on the way through a source line need to be known by the program counter and the stack pointer alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import LocalProtocolError, MemoryFault, StateError
from nullmodem.kernel.irq_regs import STACK
from nullmodem.session.cache import PAGE, CacheStatistics, StopCache
from nullmodem.session.reading import STACK_LINES, line_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from nullmodem.stub.arch import Registers
    from nullmodem.stub.client import KgdbStub

LONGEST_INSTRUCTION = 16
CODE_WINDOW, MAX_CODE = 48, 256
"""Bytes of code read at once, at least and at most."""
MAX_KNOWN = 256
BEHIND = 48
"""Bytes of stack where a frame has the registers that its function has saved, below its end."""
MANY_REGISTERS = 6
"""Read one by one at a stop; whoever wants more wants all, it seems."""


def _nothing(_address: int, _length: int) -> bytes | None:
    return None


class StoppedTarget:
    """Memory and registers of one stop. Implements `nullmodem.kernel.memory.Memory`."""

    def __init__(self, stub: KgdbStub, *, ahead: int | None = None) -> None:
        """``ahead``: bytes a read fetches at least while somebody looks around; without it, what suits the line.

        ``constants`` knows what is the same in memory as in a verified file; it says None of all else.
        """
        self._stub = stub
        self._cache = StopCache(stub.read_memory, limit=stub.arch.max_read)
        self._ahead = line_size(stub.baud) if ahead is None else ahead
        self._still = False
        self._reported: Registers | None = None
        self._known: dict[str, int] = {}
        self._changed: dict[str, int] = {}
        self._interrupted: Registers | None = None
        self._threads: dict[int, Registers] = {}
        self.thread: int | None = None
        self.constants: Callable[[int, int], bytes | None] = _nothing
        self._code: dict[int, bytes] = {}

    @property
    def cache_statistics(self) -> CacheStatistics:
        return self._cache.statistics

    def begin(self, thread: int | None) -> None:
        """A new stop: read where it is; nothing known before holds."""
        self.end()
        pc = self._stub.arch.register(self._stub.arch.pc)
        self._known[pc.name] = self._stub.read_register(pc)
        self.thread = thread
        self._still = True

    def stands_where_it_stood(self) -> bool:
        """Over another line: whether the processor is where it was. What else was read of it is read again then, and
        changes that are still to be written stay so."""
        before = {
            name: {self._before(name), self._changed.get(name)} for name in (self._stub.arch.pc, self._stub.arch.sp)
        }
        now = {name: self._stub.read_register(self._stub.arch.register(name)) for name in before}
        if not all(before[name] <= {None} or now[name] in before[name] for name in now):
            return False
        self._cache.clear()
        self._threads.clear()
        self._reported, self._known = None, now
        return True

    def end(self) -> None:
        """The target runs: nothing is known of it."""
        self._cache.clear()
        self._threads.clear()
        self._known.clear()
        self._changed.clear()
        self._reported = self._interrupted = None
        self._still = False

    # -- memory --------------------------------------------------------------------------------------------------

    def read(self, address: int, length: int) -> bytes:
        """Any number of bytes. Raises MemoryFault."""
        constant = self.constants(address, length)
        if constant is not None:
            self._cache.spared(length)
            return constant
        return self._cache.read(address, length)

    def is_looked_at(self) -> None:
        """Somebody looks around at this stop, and is not only on the way to another one: small reads will be many."""
        self._cache.read_ahead(self._ahead)

    def following_the_stack(self) -> AbstractContextManager[None]:
        """Have reads fetch what lies around what is asked for meanwhile: who follows the stack reads each frame from
        its end towards its beginning."""
        return self._cache.reading_around(STACK_LINES * self._ahead, BEHIND)

    def code_at(self, address: int, length: int = LONGEST_INSTRUCTION) -> bytes:
        """``length`` bytes of code, or the next instruction's at least; empty where it cannot be read.

        It may have been read at an earlier stop: whoever decides by code that the kernel patches reads it anew.
        """
        instructions, least = self._stub.arch.instructions, min(length, LONGEST_INSTRUCTION)
        for base, code in self._code.items():
            if base <= address < base + len(code):
                rest = code[address - base :]
                if len(rest) >= least or instructions.instruction_length(rest, address):
                    return rest
        # More than is asked for: an optimised line is many short ranges, and the next one is near.
        code = self._code_up_to(address, max(CODE_WINDOW, min(length, MAX_CODE)))
        if len(self._code) >= MAX_KNOWN:
            self._code.clear()
        self._code[address] = code
        return code

    def _code_up_to(self, address: int, length: int) -> bytes:
        for wanted in (length, min(length, PAGE - address % PAGE)):
            try:
                return self.read(address, wanted)
            except MemoryFault:
                continue
        return b""

    def forget_code(self) -> None:
        """Text may be other text from here on: a module has come or gone."""
        self._code.clear()

    def write(self, address: int, data: bytes) -> None:
        """Any number of bytes. Raises MemoryFault; what was written before the fault stays written. StateError, and
        nothing is, where the stopped processor has what it runs on."""
        step = self._stub.arch.max_write
        self._require_unused(address, len(data))
        if self.constants(address, len(data)) is not None:
            self.constants = _nothing  # whoever changes constants wants to see them changed
        for offset in range(0, len(data), step):
            piece = data[offset : offset + step]
            self._code.clear()
            self._stub.write_memory(address + offset, piece)
            self._cache.overwrite(address + offset, piece)

    def _require_unused(self, address: int, length: int) -> None:
        """The kernel's debugger runs on the stack of what it has stopped, right below the stack pointer (asm_exc_int3
        and interrupts in arch/x86/entry/entry_64.S push there). gdb writes there when it is to call a function."""
        interrupted = self._interrupted[self._stub.arch.sp] if self._interrupted else 0
        for sp in {self.own_sp, interrupted}:
            if sp >> 63 and address < sp and address + length > (sp - 1) & -STACK:
                msg = f"cannot write {length} bytes at {address:#x}: the kernel's debugger uses the stack below {sp:#x}"
                raise StateError(msg, state="stopped", hint="A function of the kernel cannot be called from here.")

    # -- registers -----------------------------------------------------------------------------------------------

    @property
    def is_known(self) -> bool:
        """Whether it stands still and it is known where."""
        return self._still

    @property
    def registers(self) -> Registers:
        """The stopped processor's registers, as a debugger's user should see them."""
        return self._interrupted or self.own

    @property
    def pc(self) -> int:
        """The program counter of `registers`."""
        return self._interrupted.pc if self._interrupted else self.own_pc

    def shown_value(self, name: str) -> int:
        """One of `registers`, read alone where not all have been read."""
        return self._interrupted[name] if self._interrupted else self.value(name)

    def shown(self, *, frame: bool = True) -> dict[str, int]:
        """Of `registers` those that need not be read any more; ``frame``: in any case what tells one from another."""
        if self._interrupted is None and self._reported is None:
            arch = self._stub.arch
            needed = {arch.pc, arch.sp} if frame else {arch.pc}
            return {**self._known, **self._changed, **{name: self.value(name) for name in needed}}
        return self.registers.as_dict()

    @property
    def own(self) -> Registers:
        """The registers execution goes on with: not the interrupted code's. Raises StateError while it runs."""
        return self.reported.replace(self._changed)

    @property
    def own_pc(self) -> int:
        return self.value(self._stub.arch.pc)

    @property
    def own_sp(self) -> int:
        return self.value(self._stub.arch.sp)

    def known(self, name: str) -> int | None:
        """One register of `own` if it was read."""
        return self._changed.get(name, self._before(name))

    def learn(self, name: str, value: int) -> None:
        """What a register is, from somebody who knows without asking."""
        self._known[name] = value

    def value(self, name: str) -> int:
        """One register of `own`, read alone where not all have been read. Raises StateError while it runs."""
        self._require_still()
        if name in self._changed:
            return self._changed[name]
        if self._reported is not None:
            return self._reported[name]
        if name not in self._known and len(self._known) >= MANY_REGISTERS:
            return self.reported[name]
        if name not in self._known:
            self._known[name] = self._stub.read_register(self._stub.arch.register(name))
        return self._known[name]

    @property
    def reported(self) -> Registers:
        """The registers as the stub reported them. Raises StateError while it runs."""
        self._require_still()
        if self._reported is None:
            self._reported = self._stub.read_registers()
        return self._reported

    def read_all_registers(self) -> None:
        """They will be wanted: one read is cheaper than many."""
        _ = self.reported

    def _require_still(self) -> None:
        if not self._still:
            msg = "the target runs"
            raise StateError(msg, state="running")

    @property
    def interrupted(self) -> Registers | None:
        """The interrupted code's registers after a break-in, else None."""
        return self._interrupted

    def with_registers(self, values: Mapping[str, int]) -> Registers:
        """Registers with these values, the others as they are now; of those no register of the stub is missing when
        all that a processor saves at an interrupt are given."""
        arch = self._stub.arch
        if arch.saved <= values.keys():
            return arch.parse(bytes(arch.g_length)).replace(values)
        return self.own.replace(values)

    def show_interrupted(self, registers: Registers | None) -> None:
        self._interrupted = registers

    def set_registers(self, values: dict[str, int]) -> None:
        """Change registers; they reach the target when it is resumed.

        Raises:
            LocalProtocolError: the stub cannot change one of them.
            StateError: the shown registers are those of interrupted code, which live on its stack.
        """
        if self._interrupted is not None:
            msg = "the registers of interrupted code cannot be changed"
            hint = "Step once, or set a breakpoint and continue; then the processor is in that code itself."
            raise StateError(msg, state="stopped", hint=hint)
        for name in values:
            if name not in self._stub.arch.writable:
                msg = f"the kernel's stub cannot change {name}"
                raise LocalProtocolError(msg)
        self._require_still()
        for name, value in values.items():
            self._changed[name] = self._stub.arch.register(name).cut(value)

    def thread_registers(self, thread: int) -> Registers:
        """Registers of another thread the stub has listed, as it reports them."""
        if thread not in self._threads:
            self._threads[thread] = self._stub.read_registers(thread)
        return self._threads[thread]

    def flush(self) -> None:
        """Write changed registers to the target, which is about to run. What can fail before that, fails here."""
        self._stub.select_current()
        for name, value in list(self._changed.items()):
            if self._before(name) != value:
                self._stub.write_register(self._stub.arch.register(name), value)
            self._known[name] = value
            if self._reported is not None:
                self._reported = self._reported.replace({name: value})
            del self._changed[name]

    def _before(self, name: str) -> int | None:
        """What the stub has in a register, if that was read."""
        return self._reported[name] if self._reported is not None else self._known.get(name)


class RegistersAtNeed:
    """`RegisterValues` of a target, each read when it is looked at."""

    def __init__(self, target: StoppedTarget) -> None:
        self._target = target

    @property
    def pc(self) -> int:
        return self._target.own_pc

    def __getitem__(self, name: str) -> int:
        return self._target.value(name)
