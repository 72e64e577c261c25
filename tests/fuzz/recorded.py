# SPDX-License-Identifier: Apache-2.0
"""A debugging session on a fake machine over a modelled line, in the stub client's typed operations."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fuzz.line import NeverEndsError
from nullmodem.errors import StubError, WireTimeout
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.stub.client import KgdbStub, Patience
from nullmodem.stub.x86_64 import X86_64
from nullmodem.testing.fakemachine import Cpu, Machine, Region, Task, Trace
from nullmodem.testing.fakestub import FakeKgdb

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.rsp.replies import StopReply
    from nullmodem.testing.line import ModelledLine

TEXT, DATA = 0xFFFFFFFF81000000, 0xFFFFFFFF82000000
SOFTWARE = BreakpointKind.SOFTWARE
ACTING = tuple(b"cszZMXGPDkRC")
PATIENCE = Patience(answer=1.0)
LONGEST = 3600.0
"""Virtual seconds after which a session hangs."""


def a_fake() -> FakeKgdb:
    """Stopped before the first of a trace's instructions, with 40 tasks."""
    machine = Machine()
    machine.memory[TEXT] = Region(bytearray(range(256)), executable=True)
    machine.memory[DATA] = Region(bytearray(64), writable=True)
    machine.cpus[0] = Cpu(2, {"rip": TEXT, "rsp": DATA})
    machine.tasks = {pid: Task(f"task{pid}") for pid in range(1, 40)}
    return FakeKgdb(machine, Trace([TEXT + at for at in (0, 4, 7, 9, 12, 20, 33)]))


@dataclass
class Session:
    """Runs the operations; ``answers`` is what they returned."""

    line: ModelledLine
    answers: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stub = KgdbStub(self.line, X86_64, patience=PATIENCE, clock=self.line.clock, wait=self.line.wait)

    def run(self) -> None:
        """Attach, look, set breakpoints, run, step, write, look again, detach."""
        stub, note = self.stub, self.answers.append
        note(stub.halt_reason())
        note(stub.current_thread())
        note(stub.threads())
        note(stub.thread_name(7))
        self.look()
        for offset in (4, 9, 20):
            stub.insert(SOFTWARE, TEXT + offset, 1)
        note(self.error_of(lambda: stub.insert(SOFTWARE, TEXT + 9, 1)))
        stub.resume()
        self.stopped_at(4)
        stub.remove(SOFTWARE, TEXT + 4, 1)
        stub.step()
        note(self.stop())
        stub.remove(SOFTWARE, TEXT + 9, 1)
        stub.step()
        note(self.stop())
        stub.insert(SOFTWARE, TEXT + 9, 1)
        stub.write_memory(DATA, b"\xde\xad\xbe\xef" * 4)
        self.look()
        stub.remove(SOFTWARE, TEXT + 9, 1)
        stub.resume()
        self.stopped_at(20)
        stub.remove(SOFTWARE, TEXT + 20, 1)
        stub.step()
        note(self.stop())
        note(stub.threads(first_page=True))
        note(stub.read_registers(7))
        note(stub.read_registers())
        stub.detach()

    def look(self) -> None:
        """Registers, code and data."""
        self.answers += [self.stub.read_registers(), self.stub.read_memory(TEXT, 64), self.stub.read_memory(DATA, 32)]

    def stopped_at(self, offset: int) -> None:
        """A breakpoint stops the target; its pc is set back."""
        self.answers += [self.stop(), self.stub.read_registers()["rip"]]
        self.stub.write_register(X86_64.register("rip"), TEXT + offset)

    def stop(self) -> StopReply:
        """The next stop; what is owed is asked for when its time is over. Raises NeverEndsError."""
        while True:
            if self.line.clock.now >= LONGEST:
                raise NeverEndsError("the session waits for a stop")
            reply = self.stub.take_stop()
            if reply is not None:
                return reply
            patience = self.stub.patience()
            if not self.line.wait(self.line, LONGEST if patience is None else patience) and patience is not None:
                with contextlib.suppress(WireTimeout):  # it is taken to run
                    self.stub.overdue()

    @staticmethod
    def error_of(act: Callable[[], None]) -> int:
        """The stub's errno."""
        try:
            act()
        except StubError as error:
            return error.errno
        return 0
