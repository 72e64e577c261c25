# SPDX-License-Identifier: Apache-2.0
"""Reading tasks from memory, and from memory that makes no sense."""

from __future__ import annotations

import struct

import pytest

from nullmodem.errors import KernelDataError
from nullmodem.kernel.tasks import Task, TaskReader
from nullmodem.testing.memory import FakeMemory
from support.fakekernel import SLIDE, FakeKernel

TASKS = 0xFFFF_8880_0100_0000
SPACE = 0x4000
AREAS = {0: 0xFFFF_8880_0F60_0000, 2: 0xFFFF_8880_0F80_0000}


class Tasks:
    """Fake tasks in a fake kernel's memory."""

    def __init__(self, kernel: FakeKernel) -> None:
        self.kernel = kernel
        self.memory = kernel.memory()
        self.reader = TaskReader(kernel.types, kernel.vmlinux, SLIDE)
        self._last = self.head = self.member(kernel.symbol("init_task"), "tasks")
        self._count = 0
        self.link(self.head, self.head)

    def member(self, task: int, member: str) -> int:
        return task + self.kernel.types.offset("struct task_struct", member)

    def link(self, node: int, following: int) -> None:
        self.kernel.poke(self.memory, node, following)

    def add(self, pid: int, comm: bytes, threads: tuple[int, ...] = ()) -> int:
        """A process with further threads; returns the task of its first."""
        leader = self._make(pid, pid, comm)
        signal = leader + 0x2000
        head = signal + self.kernel.types.offset("struct signal_struct", "thread_head")
        self.kernel.set(self.memory, "struct task_struct", leader, {"signal": signal})
        self.link(self._last, self.member(leader, "tasks"))
        self.link(self.member(leader, "tasks"), self.head)
        self._last = self.member(leader, "tasks")
        node = self.member(leader, "thread_node")
        for thread in threads:
            following = self.member(self._make(thread, pid, comm), "thread_node")
            self.link(node, following)
            node = following
        self.link(node, head)
        return leader

    def _make(self, pid: int, tgid: int, comm: bytes) -> int:
        address = TASKS + self._count * SPACE
        self._count += 1
        self.memory.add(address, bytes(SPACE))
        self.kernel.set(self.memory, "struct task_struct", address, {"pid": pid, "tgid": tgid, "comm": comm})
        return address


@pytest.fixture
def tasks(layouts: FakeKernel) -> Tasks:
    return Tasks(layouts)


def test_every_task_is_listed_process_by_process(tasks: Tasks) -> None:
    init = tasks.add(1, b"init\0")
    tasks.add(40, b"daemon\0", (41, 42))
    tasks.add(50, b"sh\0")
    found = tasks.reader.walk(tasks.memory)
    assert [(task.pid, task.tgid, task.comm) for task in found] == [
        (1, 1, "init"), (40, 40, "daemon"), (41, 40, "daemon"), (42, 40, "daemon"), (50, 50, "sh"),
    ]  # fmt: skip
    assert found[0].address == init
    assert tasks.reader.read(tasks.memory, init) == found[0]


def test_a_task_costs_no_more_than_two_reads(tasks: Tasks) -> None:
    for pid in range(1, 11):
        tasks.add(pid, b"worker\0")
    tasks.memory.reads.clear()
    tasks.reader.walk(tasks.memory)
    assert len(tasks.memory.reads) <= 1 + 2 * 10


def test_a_limit_ends_the_walk(tasks: Tasks) -> None:
    for pid in range(1, 11):
        tasks.add(pid, b"worker\0")
    tasks.memory.reads.clear()
    assert [task.pid for task in tasks.reader.walk(tasks.memory, limit=3)] == [1, 2, 3]
    assert len(tasks.memory.reads) <= 1 + 2 * 3


def test_a_name_cannot_speak_to_a_terminal(tasks: Tasks) -> None:
    tasks.add(7, b"\x1b[2J\xff\n" + b"x" * 11)
    assert tasks.reader.walk(tasks.memory)[0].comm == r"\x1b[2J\xff\n" + "x" * 10


