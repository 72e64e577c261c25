# SPDX-License-Identifier: Apache-2.0
"""The kernel's stub as a typed, bounded client.

``gdb_serial_stub`` in kernel/debug/gdbstub.c trusts what it is sent: an over-long ``m`` makes it overwrite kernel
memory, a short ``M`` or ``G`` makes it write garbage, an unknown thread id makes it oops. So every request here is a
method with typed arguments that are checked before a packet is built, and nothing else in nullmodem builds one.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from nullmodem.errors import (
    LocalProtocolError,
    MemoryFault,
    RemoteProtocolError,
    StubError,
    UsageError,
    WireClosed,
    WireTimeout,
)
from nullmodem.rsp import replies, requests
from nullmodem.rsp.hexadecimal import parse_hex
from nullmodem.rsp.threads import ALL_THREADS, parse_thread_id
from nullmodem.stub.doubt import Unconfirmed
from nullmodem.stub.exchange import Exchange
from nullmodem.stub.kdb import check_command
from nullmodem.stub.patience import Patience
from nullmodem.stub.renewal import Renewal

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.rsp.requests import BreakpointKind
    from nullmodem.stub.arch import Arch, Register, Registers
    from nullmodem.wire.log import WireLog
    from nullmodem.wire.meter import Meter
    from nullmodem.wire.streams import ByteStream

__all__ = ["EFAULT", "EINVAL", "KgdbStub", "Patience"]

EFAULT, EINVAL = 14, 22
KDB_SECONDS = 5.0
"""What kdb is given to hand over the line: it answers at once, and console text that looks like its prompt never."""
MAX_THREADS = 1 << 17
"""More than PID_MAX_DEFAULT tasks four times over: a list that goes on beyond is not a list."""
MOST_RESTARTS = 3
_UNKNOWN = ALL_THREADS
"""Stands for whichever thread the stub has selected: nobody can select all."""


class KgdbStub:
    """One kernel's stub at the end of a byte stream.

    Args:
        stream: the wire; this object is its only user.
        arch: the target's processor.
        meter: counts what travels.
        log: writes it down.
        on_text: gets bytes that belong to no packet: the kernel's console where it shares the line.
        clock: monotonic seconds.
        wait: waits so many seconds of that clock for the stream to be readable, and says whether it is.

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
        wait: Callable[[ByteStream, float], bool] | None = None,
        log: WireLog | None = None,
    ) -> None:
        self.arch = arch
        self.clock = clock
        self._exchange = Exchange(
            stream, meter=meter, patience=patience, on_text=on_text, clock=clock, wait=wait, log=log
        )
        self.tape = self._exchange.tape
        self.renewal = Renewal(self._exchange, self.current_thread, lambda: self._note_stop(_UNKNOWN))
        self._known_threads: set[int] = set()
        self._processors: set[int] = set()
        self._selected: int | None = None
        self.after_kdb: Callable[[int], None] = lambda _thread: None
        """Called with the thread when a stop had landed in kdb, and the stub, to which kdb has given the line, has no
        breakpoints: before `take_stop` returns that stop."""

        self.rebooted = False
        """Whether the kernel that was met is gone, with all that was armed in it."""

    def fileno(self) -> int:
        return self._exchange.fileno()

    @property
    def meter(self) -> Meter:
        """Counts what travels."""
        return self._exchange.meter

    @property
    def log(self) -> WireLog:
        """Writes down every packet, if it was told where."""
        return self._exchange.log

    @property
    def baud(self) -> int | None:
        """The line's rate; None for one that has none."""
        return self._exchange.baud

    @property
    def is_stopped(self) -> bool:
        """Whether the target stands still and answers."""
        return not self._exchange.running

    # -- run control ---------------------------------------------------------------------------------------------

    def halt_reason(self, timeout: float | None = None) -> replies.StopReply:
        """Ask why the target stands still. **The stub drops all its breakpoints** (gdb_cmd_status).

        A target that runs does not answer until it stops: give ``timeout`` in seconds to bound the wait.
        """
        if timeout is not None:
            self._exchange.running = False  # it was let go once, and is met anew
        reply = self._stop_reply(self._exchange.ask(requests.HaltReason(), characters=32, timeout=timeout))
        if reply.thread is not None:
            # A stop that was on its way. The stub has taken our $ for its acknowledgement, and has dropped nothing yet.
            reply = self._stop_reply(self._exchange.ask(requests.HaltReason(), characters=32))
        self._note_stop(_UNKNOWN)  # to the kernel this is no new stop: what anybody has selected in it stays so
        return reply

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
        self._exchange.running = True

    def patience(self) -> float | None:
        """Seconds to wait for the running target before `overdue` is called; None while nothing is owed."""
        return self._exchange.patience()

    def overdue(self, is_where_it_was: Callable[[], bool] = lambda: True) -> bool:
        """What was owed did not come: ask for it again. Raises WireTimeout when that has been done often enough.

        ``is_where_it_was`` looks at a target that stands still and did not acknowledge what was to set it running: only
        there it is told once more. False: it stands somewhere else, and may be looked at.
        """
        return self._exchange.overdue(is_where_it_was)

    def has_forgotten_us(self, seconds: float) -> bool:
        """Whether the stub of a target that we think runs answers within ``seconds``: it stopped, and told nobody.

        A stub tells whoever has spoken to it since the machine booted, or was let go (kgdb_connected).
        """
        return self._exchange.has_forgotten(seconds)

    def let_stranger_go(self) -> None:
        """Let a target run that stands still for nobody: another boot than the one that was met."""
        self.rebooted = True
        self._exchange.running = False
        self.detach()

    def take_stop(self) -> replies.StopReply | None:
        """The stop a running target has reported since the last call, with its thread; or None. Never blocks.

        Call it when ``fileno()`` is readable. A target that stopped in kdb is taken from it, see ``after_kdb``. Raises
        WireClosed when the target says that it reboots, and StubError when the stub would not let it run; it stands
        still then.
        """
        while (payload := self._exchange.take()) is not None:
            refused = replies.ErrorReply.parse(payload)
            if refused is not None:
                self._exchange.running = False
                msg = f"the stub would not run the target: {payload.decode('ascii', 'replace')}"
                raise StubError(msg, errno=refused.code)
            parsed = replies.parse_stop_reply(payload)
            if isinstance(parsed, replies.Exited):
                self.rebooted = True
                msg = "the target reboots"
                raise WireClosed(msg)
            if isinstance(parsed, replies.StopReply):
                self._exchange.running = False
                self._note_stop()
                self.meter.round_trip()
                if parsed.thread is None:
                    msg = "the stub reported a stop without a thread"
                    raise RemoteProtocolError(msg)
                return parsed
        return self._leave_kdb() if self._exchange.at_kdb else None

    def _leave_kdb(self) -> replies.StopReply | None:
        """Take the line from kdb. None when nobody answers: console text has looked like its prompt."""
        self._exchange.leave_kdb()
        try:
            stop = self.halt_reason(min(KDB_SECONDS, self._exchange.answer_seconds))
        except WireTimeout:
            self._exchange.running = True
            return None
        self._selected = None
        thread = self.current_thread()
        self.after_kdb(thread)
        return replace(stop, thread=thread)

    def run_kdb(self, command: str) -> str:
        """What kdb prints for a command (see `kdb.check_command`), without leaving the stub.

        Raises UsageError when the kernel has no kdb.
        """
        reply, output = self._exchange.ask_for_output(requests.Monitor(check_command(command)))
        if reply != replies.OK:
            msg = "this kernel has no kdb"
            raise UsageError(msg, hint="It needs CONFIG_KGDB_KDB: `nullmodem kernel build --kdb` makes one.")
        return output.decode("utf-8", "replace")

    # -- registers -----------------------------------------------------------------------------------------------

    def read_registers(self, thread: int | None = None) -> Registers:
        """All registers of the current thread, or of ``thread``, which must be one the stub has listed."""
        self._select(thread)
        size = self.arch.g_length
        return self.arch.parse(self._read(requests.ReadRegisters(), size, characters=4 + 2 * size))

    def read_register(self, register: Register) -> int:
        """One register of the current thread."""
        self._select(None)
        request = requests.ReadRegister(register.number)
        return int.from_bytes(self._read(request, register.size, characters=8 + 2 * register.size), "little")

    def write_register(self, register: Register, value: int) -> None:
        """Change one register of the current thread.

        Raises:
            LocalProtocolError: the stub ignores writes to this one without saying so (dbg_set_reg).
        """
        if register.name not in self.arch.writable:
            msg = f"the kernel's stub cannot change {register.name}"
            raise LocalProtocolError(msg)
        self._select(None)
        self._expect_ok(requests.WriteRegister(register.number, register.encode(value)))

    # -- memory --------------------------------------------------------------------------------------------------

    def read_memory(self, address: int, length: int) -> bytes:
        """At most ``arch.max_read`` bytes in one packet. Raises MemoryFault."""
        self._check_range(address, length, self.arch.max_read)
        try:
            return self._read(requests.ReadMemory(address, length), length, characters=40 + 2 * length)
        except StubError as error:
            raise MemoryFault(address, length) from error

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
        restarts = 0
        while True:
            try:
                page = replies.ThreadList.parse(self._exchange.ask(request, characters=300))
            except Unconfirmed:  # whether the stub has moved on in its list: it begins anew
                restarts += 1
                if restarts > MOST_RESTARTS:
                    raise
                found.clear()
                request = requests.ThreadInfoFirst()
                continue
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

    def has_listed(self, thread: int) -> bool:
        """Whether it may be asked for a thread: it has listed it at this stop, or it is a processor."""
        return thread in self._known_threads or thread in self._processors

    def current_thread(self, timeout: float | None = None) -> int:
        """The thread that stopped the machine: a pid, or the shadow id of an idle processor."""
        reply = self._exchange.ask(requests.CurrentThread(), characters=20, timeout=timeout)
        if not reply.startswith(b"QC"):
            msg = f"the stub answered {reply!r} where the current thread was expected"
            raise RemoteProtocolError(msg)
        return parse_thread_id(reply[2:])

    def thread_name(self, thread: int) -> str:
        """The task's comm, or ``shadowCPUn``. ``thread`` must be one the stub has listed."""
        self._check_thread(thread)
        reply = self._exchange.ask(requests.ThreadExtraInfo(thread), characters=60)
        return parse_hex(reply).decode("utf-8", "replace").rstrip("\0")

    def select_current(self) -> None:
        """Have registers mean those of the thread that stopped, as they must when the target is resumed."""
        self._select(None)

    def _check_thread(self, thread: int) -> None:
        # An id that is not there makes getthread() index kgdb_info[] out of bounds: `Hg-9` oopses the kernel.
        if not self.has_listed(thread):
            raise LocalProtocolError(f"thread {thread} is not one the stub has listed at this stop")

    def _select(self, thread: int | None) -> None:
        if thread == self._selected:
            return
        if thread is not None:
            self._check_thread(thread)
        self._selected = _UNKNOWN  # until the stub has agreed
        self._expect_ok(requests.SelectThread("g", thread or 0))
        self._selected = thread

    # -- asking --------------------------------------------------------------------------------------------------

    def _note_stop(self, selected: int | None = None) -> None:
        self._known_threads.clear()
        self._selected = selected

    def _stop_reply(self, payload: bytes) -> replies.StopReply:
        parsed = replies.parse_stop_reply(payload)
        if not isinstance(parsed, replies.StopReply):
            msg = f"the stub answered {payload!r} where a stop was expected"
            raise RemoteProtocolError(msg)
        return parsed

    def _run(self, payload: bytes) -> None:
        self._select(None)
        self._exchange.run(payload)
        self._known_threads.clear()

    def _read(self, request: requests.Request, length: int, *, characters: int) -> bytes:
        """``length`` bytes of data. A # that noise puts into it may make a shorter packet with a good checksum, one in
        256: what has not the length that was asked for is asked for once more.
        """
        with contextlib.suppress(RemoteProtocolError):
            return parse_hex(self._exchange.ask(request, characters=characters), length)
        return parse_hex(self._exchange.ask(request, characters=characters), length)

    def _expect_ok(self, request: requests.Request) -> None:
        reply = self._exchange.ask(request, characters=len(request.encode()) + 16)
        if reply != replies.OK:
            msg = f"the stub answered {reply!r} to {request}"
            raise RemoteProtocolError(msg)
