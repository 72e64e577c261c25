# SPDX-License-Identifier: Apache-2.0
"""Threads as clients see them: the task that stopped, the other processors, and sleeping tasks when asked for.

A kernel with a thousand tasks takes sixty packets to list, and gdb asks at every stop. So the list is the processors,
with the one that stopped first under its task's pid; the others keep one id each whatever they run. All tasks are
listed when somebody wants them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from nullmodem.errors import KernelDataError, MemoryFault, StateError
from nullmodem.kernel.round_up import RoundUp
from nullmodem.kernel.tasks import Task, TaskReader
from nullmodem.session.model import ResumeKind, State, Thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.session.breakpoints import BreakpointTable
    from nullmodem.session.model import Resume
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.session.view import KernelView
    from nullmodem.stub.arch import Registers
    from nullmodem.stub.client import KgdbStub

PROCESSOR_BASE = 8_000_000
"""Ids of processors start here, above every pid (PID_MAX_LIMIT is 4 million)."""
REMEMBERED = 64
"""Threads that have stopped, of which it is known that clients were told of them."""
_SHADOW_BASE = -2
"""The stub's own id for processor n's context is -2 - n (kernel/debug/gdbstub.c shadow_pid)."""


def public_id(stub_id: int) -> int:
    """The id clients see for one of the stub's."""
    return PROCESSOR_BASE + (_SHADOW_BASE - stub_id) if stub_id <= _SHADOW_BASE else stub_id


def stub_id(public: int) -> int:
    """The stub's id for one that clients see."""
    return _SHADOW_BASE - (public - PROCESSOR_BASE) if public >= PROCESSOR_BASE else public


def is_idle(thread: int | None) -> bool:
    """Whether the stub's id for a thread that runs is that of a processor: it has no task but its idle one."""
    return thread is not None and thread <= _SHADOW_BASE


def require_own(request: Resume, stopped: int | None) -> None:
    """Raises StateError for a step of another thread than the one that stopped, ``stopped`` to the stub."""
    own = public_id(stopped or 0)
    if request.kind is not ResumeKind.CONTINUE and request.thread not in (None, own):
        msg = f"only the thread that stopped can be stepped ({own}), not {request.thread}"
        hint = "kgdb steps the processor that entered it, and no other (kernel/debug/gdbstub.c gdb_cmd_step)."
        raise StateError(msg, state=State.STOPPED.value, hint=hint)


def _silent(_text: str) -> None:
    """For who does not want to be told."""


