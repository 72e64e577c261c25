# SPDX-License-Identifier: Apache-2.0
"""A whole session on a kernel of a few hundred bytes behind a fake stub, with gdb's end of a connection in the test."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nullmodem.api.live import LiveSession
from nullmodem.frontends.gdb.connection import GdbConnection
from nullmodem.session.events import EventBus
from nullmodem.session.model import Policy, State
from nullmodem.session.session import Session
from nullmodem.session.world import Files
from nullmodem.stub.client import KgdbStub, Patience
from nullmodem.stub.x86_64 import X86_64
from nullmodem.symbols.finder import ModuleFinder
from nullmodem.symbols.module_file import ModuleFile
from nullmodem.symbols.store import ModuleStore
from nullmodem.testing.fakemachine import Cpu, Machine, Region, Stop, Task
from nullmodem.testing.fakestub import FakeKgdb
from nullmodem.testing.memory import FakeMemory
from nullmodem.waiting import wait_readable
from support.client import PATIENCE_SECONDS, Client
from support.fakekernel import SLIDE, FakeKernel, Loaded
from support.runner import PATIENCE, DirectLine, assert_harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nullmodem.session.events import Subscription

STACK = 0xFFFF_C900_0000_0000
PID = 201
PAGE = 4096
SLOT, SLOTS = 24, 64
"""Bytes of a breakpoint's slot, and how many tests use."""


