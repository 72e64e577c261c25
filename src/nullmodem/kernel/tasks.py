# SPDX-License-Identifier: Apache-2.0
"""Tasks: which one each CPU runs, all of them, and where a sleeping one will go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.errors import KernelDataError, MemoryFault
from nullmodem.kernel.fields import Record, StructReader
from nullmodem.kernel.processor import processor_of
from nullmodem.kernel.regions import KERNEL_SPACE
from nullmodem.kernel.slide import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux

MAX_TASKS: Final = 1 << 15  # the kernel's default pid_max
MAX_CPUS: Final = 8192

_TASK: Final = "struct task_struct"
_FRAME: Final = "struct inactive_task_frame"
_SIGNAL: Final = "struct signal_struct"


@dataclass(frozen=True, slots=True)
class Task:
    """One thread, as the kernel calls a task. ``address`` is that of its task_struct; ``pid`` is unique, ``tgid`` the
    process's; ``comm`` is its name, with nothing in it that a terminal would take for a command."""

    address: int
    pid: int
    tgid: int
    comm: str


class TaskReader:
    """Reads tasks of a kernel that runs ``slide`` bytes above its link-time address.

    Every method raises MemoryFault, and KernelDataError when what is read makes no sense.
    """

    def __init__(self, types: TypeInfo, vmlinux: Vmlinux, slide: int) -> None:
        self._types = types
        self._vmlinux = vmlinux
        self._slide = slide
        self._processor = processor_of(vmlinux.machine)
        self._struct = StructReader(types, _TASK, ("tasks.next", "pid", "tgid", "comm", "thread_node.next", "signal"))
        self._tasks_offset = types.offset(_TASK, "tasks")
        self._thread_offset = types.offset(_TASK, "thread_node")
        self._head_offset = types.offset(_SIGNAL, "thread_head")
        self._current = self._current_variable()

    def online(self, memory: Memory) -> tuple[int, ...]:
        """Numbers of the CPUs that run. One without CONFIG_SMP."""
        mask = self._vmlinux.symbol("__cpu_online_mask")
        if mask is None:
            return (0,)
        raw = memory.read(mask.address + self._slide, self._types.member_size("struct cpumask", "bits"))
        bits = int.from_bytes(raw, "little")
        cpus = tuple(cpu for cpu in range(min(len(raw) * 8, MAX_CPUS)) if bits >> cpu & 1)
        if not cpus:
            msg = "the kernel says that no CPU is online"
            raise KernelDataError(msg)
        return cpus

    def per_cpu_offsets(self, memory: Memory, cpus: tuple[int, ...]) -> dict[int, int]:
        """What to add to the address of a per-cpu variable, for each of ``cpus``, modulo 2**64."""
        array = self._vmlinux.symbol("__per_cpu_offset")
        if array is None:
            return dict.fromkeys(cpus, 0)
        raw = memory.read(array.address + self._slide, (max(cpus) + 1) * 8)
        return {cpu: int.from_bytes(raw[cpu * 8 : cpu * 8 + 8], "little") for cpu in cpus}

    def per_cpu_offset(self, memory: Memory, cpu: int) -> int:
        """The same for one of them."""
        array = self._vmlinux.symbol("__per_cpu_offset")
        if array is None:
            return 0
        return int.from_bytes(memory.read(array.address + self._slide + cpu * 8, 8), "little")

    def current(self, memory: Memory) -> dict[int, Task]:
        """The task on each online CPU, the idle ones (pid 0) included."""
        running = {}
        for cpu, offset in self.per_cpu_offsets(memory, self.online(memory)).items():
            pointer = int.from_bytes(memory.read(self._current + offset & (1 << 64) - 1, 8), "little")
            running[cpu] = self.read(memory, pointer)
        return running

    def read(self, memory: Memory, address: int) -> Task:
        """The task whose task_struct stands at ``address``."""
        if address < KERNEL_SPACE:
            msg = f"{address:#x} is no task: it is no kernel address"
            raise KernelDataError(msg)
        return _task(self._struct.read(memory, address))

    def walk(self, memory: Memory, limit: int = MAX_TASKS) -> list[Task]:
        """Every task but the idle ones, process by process, each one's first thread first; at most ``limit``.

        It costs two reads a task. A list that is corrupt, or that the stop caught in the middle of a change so that
        it does not end, raises KernelDataError.
        """
        init = self._vmlinux.symbol("init_task")
        if init is None:
            msg = f"{self._vmlinux.path} has no init_task"
            raise KernelDataError(msg)
        head = init.address + self._slide + self._tasks_offset
        tasks: list[Task] = []
        node = int.from_bytes(memory.read(head, 8), "little")
        for leader in self._list(memory, node, head, self._tasks_offset, "tasks.next"):
            tasks.append(_task(leader))
            threads = leader.integer("signal") + self._head_offset
            first = leader.integer("thread_node.next")
            tasks += map(_task, self._list(memory, first, threads, self._thread_offset, "thread_node.next"))
            if len(tasks) >= limit:
                break
        return tasks[:limit]

    def sleeping_registers(self, memory: Memory, task: Task) -> dict[str, int]:
        """The registers, by gdb's names, with which a task that is not on a CPU goes on: those the switch away saved.

        kgdb itself reports a program counter of 0 for such a task on x86-64.
        """
        if int.from_bytes(self._member(memory, task.address, "on_cpu"), "little"):
            msg = f"task {task.pid} ({task.comm}) is on a CPU: what it saved when it last slept means nothing now"
            raise KernelDataError(msg)
        sp = int.from_bytes(
            self._member(memory, task.address, f"thread.{self._processor.saved[self._processor.sp]}"), "little"
        )
        if sp < KERNEL_SPACE:
            msg = f"task {task.pid} ({task.comm}) has a stack pointer of {sp:#x}"
            raise KernelDataError(msg)
        size = self._types.size(_FRAME)
        raw = memory.read(sp, size)
        registers = {self._processor.sp: sp + size}
        for name, member in self._processor.switch_frame.items():
            at = self._types.offset(_FRAME, member)
            registers[name] = int.from_bytes(raw[at : at + 8], "little")
        pc = registers[self._processor.pc]
        if pc - self._slide not in self._vmlinux.text:
            msg = f"task {task.pid} ({task.comm}) would go on at {pc:#x}, which is no kernel text"
            raise KernelDataError(msg)
        return registers

    # -- parts ---------------------------------------------------------------------------------------------------

    def _list(self, memory: Memory, node: int, head: int, offset: int, following: str) -> Iterator[Record]:
        """The tasks linked by the list_head ``offset`` bytes into each, from ``node`` up to the list's ``head``."""
        seen = {head}
        previous = "its head"
        while node != head:
            if node in seen or node < KERNEL_SPACE or len(seen) > MAX_TASKS:
                msg = f"the kernel's list of tasks is corrupt after {previous}: the next entry is {node:#x}"
                raise KernelDataError(msg)
            seen.add(node)
            try:
                record = self._struct.read(memory, node - offset)
            except MemoryFault as error:
                msg = f"the kernel's list of tasks is corrupt after {previous}: {error.message}"
                raise KernelDataError(msg) from error
            previous = f"task {record.integer('pid')}"
            node = record.integer(following)
            yield record

    def _member(self, memory: Memory, address: int, member: str) -> bytes:
        if not self._types.has(_TASK, member):
            msg = f"the kernel's {_TASK} has no {member}"
            raise KernelDataError(msg)
        return memory.read(address + self._types.offset(_TASK, member), self._types.member_size(_TASK, member))

    def per_cpu_variable(self, name: str) -> int | None:
        """Per-cpu address of a variable. Per-cpu data linked at 0 stays there; linked with the rest of the kernel, it
        moves with it."""
        per_cpu = self._vmlinux.per_cpu
        moved = self._slide if per_cpu is None or per_cpu.start else 0
        symbol = self._vmlinux.symbol(name)
        return symbol.address + moved if symbol is not None else None

    def _current_variable(self) -> int:
        """Per-cpu address of the pointer to the running task: a variable of its own, or a member of pcpu_hot."""
        current = self.per_cpu_variable("current_task")
        if current is not None:
            return current
        hot = self.per_cpu_variable("pcpu_hot")
        if hot is None or not self._types.has("struct pcpu_hot", "current_task"):
            msg = f"{self._vmlinux.path} has neither current_task nor pcpu_hot"
            raise KernelDataError(msg)
        return hot + self._types.offset("struct pcpu_hot", "current_task")


def _task(record: Record) -> Task:
    name = printable(record.raw("comm").partition(b"\0")[0])
    return Task(record.address, _signed(record.integer("pid")), _signed(record.integer("tgid")), name)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value
