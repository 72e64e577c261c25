# SPDX-License-Identifier: Apache-2.0
"""The session's runner on a fake stub, with an owner that only notes what it is told, and the oracle for the wire."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nullmodem.errors import WireClosed
from nullmodem.rsp import requests
from nullmodem.rsp.hexadecimal import ADDRESS_SPACE
from nullmodem.rsp.requests import parse_request
from nullmodem.session.breakpoints import BreakpointTable
from nullmodem.session.model import StopReason
from nullmodem.session.running import Runner
from nullmodem.session.signals import SIGTRAP
from nullmodem.session.stopped import StoppedTarget
from nullmodem.stub.client import KgdbStub, Patience
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing.fakestub import FakeKgdb
from nullmodem.waiting import wait_readable
from support.minicpu import MiniCpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nullmodem.rsp.requests import Request
    from nullmodem.session.hooks import Hook
    from nullmodem.session.stepping import Plan
    from nullmodem.testing.fakemachine import Execution, Machine

PATIENCE = Patience(answer=2.0)
SAFE: dict[type, Callable[[Request], bool]] = {
    requests.HaltReason: lambda _: True,
    requests.ReadRegisters: lambda _: True,
    requests.ReadRegister: lambda r: r.number <= 0x17,
    requests.WriteRegister: lambda r: len(r.data) == (8 if r.number <= 16 else 4),
    requests.ReadMemory: lambda r: 0 < r.length <= 511 and r.address + r.length <= ADDRESS_SPACE,
    requests.WriteMemory: lambda r: len(r.encode()) < 1024 and bool(r.data),
    requests.InsertBreakpoint: lambda r: not r.conditions and not r.commands,
    requests.RemoveBreakpoint: lambda _: True,
    requests.SelectThread: lambda r: r.op == "g",
    requests.ThreadInfoFirst: lambda _: True,
    requests.ThreadInfoNext: lambda _: True,
    requests.ThreadExtraInfo: lambda _: True,
    requests.CurrentThread: lambda _: True,
    requests.Continue: lambda r: r.address is None,
    requests.Step: lambda r: r.address is None,
    requests.Detach: lambda r: r.pid is None,
}
"""Every request that may reach a kernel, and what must hold of it: the safe grammar."""


def assert_harmless(fake: FakeKgdb) -> None:
    """Nothing that reached the stub could have hurt a kernel; no byte came but in packets."""
    assert fake.machine.violations == []
    for packet in fake.requests:
        if packet.startswith(b"C09") and len(packet) == 19:
            continue  # a fault handed back, with the pc it happened at
        request = parse_request(packet)
        assert type(request) in SAFE, packet
        assert SAFE[type(request)](request), packet
    assert set(fake.typed) <= {ord("+")}


class DirectLine:
    """`ByteStream` to a fake stub in the same thread: what is written is answered before ``write`` returns."""

    def __init__(self, fake: FakeKgdb) -> None:
        self._fake = fake
        self._lock = threading.RLock()
        self._ready = os.eventfd(0, os.EFD_NONBLOCK)
        self._waiting = b""
        self._muted = self._gone = False
        self._to_lose: tuple[bytes, Callable[[], None]] | None = None

    def unplug(self) -> None:
        """Nothing comes any more, and nothing gets there."""
        with self._lock:
            if not self._waiting:
                os.eventfd_write(self._ready, 1)
            self._gone, self._waiting = True, b""

    def mute(self) -> None:
        """Swallow everything that is sent from here on."""
        self._muted = True

    def lose(self, beginning: bytes, meanwhile: Callable[[], None]) -> None:
        """Swallow the next that is sent with this packet in it, and have that happen in its place."""
        self._to_lose = beginning, meanwhile

    def fileno(self) -> int:
        return self._ready

    def read(self, limit: int = 65536) -> bytes:
        with self._lock:
            if self._gone:
                return b""
            os.eventfd_read(self._ready)
            data, self._waiting = self._waiting[:limit], self._waiting[limit:]
            self._tell()
            return data

    def write(self, data: bytes) -> None:
        if self._gone:
            raise WireClosed("the line was unplugged")
        if self._to_lose is not None and self._to_lose[0] in data:
            (_beginning, meanwhile), self._to_lose = self._to_lose, None
            meanwhile()
        elif not self._muted:
            self.poke(lambda: self._fake.receive(data))

    def poke(self, produce: Callable[[], bytes]) -> None:
        """Call ``produce`` while the fake is at rest, and let what it returns come from the stub. For any thread."""
        with self._lock:
            self.deliver(produce())

    def deliver(self, data: bytes) -> None:
        """Let ``data`` come from the stub."""
        if self._gone:
            return
        quiet = not self._waiting
        self._waiting += data
        if quiet:
            self._tell()

    @property
    def pending(self) -> bool:
        """Whether something has come and was not read."""
        return bool(self._waiting)

    def send_break(self) -> None:
        raise AssertionError("a session breaks in from outside the wire")

    def close(self) -> None:
        os.close(self._ready)

    def _tell(self) -> None:
        if self._waiting:
            os.eventfd_write(self._ready, 1)


@contextlib.contextmanager
def stub_on(machine: Machine, execution: Execution | None = None) -> Iterator[tuple[KgdbStub, FakeKgdb, DirectLine]]:
    """A client of a fake stub before ``machine``, whose every packet is judged at the end."""
    fake = FakeKgdb(machine, execution)
    line = DirectLine(fake)
    try:
        yield KgdbStub(line, X86_64, patience=PATIENCE), fake, line
    finally:
        line.close()
    assert_harmless(fake)


@dataclass
class NotingOwner:
    """`owner.Owner` that keeps what it is told. ``go_on`` is what it answers to hooks, ``passes`` are breakpoints
    it does not want to see."""

    seen: list[tuple[StopReason, int]] = field(default_factory=list)
    hooks: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    passes: set[int] = field(default_factory=set)
    go_on: bool = True
    interrupt: bool = False
    unexplained: Callable[[int], None] | None = None
    stepped: Callable[[], bool] = lambda: False

    def on_hook(self, hook: Hook) -> bool:
        self.hooks.append(hook.address)
        return self.go_on

    def on_breakpoint(self, pc: int) -> bool:
        self.asked.append(pc)
        return pc not in self.passes

    def on_visible(self, reason: StopReason, signal: int) -> None:
        self.interrupt = False
        self.seen.append((reason, signal))

    def on_unexplained(self, signal: int) -> None:
        if self.unexplained is not None:
            self.unexplained(signal)
        else:
            self.on_visible(StopReason.TRAP if signal == SIGTRAP else StopReason.FAULT, signal)

    def on_leaving(self) -> None:
        pass

    def on_stepped(self) -> bool:
        return self.stepped()


class Track:
    """A runner, and what it runs on."""

    def __init__(self, stub: KgdbStub, fake: FakeKgdb, line: DirectLine) -> None:
        self.stub, self.fake, self.line = stub, fake, line
        self.machine = fake.machine
        self.owner = NotingOwner()
        self.target = StoppedTarget(stub, ahead=128)
        self.table = BreakpointTable(stub)
        self.runner = Runner(stub, self.target, self.table, self.owner)
        self.runner.interrupted = lambda: self.owner.interrupt
        stub.halt_reason()
        self.target.begin(stub.current_thread())

    @property
    def pc(self) -> int:
        return self.target.own.pc

    @property
    def running(self) -> bool:
        return not self.stub.is_stopped

    def go(self, plan: Plan) -> tuple[StopReason, int] | None:
        """Follow a plan until the owner is shown something: what, and the pc. None when the target just runs."""
        before = len(self.owner.seen)
        self.runner.start(plan)
        return self.until(before)

    def until(self, before: int) -> tuple[StopReason, int] | None:
        """Serve the wire until the owner has been shown more than ``before`` stops, or the target stands or runs."""
        while len(self.owner.seen) == before:
            if not self.running or not wait_readable([self.stub], 0):
                return None
            reply = self.stub.take_stop()
            if reply is not None:
                self.runner.arrived(reply)
        return self.owner.seen[-1][0], self.pc


@contextlib.contextmanager
def track_on(machine: Machine, execution: Execution | None = None) -> Iterator[Track]:
    """A runner on a fake stub; the wire is judged at the end."""
    with stub_on(machine, execution) as (stub, fake, line):
        track = Track(stub, fake, line)
        if isinstance(execution, MiniCpus):
            track.runner.registers.settle = execution.settle
            track.runner.registers.here = lambda: execution.here
        yield track