class ThreadView:
    """The threads of the present stop. `new_stop` must be called at each."""

    def __init__(
        self,
        stub: KgdbStub,
        target: StoppedTarget,
        kernel: KernelView,
        table: BreakpointTable,
        say: Callable[[str], None] = _silent,
    ) -> None:
        self._stub = stub
        self._table = table
        self._target = target
        self._say = say
        self._round_up = RoundUp(kernel.types, kernel.vmlinux, kernel.slide)
        self._missing: frozenset[int] | None = None
        self._kernel_active = kernel.address("kgdb_active")
        self._tasks = TaskReader(kernel.types, kernel.vmlinux, kernel.slide)
        shadows = (thread for thread in stub.threads(first_page=True) if thread <= _SHADOW_BASE)
        self._processors = tuple(sorted(_SHADOW_BASE - shadow for shadow in shadows))
        self._stopped_before: deque[int] = deque(maxlen=REMEMBERED)
        self._running: dict[int, Task] | None = None
        self._all: tuple[Task, ...] | None = None

    @property
    def processors(self) -> int:
        """How many processors are online."""
        return len(self._processors)

    def new_stop(self) -> None:
        """What was read of tasks holds no longer."""
        last = self._target.thread
        if last is not None and last > 0 and last not in self._stopped_before:
            self._stopped_before.append(last)
        self._running = self._all = self._missing = None

    @property
    def missing(self) -> frozenset[int]:
        """The processors that did not stop with the others. Said once for each stop at which somebody looks."""
        if self._missing is None:
            here = self.current_processor()
            others = tuple(number for number in self._processors if number != here) if here is not None else ()
            try:
                self._missing = self._round_up.missing(self._target, others)
            except MemoryFault:
                self._missing = frozenset()
            if self._missing:
                numbers = ", ".join(map(str, sorted(self._missing)))
                self._say(f"processor {numbers} did not stop with the others, and runs on: what it works on may change")
        return self._missing

    @property
    def waiting(self) -> dict[int, int]:
        """Processors that have stopped for a reason of their own, and report it when the present stop is over: where
        the registers are that each of them goes back to. Empty where that cannot be told."""
        here = self.current_processor()
        others = [number for number in self._processors if number != here]
        try:
            return self._round_up.own_stops(self._target, others) if here is not None else {}
        except MemoryFault:
            return {}

    def current_processor(self) -> int | None:
        """The one that stopped the others; None when the kernel does not say."""
        if len(self._processors) == 1:
            return self._processors[0]
        thread = self._target.thread
        if thread is not None and is_idle(thread):
            return _SHADOW_BASE - thread
        if self._kernel_active is None:
            return None
        try:
            number = int.from_bytes(self._target.read(self._kernel_active, 4), "little", signed=True)
        except MemoryFault:
            return None
        return number if number in self._processors else None

    def list(self, *, names: bool, every_task: bool) -> tuple[Thread, ...]:
        """The threads to show. ``names`` costs a few reads for each processor, ``every_task`` two for each task."""
        here = self.current_processor()
        running = self._on_processors() if names or every_task else {}
        assert self._target.thread is not None
        current = public_id(self._target.thread)
        missing = self.missing if names or every_task else frozenset()
        threads = [_thread(current, here, running)]
        threads += [
            replace(_thread(PROCESSOR_BASE + number, number, running), stands=number not in missing)
            for number in self._processors
            if number != here and PROCESSOR_BASE + number != current
        ]
        if every_task:
            shown = {task.pid for task in running.values()}
            threads += [Thread(t.pid, t.comm, None, t.pid) for t in self._every_task() if t.pid not in shown]
        return tuple(threads)

    def register(self, name: str, public: int | None) -> int:
        """One register; raises as `registers` does."""
        if public is None or public == public_id(self._target.thread or 0):
            return self._target.shown_value(name)
        return self.registers(public)[name]

    def registers(self, public: int | None) -> Registers:
        """Registers of a thread; those of a sleeping task are rebuilt from what it saved when it went to sleep.

        Raises:
            LocalProtocolError: the stub has no such thread.
            StateError: it runs, on a processor that did not stop with the others.
            KernelDataError: the task's saved registers make no sense.
        """
        if public is None or public == public_id(self._target.thread or 0):
            return self._target.registers
        wanted = stub_id(public)
        self._require_still(public)
        if not self._stub.has_listed(wanted):
            self._stub.threads()  # the stub is asked for a thread only if it has listed it at this stop
        registers = self._before_its_trap(self._target.thread_registers(wanted))
        if registers.pc == 0:
            # The stub knows no more of a task that runs nowhere than its stack pointer (sleeping_thread_to_gdb_regs).
            task = next((task for task in self._every_task() if task.pid == public), None)
            if task is not None:
                return registers.replace(self._tasks.sleeping_registers(self._target, task))
        return registers

    def _require_still(self, public: int) -> None:
        """The stub would answer, and with registers of an earlier time."""
        if not self.missing:
            return
        running = {cpu: task.pid for cpu, task in self._on_processors().items()}
        cpu = public - PROCESSOR_BASE if public >= PROCESSOR_BASE else None
        for number in self.missing:
            if number == cpu or (running.get(number) == public and public != 0):
                msg = f"processor {number} did not stop with the others, so where it is cannot be known"
                raise StateError(msg, state=State.RUNNING.value)

    def _before_its_trap(self, registers: Registers) -> Registers:
        """On several processors one may have run into a breakpoint and wait to report it, when another's stop is shown.
        Its pc is behind the trap then, in the midst of an instruction, where a debugger would set its next breakpoint.
        """
        arch = self._stub.arch
        at = registers.pc - arch.pc_after_breakpoint
        if not arch.pc_after_breakpoint or not self._table.has_trapped(at):
            return registers
        length = arch.instructions.instruction_length(self._target.code_at(at), at)
        return registers if length <= arch.pc_after_breakpoint else registers.replace({arch.pc: at})

    def exists(self, public: int) -> bool:
        """Whether clients may still speak of this thread.

        Of one that has stopped before, gdb asks when another's stop came between it and the end of its step, and
        forgets the step if it is gone (infrun.c keep_going_stepped_thread).
        """
        if public >= PROCESSOR_BASE:
            return public - PROCESSOR_BASE in self._processors
        if public == self._target.thread or any(task.pid == public for task in self._all or ()):
            return True
        return public in self._stopped_before and public in self._stub.threads()

    def _on_processors(self) -> dict[int, Task]:
        if self._running is None:
            try:
                self._running = self._tasks.current(self._target)
            except (KernelDataError, MemoryFault):
                self._running = {}  # the list is as useful without names
        return self._running

    def _every_task(self) -> tuple[Task, ...]:
        if self._all is None:
            self._all = tuple(self._tasks.walk(self._target))
        return self._all


def _thread(public: int, cpu: int | None, running: dict[int, Task]) -> Thread:
    task = running.get(cpu) if cpu is not None else None
    return Thread(public, task.comm, cpu, task.pid) if task else Thread(public, "", cpu)
