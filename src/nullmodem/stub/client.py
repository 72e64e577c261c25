# SPDX-License-Identifier: Apache-2.0
"""The kernel's stub as a typed, bounded client.

``gdb_serial_stub`` in kernel/debug/gdbstub.c trusts what it is sent: an over-long ``m`` makes it overwrite kernel
memory, a short ``M`` or ``G`` makes it write garbage, an unknown thread id makes it oops. So every request here is a
method with typed arguments that are checked before a packet is built, and nothing else in nullmodem builds one.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import (
    LocalProtocolError,
    MemoryFault,
    RemoteProtocolError,
    StubError,
    WireClosed,
    WireTimeout,
)
from nullmodem.rsp import replies, requests
from nullmodem.rsp.client import ClientConnection, Damaged, Reply, Resend, StrayPacket, Text
from nullmodem.rsp.hexadecimal import parse_hex
from nullmodem.rsp.threads import ALL_THREADS, parse_thread_id
from nullmodem.waiting import wait_readable
from nullmodem.wire.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.rsp.requests import BreakpointKind
    from nullmodem.stub.arch import Arch, Register, Registers
    from nullmodem.wire.streams import ByteStream

EFAULT, EINVAL = 14, 22
MAX_THREADS = 1 << 17
"""More than PID_MAX_DEFAULT tasks four times over: a list that goes on beyond is not a list."""
_STOPS = (b"T", b"S", b"W", b"X")
_UNKNOWN = ALL_THREADS
"""Stands for whichever thread the stub has selected: nobody can select all."""
_log = logging.getLogger("nullmodem.wire")
"""Every packet, at level DEBUG."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for the stub, in seconds, as a function of what travels.

    ``answer`` is what a stopped kernel may take to answer anything at all; each byte both ways adds ten bits at
    ``baud``. None for a line that has no rate, such as a socket.
    """

    answer: float = 10.0
    baud: int | None = None

    def seconds(self, characters: int) -> float:
        return self.answer + (characters * 10 / self.baud if self.baud else 0.0)


class KgdbStub:
    """One kernel's stub at the end of a byte stream.

    Args:
        stream: the wire; this object is its only user.
        arch: the target's processor.
        meter: counts what travels.
        on_text: gets bytes that belong to no packet: the kernel's console where it shares the line.
        clock: monotonic seconds.

    Every method that asks the stub something raises WireClosed when the line is gone, WireTimeout when no answer
    comes in time, and RemoteProtocolError when one comes that cannot be understood.
    """

    def __init__(
        self,
        stream: ByteStream,
        arch: Arch,
        *,
        meter: Meter | None = None,
        patience: Patience | None = None,
        on_text: Callable[[bytes], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.arch = arch
        self.meter = meter or Meter()
        self._stream = stream
        self._patience = patience or Patience()
        self._on_text = on_text or (lambda _text: None)
        self._clock = clock
        self._connection = ClientConnection()
        self._pending: list[bytes] = []
        self._known_threads: set[int] = set()
        self._processors: set[int] = set()
        self._selected: int | None = None
        self._running = False

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def is_stopped(self) -> bool:
        """Whether the target stands still and answers."""
        return not self._running

    # -- run control ---------------------------------------------------------------------------------------------

    def halt_reason(self, timeout: float | None = None) -> replies.StopReply:
        """Ask why the target stands still. **The stub drops all its breakpoints** (gdb_cmd_status).

        A target that runs does not answer until it stops: give ``timeout`` in seconds to bound the wait.
        """
        reply = self._exchange(requests.HaltReason(), characters=32, timeout=timeout)
        self._note_stop()
        self._selected = _UNKNOWN  # to the kernel this is no new stop: what anybody has selected in it stays so
        return self._stop_reply(reply)

    def forget_breakpoints(self) -> None:
        """Have the stub drop every breakpoint it has; that it does so is a side effect of ``?``."""
        self.halt_reason()

    def resume(self) -> None:
        """Let every processor run from where it is. The next stop comes by `take_stop`."""
        self._run(requests.Continue().encode())

    def step(self) -> None:
        """One instruction on the current processor; the others run meanwhile and one of them may stop first."""
        self._run(requests.Step().encode())

    def deliver_fault(self, pc: int) -> None:
        """Hand the exception that stopped the kernel at ``pc`` back to it: it goes on as if no debugger were there.

        ``C09`` asks for that (gdb_cmd_exception_pass), but the stub goes on to read the 09 as an address to continue
        at. Sixteen more digits push it out of the 64 bits that are kept (kgdb_hex2long), and name the right one.
        """
        self._run(b"C09%016x" % pc)

    def detach(self) -> None:
        """Drop all breakpoints and let the target run; it reports nothing from here on."""
        self._expect_ok(requests.Detach())
        self._running = True

    def patience(self) -> float | None:
        """Seconds to wait for the running target before `overdue` is called; None while nothing is owed.

        Only two things are: the acknowledgement of what set it running, and the rest of a packet that has begun.
        """
        owed = self._running and (not self._connection.acknowledged or self._connection.partial)
        return self._patience.seconds(64) if owed else None

    def overdue(self) -> None:
        """What was owed did not come: ask for it again. Raises WireTimeout when that has been done often enough."""
        self._connection.timeout()
        self._flush()

    def take_stop(self) -> replies.StopReply | None:
        """The stop a running target has reported since the last call, with its thread; or None. Never blocks.

        Call it when ``fileno()`` is readable. Raises WireClosed when the target says that it reboots, and StubError
        when the stub would not let it run; it stands still then.
        """
        self._receive()
        while self._running and self._pending:
            payload = self._pending.pop(0)
            refused = replies.ErrorReply.parse(payload)
            if refused is not None:
                self._running = False
                msg = f"the stub would not run the target: {payload.decode('ascii', 'replace')}"
                raise StubError(msg, errno=refused.code)
            parsed = replies.parse_stop_reply(payload)
            if isinstance(parsed, replies.Exited):
                msg = "the target reboots"
                raise WireClosed(msg)
            if isinstance(parsed, replies.StopReply):
                self._running = False
                self._note_stop()
                self.meter.round_trip()
                if parsed.thread is None:
                    msg = "the stub reported a stop without a thread"
                    raise RemoteProtocolError(msg)
                return parsed
        return None

    # -- registers -----------------------------------------------------------------------------------------------

    def read_registers(self, thread: int | None = None) -> Registers:
        """All registers of the current thread, or of ``thread``, which must be one the stub has listed."""
        self._select(thread)
        reply = self._exchange(requests.ReadRegisters(), characters=4 + 2 * self.arch.g_length)
        return self.arch.parse(parse_hex(reply, self.arch.g_length))

    def write_register(self, register: Register, value: int) -> None:
        """Change one register of the current thread.

        Raises:
            LocalProtocolError: the stub ignores writes to this one without saying so (dbg_set_reg).
        """
        if register.name not in self.arch.writable:
            msg = f"the kernel's stub cannot change {register.name}"
            raise LocalProtocolError(msg)
        self._select(None)
        data = (value & (1 << 8 * register.size) - 1).to_bytes(register.size, "little")
        self._expect_ok(requests.WriteRegister(register.number, data))

    # -- memory --------------------------------------------------------------------------------------------------

    def read_memory(self, address: int, length: int) -> bytes:
        """At most ``arch.max_read`` bytes in one packet. Raises MemoryFault."""
        self._check_range(address, length, self.arch.max_read)
        try:
            reply = self._exchange(requests.ReadMemory(address, length), characters=40 + 2 * length)
        except StubError as error:
            raise MemoryFault(address, length) from error
        return parse_hex(reply, length)

    def write_memory(self, address: int, data: bytes) -> None:
        """At most ``arch.max_write`` bytes in one packet. Raises MemoryFault."""
        self._check_range(address, len(data), self.arch.max_write)
        try:
            self._expect_ok(requests.WriteMemory(address, data))
        except StubError as error:
            raise MemoryFault(address, len(data), write=True) from error

    def _check_range(self, address: int, length: int, limit: int) -> None:
        if not (0 < length <= limit and address >= 0 and address + length <= 1 << 64):
            msg = f"not a memory request the stub can serve: {length} bytes at {address:#x}"
            raise LocalProtocolError(msg)

    # -- breakpoints ---------------------------------------------------------------------------------------------

    def insert(self, kind: BreakpointKind, address: int, length: int) -> None:
        """Raises StubError: 17 it is there already, 22 not allowed there, 7 no slot left, 1 no debug register."""
        self._expect_ok(requests.InsertBreakpoint(kind, address, length))

    def remove(self, kind: BreakpointKind, address: int, length: int) -> None:
        """Raises StubError: 2 there is none."""
        self._expect_ok(requests.RemoveBreakpoint(kind, address, length))

    # -- threads -------------------------------------------------------------------------------------------------

    def threads(self, *, first_page: bool = False) -> tuple[int, ...]:
        """Ids of all threads, or of those in the first packet. -2 is processor 0's own context, -3 processor 1's …

        Raises RemoteProtocolError for a list that does not end.
        """
        found: dict[int, None] = {}
        request: requests.Request = requests.ThreadInfoFirst()
        while True:
            page = replies.ThreadList.parse(self._exchange(request, characters=300))
            fresh = [thread for thread in page.threads if thread not in found]
            found.update(dict.fromkeys(fresh))
            if not fresh or first_page:
                break
            if len(found) > MAX_THREADS:
                msg = f"the stub's thread list goes on after {len(found)} threads"
                raise RemoteProtocolError(msg)
            request = requests.ThreadInfoNext()
        self._known_threads |= found.keys()
        self._processors |= {thread for thread in found if thread < ALL_THREADS}
        return tuple(found)

    def current_thread(self) -> int:
        """The thread that stopped the machine: a pid, or the shadow id of an idle processor."""
        reply = self._exchange(requests.CurrentThread(), characters=20)
        if not reply.startswith(b"QC"):
            msg = f"the stub answered {reply!r} where the current thread was expected"
            raise RemoteProtocolError(msg)
        return parse_thread_id(reply[2:])

    def thread_name(self, thread: int) -> str:
        """The task's comm, or ``shadowCPUn``. ``thread`` must be one the stub has listed."""
        self._check_thread(thread)
        reply = self._exchange(requests.ThreadExtraInfo(thread), characters=60)
        return parse_hex(reply).decode("utf-8", "replace").rstrip("\0")

    def select_current(self) -> None:
        """Have registers mean those of the thread that stopped, as they must when the target is resumed."""
        self._select(None)

    def _check_thread(self, thread: int) -> None:
        # An id that is not there makes getthread() index kgdb_info[] out of bounds: `Hg-9` oopses the kernel.
        if thread not in self._known_threads and thread not in self._processors:
            msg = f"thread {thread} is not one the stub has listed at this stop"
            raise LocalProtocolError(msg)

    def _select(self, thread: int | None) -> None:
        if thread == self._selected:
            return
        if thread is None:
            thread, self._selected = 0, None
        else:
            self._check_thread(thread)
            self._selected = thread
        self._expect_ok(requests.SelectThread("g", thread))

    # -- exchange ------------------------------------------------------------------------------------------------

    def _note_stop(self) -> None:
        self._known_threads.clear()
        self._selected = None

    def _stop_reply(self, payload: bytes) -> replies.StopReply:
        parsed = replies.parse_stop_reply(payload)
        if not isinstance(parsed, replies.StopReply):
            msg = f"the stub answered {payload!r} where a stop was expected"
            raise RemoteProtocolError(msg)
        return parsed

    def _run(self, payload: bytes) -> None:
        self._select(None)
        self._send(payload)
        self._running = True
        self._known_threads.clear()

    def _expect_ok(self, request: requests.Request) -> None:
        reply = self._exchange(request, characters=len(request.encode()) + 16)
        if reply != replies.OK:
            msg = f"the stub answered {reply!r} to {request}"
            raise RemoteProtocolError(msg)

    def _exchange(self, request: requests.Request, *, characters: int, timeout: float | None = None) -> bytes:
        """One request, one reply. Raises StubError for ``Enn``."""
        if self._running:
            msg = f"{type(request).__name__} was to be sent to a target that runs"
            raise LocalProtocolError(msg)
        self._send(request.encode())
        patience = self._patience.seconds(characters) if timeout is None else timeout
        reply = self._await_reply(request, patience, again=timeout is None)
        self.meter.round_trip()
        error = replies.ErrorReply.parse(reply)
        if error is not None:
            msg = f"the stub answered {reply.decode('ascii', 'replace')} to {type(request).__name__}"
            raise StubError(msg, errno=error.code)
        return reply

    def _send(self, payload: bytes) -> None:
        _log.debug("-> %s", payload)
        self._pending.clear()  # whatever came before is no answer to this
        self._connection.request(payload)
        self._flush()

    def _flush(self) -> None:
        data = self._connection.data_to_send()
        if data:
            self.meter.sent(len(data))
            self._stream.write(data)

    def _await_reply(self, request: requests.Request, patience: float, *, again: bool) -> bytes:
        """``again``: when time is over do what can be done to have a lost answer; each attempt has its own time."""
        deadline = self._clock() + patience
        while not self._pending:
            remaining = deadline - self._clock()
            if remaining <= 0 or not wait_readable([self._stream], remaining):
                self._on_timeout(request, patience, again=again)
                deadline = self._clock() + patience
            self._receive()
        return self._pending.pop(0)

    def _on_timeout(self, request: requests.Request, patience: float, *, again: bool) -> None:
        if again:
            with contextlib.suppress(WireTimeout):
                self._connection.timeout()
                self._flush()
                return
        self._connection.give_up()
        msg = f"no answer to {type(request).__name__} within {patience:.1f} s"
        raise WireTimeout(msg, hint="The target may have reset, or another program may be using the line.")

    def _receive(self) -> None:
        if not wait_readable([self._stream], 0):
            return
        data = self._stream.read()
        if not data:
            msg = "the other end of the wire is gone"
            raise WireClosed(msg)
        self.meter.received(len(data))
        for event in self._connection.receive(data):
            match event:
                case Reply(payload):
                    _log.debug("<- %s", payload)
                    self._pending.append(payload)
                case StrayPacket(payload) if self._running and payload.startswith(_STOPS):
                    self._pending.append(payload)
                case StrayPacket():
                    pass
                case Text(text) | Damaged(raw=text):
                    self._on_text(text)
                case Resend():
                    pass
        self._flush()
