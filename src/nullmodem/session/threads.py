# SPDX-License-Identifier: Apache-2.0
"""Threads as clients see them: the task that stopped, the other processors, and sleeping tasks when asked for.

A kernel with a thousand tasks takes sixty packets to list, and gdb asks at every stop. So the list is the processors,
with the one that stopped first under its task's pid; the others keep one id each whatever they run. All tasks are
listed when somebody wants them (`show_all`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import KernelDataError, MemoryFault
from nullmodem.kernel.tasks import TaskReader, sleeping_registers
from nullmodem.session.model import Thread

if TYPE_CHECKING:
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.session.view import KernelView
    from nullmodem.stub.arch import Registers
    from nullmodem.stub.client import KgdbStub

PROCESSOR_BASE = 8_000_000
"""Ids of processors start here, above every pid (PID_MAX_LIMIT is 4 million)."""
_SHADOW_BASE = -2
"""The stub's own id for processor n's context is -2 - n (kernel/debug/gdbstub.c shadow_pid)."""


def public_id(stub_id: int) -> int:
    """The id clients see for one of the stub's."""
    return PROCESSOR_BASE + (_SHADOW_BASE - stub_id) if stub_id <= _SHADOW_BASE else stub_id


def stub_id(public: int) -> int:
    """The stub's id for one that clients see."""
    return _SHADOW_BASE - (public - PROCESSOR_BASE) if public >= PROCESSOR_BASE else public


class ThreadView:
    """The threads of the present stop."""

    def __init__(self, stub: KgdbStub, target: StoppedTarget, kernel: KernelView) -> None:
        self._stub = stub
        self._target = target
        self._kernel_active = kernel.address("kgdb_active")
        self._tasks = TaskReader(kernel.types, kernel.vmlinux, kernel.slide)
        self._processors = sum(thread <= _SHADOW_BASE for thread in stub.threads(first_page=True))
        self.show_all = False

    @property
    def processors(self) -> int:
        """How many processors are online."""
        return self._processors

    def current_processor(self) -> int | None:
        """The one that stopped the others; None when the kernel does not say."""
        if self._processors == 1:
            return 0
        if self._kernel_active is None:
            return None
        try:
            number = int.from_bytes(self._target.read(self._kernel_active, 4), "little", signed=True)
        except MemoryFault:
            return None
        return number if 0 <= number < self._processors else None

    def list(self, *, names: bool) -> tuple[Thread, ...]:
        """The threads to show; ``names`` costs a few reads a processor, what it runs costs nothing to leave out."""
        here = self.current_processor()
        assert self._target.thread is not None
        current = self._target.thread
        threads = [self._describe(public_id(current), here, names=names)]
        threads += [
            self._describe(PROCESSOR_BASE + number, number, names=names)
            for number in range(self._processors)
            if number != here and PROCESSOR_BASE + number != threads[0].id
        ]
        if self.show_all:
            shown = {thread.pid for thread in threads} | {thread.id for thread in threads}
            threads += [
                Thread(task.pid, task.name, None, task.pid)
                for task in self._tasks.walk(self._target)
                if task.pid not in shown and task.pid != 0
            ]
        return tuple(threads)

    def _describe(self, public: int, cpu: int | None, *, names: bool) -> Thread:
        if not (names or self.show_all) or cpu is None:
            return Thread(public, "", cpu)
        try:
            task = self._tasks.current(self._target, cpu)
        except (KernelDataError, MemoryFault):
            return Thread(public, "", cpu)
        return Thread(public, task.name, cpu, task.pid)

    def registers(self, public: int | None) -> Registers:
        """Registers of a thread, those of a sleeping task rebuilt from its stack.

        Raises:
            LocalProtocolError: the stub has no such thread.
        """
        if public is None or public == public_id(self._target.thread or 0):
            return self._target.registers
        wanted = stub_id(public)
        if wanted > 0:
            self._stub.threads()
        registers = self._target.thread_registers(wanted)
        if registers.pc == 0:
            # A task that runs nowhere: the stub knows its stack pointer only (sleeping_thread_to_gdb_regs).
            return registers.replace(sleeping_registers(self._target, self._tasks.types, registers.sp))
        return registers

    def exists(self, public: int) -> bool:
        """Whether clients may still speak of this thread."""
        if public >= PROCESSOR_BASE:
            return public - PROCESSOR_BASE < self._processors
        return public == self._target.thread or (self.show_all and public in self._stub.threads())
