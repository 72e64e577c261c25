# SPDX-License-Identifier: Apache-2.0
"""The target while it stands still: memory and registers, each read once and written through.

The registers shown are the processor's own view of where it is, which differs from what the stub reports in two ways.
After a software breakpoint x86 reports the address behind it; the breakpoint's own is shown. After a break-in the stub
reports its own entry path under the serial interrupt; the interrupted code's registers are shown (`interrupted`).
What differs is written back when the target is about to run, and only then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import LocalProtocolError, StateError
from nullmodem.session.cache import CacheStatistics, StopCache

if TYPE_CHECKING:
    from nullmodem.stub.arch import Registers
    from nullmodem.stub.client import KgdbStub


class StoppedTarget:
    """Memory and registers of one stop. Implements `nullmodem.kernel.memory.Memory`."""

    def __init__(self, stub: KgdbStub, *, ahead: int) -> None:
        self._stub = stub
        self._cache = StopCache(stub.read_memory, limit=stub.arch.max_read, ahead=ahead)
        self._reported: Registers | None = None
        self._registers: Registers | None = None
        self._interrupted: Registers | None = None
        self._threads: dict[int, Registers] = {}
        self.thread: int | None = None
        self.code: dict[int, bytes] = {}
        """Text that was read for stepping, by address. It outlives the stop: see `stepping.RangePlan`."""

    @property
    def cache_statistics(self) -> CacheStatistics:
        return self._cache.statistics

    def begin(self, thread: int | None) -> None:
        """A new stop: read the registers; nothing known before holds."""
        self.end()
        self._reported = self._registers = self._stub.read_registers()
        self.thread = thread

    def end(self) -> None:
        """The target runs: nothing is known of it."""
        self._cache.clear()
        self._threads.clear()
        self._reported = self._registers = self._interrupted = None

    # -- memory --------------------------------------------------------------------------------------------------

    def read(self, address: int, length: int) -> bytes:
        """Any number of bytes. Raises MemoryFault."""
        return self._cache.read(address, length)

    def write(self, address: int, data: bytes) -> None:
        """Any number of bytes. Raises MemoryFault; what was written before the fault stays written."""
        step = self._stub.arch.max_write
        for offset in range(0, len(data), step):
            piece = data[offset : offset + step]
            self.code.clear()
            self._stub.write_memory(address + offset, piece)
            self._cache.overwrite(address + offset, piece)

    # -- registers -----------------------------------------------------------------------------------------------

    @property
    def is_known(self) -> bool:
        """Whether its registers have been read."""
        return self._registers is not None

    @property
    def registers(self) -> Registers:
        """The stopped processor's registers, as a debugger's user should see them."""
        return self._interrupted or self.own

    @property
    def own(self) -> Registers:
        """The registers execution goes on with: not the interrupted code's. Raises StateError while it runs."""
        if self._registers is None:
            msg = "the target runs"
            raise StateError(msg, state="running")
        return self._registers

    @property
    def reported(self) -> Registers:
        """The registers as the stub reported them."""
        if self._reported is None:
            msg = "the target runs"
            raise StateError(msg, state="running")
        return self._reported

    @property
    def interrupted(self) -> Registers | None:
        """The interrupted code's registers after a break-in, else None."""
        return self._interrupted

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
        self._registers = self.own.replace(values)

    def thread_registers(self, thread: int) -> Registers:
        """Registers of another thread the stub has listed, as it reports them."""
        if thread not in self._threads:
            self._threads[thread] = self._stub.read_registers(thread)
        return self._threads[thread]

    def flush(self) -> None:
        """Write changed registers to the target, which is about to run. What can fail before that, fails here."""
        self._stub.select_current()
        for register in self.own.changed_from(self.reported):
            self._stub.write_register(register, self.own[register.name])
        self._reported = self._registers