@pytest.mark.parametrize("following", [0, 0xDEAD_0000_0000_0100, 0xFFFF_FFFF_0000_0000])
def test_a_poisoned_list_is_refused(tasks: Tasks, following: int) -> None:
    task = tasks.add(1, b"init\0")
    tasks.link(tasks.member(task, "tasks"), following)
    with pytest.raises(KernelDataError, match="corrupt after task 1"):
        tasks.reader.walk(tasks.memory)


def test_a_list_that_goes_in_circles_is_refused(tasks: Tasks) -> None:
    first = tasks.add(1, b"init\0")
    second = tasks.add(2, b"other\0")
    tasks.link(tasks.member(second, "tasks"), tasks.member(first, "tasks"))
    with pytest.raises(KernelDataError, match="corrupt after task 2"):
        tasks.reader.walk(tasks.memory)


def test_each_online_cpu_has_its_task(tasks: Tasks) -> None:
    offsets = tasks.kernel.symbol("__per_cpu_offset")
    variable = tasks.kernel.vmlinux.symbol("current_task")
    assert variable is not None
    running = {0: tasks.add(3, b"busy\0"), 2: tasks.kernel.symbol("init_task")}
    for cpu, area in AREAS.items():
        tasks.memory.add(area, bytes(4096))
        tasks.kernel.poke(tasks.memory, offsets + cpu * 8, area)
        tasks.kernel.poke(tasks.memory, area + variable.address, running[cpu])
    found = tasks.reader.current(tasks.memory)
    assert {cpu: (task.address, task.comm) for cpu, task in found.items()} == {
        0: (running[0], "busy"), 2: (running[2], "swapper"),
    }  # fmt: skip


def test_no_cpu_online_makes_no_sense(tasks: Tasks) -> None:
    tasks.kernel.poke(tasks.memory, tasks.kernel.symbol("__cpu_online_mask"), 0)
    with pytest.raises(KernelDataError, match="no CPU is online"):
        tasks.reader.current(tasks.memory)


def sleeper(tasks: Tasks, pc: int) -> Task:
    """A task that was switched away from, with the frame that leaves."""
    address = tasks.add(9, b"sleeper\0")
    stack = address + 0x3000
    tasks.memory.write(stack, struct.pack("<7Q", 15, 14, 13, 12, 3, 5, pc))
    tasks.kernel.set(tasks.memory, "struct task_struct", address, {"thread.sp": stack})
    return tasks.reader.read(tasks.memory, address)


def test_a_sleeping_tasks_registers_are_those_its_switch_saved(tasks: Tasks) -> None:
    pc = tasks.kernel.symbol("do_init_module") + 4
    task = sleeper(tasks, pc)
    assert tasks.reader.sleeping_registers(tasks.memory, task) == {
        "r15": 15, "r14": 14, "r13": 13, "r12": 12, "rbx": 3, "rbp": 5, "rip": pc, "rsp": task.address + 0x3000 + 56,
    }  # fmt: skip


def test_a_task_on_a_cpu_has_no_saved_registers(tasks: Tasks) -> None:
    task = sleeper(tasks, tasks.kernel.symbol("do_init_module"))
    tasks.kernel.set(tasks.memory, "struct task_struct", task.address, {"on_cpu": 1})
    with pytest.raises(KernelDataError, match="is on a CPU"):
        tasks.reader.sleeping_registers(tasks.memory, task)


@pytest.mark.parametrize("pc", [0, 0x40_0000, 0xFFFF_FFFF_FFFF_FFFF])
def test_a_wild_return_address_is_refused(tasks: Tasks, pc: int) -> None:
    with pytest.raises(KernelDataError, match="is no kernel text"):
        tasks.reader.sleeping_registers(tasks.memory, sleeper(tasks, pc))


def test_a_wild_stack_pointer_is_refused(tasks: Tasks) -> None:
    task = sleeper(tasks, 0)
    tasks.kernel.set(tasks.memory, "struct task_struct", task.address, {"thread.sp": 0x10})
    with pytest.raises(KernelDataError, match="stack pointer of 0x10"):
        tasks.reader.sleeping_registers(tasks.memory, task)


def test_what_is_no_kernel_address_is_no_task(tasks: Tasks) -> None:
    with pytest.raises(KernelDataError, match="is no task"):
        tasks.reader.read(FakeMemory({}), 0x1000)