class SlottedMachine(Machine):
    """A machine whose kernel keeps the places of its breakpoints in memory, at ``slots``, as dbg_set_sw_break does."""

    def __init__(self, cpus: int, slots: int) -> None:
        super().__init__(cpus=cpus)
        self._at = slots
        self._used: list[int] = []

    def set_software(self, address: int) -> int:
        error = super().set_software(address)
        if not error and address not in self._used:
            self._put(self._at + SLOT * len(self._used), address)
            self._used.append(address)
        return error

    def drop_breakpoints(self) -> None:
        super().drop_breakpoints()
        self._used.clear()  # and fills the slots anew

    def empty_slots(self) -> None:
        """As they are in another boot."""
        self.drop_breakpoints()
        for number in range(SLOTS):
            self._put(self._at + SLOT * number, 0)

    def _put(self, at: int, address: int) -> None:
        start = at & -PAGE
        for number, byte in enumerate(address.to_bytes(8, "little")):
            self.memory[start + PAGE * ((at - start + number) // PAGE)].data[(at + number) % PAGE] = byte


class MachineMemory(FakeMemory):
    """The memory of a fake machine, in whole pages, as `FakeKernel` fills it."""

    def __init__(self, machine: Machine) -> None:
        super().__init__({})
        self.machine = machine

    def adopt(self, other: FakeMemory, text: range) -> None:
        """Take over what another memory holds; where ``text`` is, it is code."""
        pages: dict[int, bytearray] = {}
        for start, content in other._regions.items():
            for at, byte in enumerate(content, start):
                pages.setdefault(at & -PAGE, bytearray(PAGE))[at % PAGE] = byte
        for start, page in sorted(pages.items()):
            self.add(start, page)
            self.machine.memory[start].executable = start in text

    def add(self, address: int, content: bytes) -> None:
        region = Region(bytearray(content.ljust(-(-len(content) // PAGE) * PAGE, b"\0")), writable=True)
        self.machine.memory[address] = region
        self._regions[address] = region.data


@dataclass
class Arrival:
    """A processor comes to ``address`` with ``registers``: what it does there when nobody stops it is left out.

    ``traps``: it stops there in any case, as one that has executed the instruction it was to step.
    """

    address: int
    registers: dict[str, int] = field(default_factory=dict)
    cpu: int = 0
    traps: bool = False


class Story:
    """`Execution` for a fake stub: what the processors come to, in order; one step is one byte forward.

    ``meanwhile`` is called whenever the target runs.
    """

    def __init__(self) -> None:
        self.to_come: list[Arrival] = []
        self.steps = 0
        self.overtaking: Arrival | None = None  # what happens instead of the next step, which is reported later
        self.cpu = 0  # which one stopped last, and is stepped
        self.meanwhile: Callable[[], None] = lambda: None

    def __call__(self, machine: Machine, stepping: bool) -> Stop | None:
        """Go on until a breakpoint is met."""
        self.meanwhile()
        if stepping and self.overtaking is not None:
            arrival, self.overtaking = self.overtaking, None
            machine.cpus[arrival.cpu].registers["rip"] = arrival.address + 1
            return self._stop(arrival.cpu)
        if stepping:
            self.steps += 1
            machine.cpus[self.cpu].registers["rip"] += 1
            return self._stop(self.cpu)
        while self.to_come:
            arrival = self.to_come.pop(0)
            registers = machine.cpus[arrival.cpu].registers
            registers.update(arrival.registers, rip=arrival.address)
            if arrival.traps:
                return self._stop(arrival.cpu)
            if arrival.address in machine.software:
                registers["rip"] += 1
                return self._stop(arrival.cpu)
            if arrival.address in machine.hardware:
                return self._stop(arrival.cpu)
        return None

    def _stop(self, cpu: int) -> Stop:
        self.cpu = cpu
        return Stop(cpu=cpu)


class Gdb(Client):
    """A client, and the session's end of its connection."""

    def __init__(self, live: LiveSession) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        self.ended = threading.Event()
        self.connection = GdbConnection(live, theirs, lambda _connection: self.ended.set())
        self.connection.start()

    def vanish(self) -> None:
        """The end of a gdb that is killed."""
        self.socket.close()
        assert self.ended.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        self.socket.close()
        self.connection.close()


class Rig:
    """Kernel, machine, session and gdbs. ``cpus``: two at least."""

    def __init__(
        self,
        kernel: FakeKernel,
        directory: Path,
        policy: Policy,
        cpus: int = 2,
        patience: Patience = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kernel = kernel
        slots = kernel.vmlinux.symbol("kgdb_break")
        self.machine = Machine(cpus=cpus) if slots is None else SlottedMachine(cpus, slots.address + SLIDE)
        self.memory = MachineMemory(self.machine)
        text = kernel.vmlinux.text.shifted(SLIDE)
        self.memory.adopt(kernel.memory(), range(text.start, text.end))
        self.machine.memory[STACK] = Region(bytearray(0x4000), writable=True)
        self.machine.tasks = {PID: Task("insmod"), 1: Task("init"), 2: Task("kthreadd")}
        registers = {"rip": self.break_pc, "rsp": STACK + 0x2000, "eflags": 0x246, "cs": 0x10, "ss": 0x18}
        self.machine.cpus[0] = Cpu(PID, registers)
        self.machine.cpus[1] = Cpu(0, {"rip": self.kernel.symbol("do_init_module"), "rsp": STACK + 0x3000})
        self.story = Story()
        self.fake = FakeKgdb(self.machine, self.story)
        self.line = DirectLine(self.fake)
        self.modules = directory / "built"
        self.modules.mkdir()
        files = Files(
            kernel.vmlinux, kernel.path, kernel.types, ModuleFinder([self.modules]), ModuleStore(directory / "store")
        )
        self.session = Session(
            KgdbStub(self.line, X86_64, patience=patience, clock=clock), files, EventBus(), ahead=128, policy=policy
        )
        self.live = LiveSession(self.session, self.break_in)
        self.events = self.live.subscribe()
        self.gdbs: list[Gdb] = []

    @property
    def break_pc(self) -> int:
        """Behind the trap with which the kernel enters the debugger by itself."""
        return self.kernel.symbol("kgdb_breakpoint") + 1

    def break_in(self) -> None:
        """As BREAK and g: the machine stops if it runs."""

        def stop() -> bytes:
            if self.fake.running:
                self.machine.cpus[0].registers["rip"] = self.break_pc
                self.story.cpu = 0
            return self.fake.stop()

        self.line.poke(stop)

    def happen(self, *arrivals: Arrival) -> None:
        """While the target runs: its processors come to these places."""

        def go() -> bytes:
            assert self.fake.running
            self.story.to_come += arrivals
            stop = self.story(self.machine, False)  # noqa: FBT003
            return self.fake.stop(stop) if stop is not None else b""

        self.line.poke(go)

    def gdb(self) -> Gdb:
        """One more gdb."""
        gdb = Gdb(self.live)
        self.gdbs.append(gdb)
        return gdb

    def load(self, path: Path) -> Loaded:
        """Put a module into the machine's memory, and its file where it is found; nobody is told."""
        file = ModuleFile.open(path)
        before = set(self.machine.memory)
        with contextlib.suppress(FileExistsError):
            (self.modules / path.name).symlink_to(path)
        loaded = self.kernel.load(self.memory, file)
        for name in ("text", "init_text"):
            start = loaded.regions[name][0]
            if start not in before:
                self.machine.memory[start].executable = True
        return loaded

    def module_loads(self, loaded: Loaded) -> Arrival:
        """The kernel's loader is about to run the module's init."""
        return Arrival(self.hook("do_init_module"), {"rdi": loaded.address})

    def module_event(self, loaded: Loaded, state: int) -> Arrival:
        """The kernel tells of a module's new state: 0 live, 2 going."""
        return Arrival(self.hook("module_event"), {"rdi": 0, "rsi": state, "rdx": loaded.address})

    def hook(self, function: str) -> int:
        """Where the session listens in a function of the kernel."""
        hooks = self.session.world.hooks.values()
        return next(hook.address for hook in hooks if hook.point.value == function)

    def until(self, state: State) -> None:
        """Wait until the session is in this state."""
        while self.live.state is not state:
            assert wait_readable([self.events], PATIENCE_SECONDS), self.live.state
            self.events.get()
        self.settle()

    def settle(self) -> None:
        """Wait until the session has dealt with all that was asked and all that came."""
        while self.live.look_into(lambda _session: self.line.pending):
            pass  # asked in its thread, which has then dealt with what it has read

    def close(self) -> None:
        for gdb in self.gdbs:
            gdb.close()
        self.live.close(release=False)
        self.events.close()
        self.line.close()


def next_event(subscription: Subscription, kind: type) -> object:
    """The next event of this kind."""
    while True:
        event = subscription.get()
        if isinstance(event, kind):
            return event
        if event is None:
            assert wait_readable([subscription], PATIENCE_SECONDS)


@contextlib.contextmanager
def rig_on(
    kernel: FakeKernel,
    directory: Path,
    *,
    policy: Policy = Policy.RELEASE,
    cpus: int = 2,
    patience: Patience = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Rig]:
    """A session that has taken its target over, which runs; the wire is judged at the end."""
    rig = Rig(kernel, directory, policy, cpus, patience, clock)
    try:
        rig.live.start(PATIENCE_SECONDS)
        rig.live.go()
        yield rig
    finally:
        rig.close()
    assert_harmless(rig.fake)
