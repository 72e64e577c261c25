# SPDX-License-Identifier: Apache-2.0
"""What is done for each of gdb's requests. Every one arrives parsed and typed; none of its bytes goes further.

What must be answered how is gdb's business, read in its source and tried with 13.1 and 18.1: `docs/explanation/gdb.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.api.halting import halt
from nullmodem.errors import BreakpointRefused, MemoryFault, NullmodemError, StateError, UsageError
from nullmodem.frontends.gdb.documents import Documents
from nullmodem.frontends.gdb.monitor import Monitor, MonitorCommand
from nullmodem.frontends.gdb.stop_replies import StopReplies
from nullmodem.rsp import replies, requests
from nullmodem.rsp.hexadecimal import encode_hex
from nullmodem.rsp.threads import ALL_THREADS, ANY_THREAD, encode_thread_id
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.conditions import terms_of
from nullmodem.session.model import Answer, Resume, ResumeKind, Stop, StopReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.live import LiveSession

EPERM, EFAULT, EBUSY, EINVAL = 1, 14, 16, 22
PACKET_SIZE = 0x8000
"""Characters. gdb reads documents in pieces of this size, and memory as it needs it."""
BREAK_IN_SECONDS = 30.0

FEATURES = ";".join(
    (
        f"PacketSize={PACKET_SIZE:x}",
        "QStartNoAckMode+",
        "qXfer:features:read+",
        "qXfer:libraries:read+",
        "qXfer:threads:read+",
        "qXfer:exec-file:read+",
        "vContSupported+",
        "swbreak+",
        "hwbreak+",
        "binary-upload+",
        "ConditionalBreakpoints+",
        "BreakpointCommands+",
    )
).encode()


@dataclass(frozen=True, slots=True)
class Resumed:
    """Not answered now but by the next stop, one with a number above ``after``."""

    after: int


class Silent:
    """Never answered."""


Result = bytes | Resumed | Silent
_RESUMING = (
    requests.VCont,
    requests.Continue,
    requests.ContinueWithSignal,
    requests.Step,
    requests.StepWithSignal,
)


def waits_for_a_stop(request: requests.Request) -> bool:
    """Whether gdb waits for the answer as long as it takes."""
    return isinstance(request, _RESUMING)


class Handlers:
    """The requests of one gdb. ``console`` shows a line in gdb while it waits for an answer."""

    def __init__(
        self,
        live: LiveSession,
        start_no_ack: Callable[[], None],
        console: Callable[[str], None],
        extra_commands: tuple[MonitorCommand, ...] = (),
    ) -> None:
        self._live = live
        self._start_no_ack = start_no_ack
        self._console = console
        self._client: str | None = None
        self._thread: int | None = None
        self._texts = False
        self._documents = Documents(live, lambda: self._client or "")
        self._stops = StopReplies(live, console)
        self._monitor = Monitor(live, lambda: self._attached, self._documents, extra_commands)
        self._table: dict[type, Callable[..., Result]] = {
            requests.Supported: self._supported,
            requests.StartNoAck: self._no_ack,
            requests.ExtendedMode: lambda _request: replies.OK,
            requests.HaltReason: self._halt_reason,
            requests.VAttach: self._halt_reason,
            requests.ReadRegisters: self._read_registers,
            requests.WriteRegisters: self._write_registers,
            requests.ReadRegister: self._read_register,
            requests.WriteRegister: self._write_register,
            requests.ReadMemory: lambda r: encode_hex(self._read(r)),
            requests.ReadBinary: lambda r: b"b" + self._read(r),
            requests.WriteMemory: self._write_memory,
            requests.WriteBinary: self._write_memory,
            requests.InsertBreakpoint: self._insert,
            requests.RemoveBreakpoint: self._remove,
            requests.SelectThread: self._select,
            requests.ThreadAlive: self._alive,
            requests.CurrentThread: lambda _request: b"QC" + encode_thread_id(self._present_stop().thread),
            requests.ThreadInfoFirst: self._thread_info,
            requests.ThreadInfoNext: lambda _request: b"l",
            requests.ThreadExtraInfo: self._extra_info,
            requests.Xfer: self._xfer,
            requests.Offsets: lambda _request: b"TextSeg=%x" % self._live.text_address,
            requests.Attached: lambda _request: b"1",
            requests.VContQuery: lambda _request: b"vCont;c;C;s;S;r",
            requests.VCont: self._vcont,
            requests.Continue: lambda r: self._from_here(r, Resume()),
            requests.ContinueWithSignal: lambda r: self._from_here(r, Resume(deliver=self._delivers(r.signal))),
            requests.Step: lambda r: self._from_here(r, Resume(ResumeKind.STEP)),
            requests.StepWithSignal: lambda r: self._from_here(r, Resume(ResumeKind.STEP)),
            requests.Detach: self._detach,
            requests.Kill: self._kill,
            requests.Monitor: self._monitor_command,
        }

    def handle(self, request: requests.Request) -> Result:
        """Raises NullmodemError for a request that cannot be served; `failed` makes the answer of it."""
        handler = self._table.get(type(request))
        return handler(request) if handler is not None else replies.UNSUPPORTED

    def failed(self, error: NullmodemError) -> bytes:
        """The error as gdb wants it: a number, or the sentence itself where it said it can show one."""
        code = EINVAL
        match error:
            case MemoryFault():
                code = EFAULT
            case StateError():
                code = EBUSY
            case BreakpointRefused():
                code = EPERM
        return replies.ErrorReply(code, error.message if self._texts else "").encode()

    @property
    def client(self) -> str | None:
        """Who this gdb is to the session, once it has asked for the target."""
        return self._client

    def gone(self) -> None:
        """gdb has hung up without a word."""
        if self._client is not None:
            self._live.detach(self._client, vanished=True)
            self._client = None

    # -- meeting and parting -------------------------------------------------------------------------------------

    @property
    def _attached(self) -> str:
        if self._client is None:
            msg = "gdb has detached from the target"
            raise StateError(msg, state=self._live.state.value, hint="Use `attach 1`, or `target remote` again.")
        return self._client

    def _supported(self, request: requests.Supported) -> bytes:
        self._texts = "error-message+" in request.features
        return FEATURES

    def _no_ack(self, _request: requests.StartNoAck) -> bytes:
        self._start_no_ack()
        return replies.OK

    def _halt_reason(self, _request: requests.Request) -> bytes:
        """The first real question: gdb wants the target stopped from here on."""
        if self._client is None:
            self._client = self._live.attach("gdb", follows_modules=True, lists_threads=True)
        # One that stands still for clients to learn of a module must stop for good.
        stop = halt(self._live, BREAK_IN_SECONDS, client=self._client)
        self._live.acknowledge(self._client, stop.number)
        self._thread = None
        return self.stop_reply(stop, attaching=True)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._live.interrupt(self._client or "")

    def show(self, stop: Stop, *, library: bool) -> bytes:
        """A stop for a gdb that waits for one. Raises StateError when the target runs again."""
        reply = self.stop_reply(stop, library=library)
        if self._client is not None:
            self._live.look(self._client, stop.number)
        return reply

    def wait_on(self) -> None:
        """gdb goes on waiting."""
        if self._client is not None:
            self._live.wait_on(self._client)

    def _detach(self, _request: requests.Detach) -> bytes:
        if self._client is not None:
            self._live.detach(self._client)
            self._client = None
        return replies.OK

    def _kill(self, request: requests.Kill) -> Result:
        """gdb's ``kill`` must not reach a machine: it is a detach. Only the vKill form is answered."""
        self._detach(requests.Detach())
        return replies.OK if request.pid is not None else Silent()

    def _present_stop(self) -> Stop:
        stop = self._live.stop
        if stop is None or not self._live.is_stopped:
            msg = "the target runs"
            raise StateError(msg, state=self._live.state.value)
        return stop

    # -- registers and memory ------------------------------------------------------------------------------------

    def stop_reply(self, stop: Stop, *, library: bool = False, attaching: bool = False) -> bytes:
        """A stop as gdb reads it; see `StopReplies`."""
        self._documents.new_stop(attaching=attaching)
        self._thread = None
        return self._stops.encode(stop, self._client, library=library, attaching=attaching)

    def _read_registers(self, _request: requests.ReadRegisters) -> bytes:
        """The first register alone. gdb takes those that are not in this answer to be asked for one by one (remote.c
        process_g_packet), and then asks for no more than it wants: two or three of them, as a rule."""
        return self._register(0)

    def _read_register(self, request: requests.ReadRegister) -> bytes:
        return self._register(request.number)

    def _register(self, number: int) -> bytes:
        register = self._live.arch.numbered(number)
        if register is None:
            return b"xxxxxxxx"  # gdb shows <unavailable>: kgdb has no floating point and no segment bases
        try:
            value = self._live.register(register.name, self._thread)
        except StateError:
            if not self._live.is_stopped:
                raise
            return b"xx" * register.size  # of a processor that did not stop with the others
        return encode_hex(register.encode(value))

    def _write_register(self, request: requests.WriteRegister) -> bytes:
        register = self._live.arch.numbered(request.number)
        if register is None or len(request.data) != register.size:
            return replies.ErrorReply(EINVAL).encode()
        self._change({register.name: int.from_bytes(request.data, "little")})
        return replies.OK

    def _write_registers(self, request: requests.WriteRegisters) -> bytes:
        """As many as there are: gdb writes back what a ``g`` gave it."""
        data, arch = request.data, self._live.arch
        given = [register for register in arch.registers if register.offset + register.size <= len(data)]
        if not given or len(data) not in (given[-1].offset + given[-1].size, arch.g_length):
            return replies.ErrorReply(EINVAL).encode()
        self._change({r.name: int.from_bytes(data[r.offset : r.offset + r.size], "little") for r in given})
        return replies.OK

    def _change(self, values: dict[str, int]) -> None:
        if self._thread not in (None, self._present_stop().thread):
            msg = "only the registers of the thread that stopped can be changed"
            raise StateError(msg, state=self._live.state.value)
        # What stays as it is may be written even where it could not be changed: gdb puts back all registers after an
        # inferior call that was refused, and must not stop half-way.
        present = self._live.registers(self._thread)
        changed = {name: value for name, value in values.items() if present[name] != value}
        if changed:
            self._live.set_registers(self._attached, changed)

    def _read(self, request: requests.ReadMemory | requests.ReadBinary) -> bytes:
        if request.length > PACKET_SIZE // 2:  # gdb never asks for more than the packet it was promised holds
            raise MemoryFault(request.address, request.length)
        return self._live.read_memory(request.address, request.length)

    def _write_memory(self, request: requests.WriteMemory | requests.WriteBinary) -> bytes:
        if request.data:  # gdb probes with an empty write
            self._live.write_memory(self._attached, request.address, request.data)
        return replies.OK

    # -- breakpoints ---------------------------------------------------------------------------------------------

    def _insert(self, request: requests.InsertBreakpoint) -> bytes:
        if request.kind is requests.BreakpointKind.READ and not self._live.arch.watches_reads_alone:
            # gdb then watches for reads and writes, and passes over stops at which the value has changed.
            return replies.UNSUPPORTED
        terms = terms_of(self._live.arch, request.conditions, request.commands)
        self._live.insert(self._attached, self._breakpoint(request), terms)
        return replies.OK

    def _remove(self, request: requests.RemoveBreakpoint) -> bytes:
        self._live.remove(self._attached, self._breakpoint(request))
        return replies.OK

    def _breakpoint(self, request: requests.InsertBreakpoint | requests.RemoveBreakpoint) -> Breakpoint:
        kind = requests.BreakpointKind
        if request.kind in (kind.SOFTWARE, kind.HARDWARE):
            return Breakpoint(request.kind, request.address, self._live.arch.breakpoint_length)
        return Breakpoint(request.kind, request.address, request.length)

    # -- threads -------------------------------------------------------------------------------------------------

    def _select(self, request: requests.SelectThread) -> bytes:
        if request.op == "g":
            anyone = request.thread in (ANY_THREAD, ALL_THREADS)
            self._thread = None if anyone else request.thread
        return replies.OK

    def _alive(self, request: requests.ThreadAlive) -> bytes:
        return replies.OK if self._live.thread_exists(request.thread) else replies.ErrorReply(EINVAL).encode()

    def _thread_info(self, _request: requests.ThreadInfoFirst) -> bytes:
        threads = self._live.threads(self._client or "", names=False, every_task=self._documents.every_task)
        return replies.ThreadList(tuple(thread.id for thread in threads), end=False).encode()

    def _extra_info(self, request: requests.ThreadExtraInfo) -> bytes:
        return encode_hex(self._documents.thread_description(request.thread).encode())

    def _xfer(self, request: requests.Xfer) -> bytes:
        document = self._documents.get(request.object, request.annex, first=request.offset == 0)
        if document is None:
            return replies.UNSUPPORTED
        return replies.xfer_chunk(document, request.offset, min(request.length, PACKET_SIZE - 16))

    # -- running -------------------------------------------------------------------------------------------------

    def _vcont(self, request: requests.VCont) -> Result:
        """gdb names the thread to step first and what the others do after; in all-stop mode one action counts."""
        if any(action.kind == "t" for action in request.actions):
            msg = "one thread cannot be stopped by itself"
            raise UsageError(msg)
        for action in request.actions:
            thread = None if action.thread in (ANY_THREAD, ALL_THREADS) else action.thread
            if action.kind in ("s", "S"):
                alone = thread is not None and len(request.actions) == 1
                return self._resume(Resume(ResumeKind.STEP, thread=thread, alone=alone))
            if action.kind == "r":
                assert action.start is not None
                assert action.end is not None
                return self._resume(Resume(ResumeKind.RANGE, action.start, action.end, thread))
        deliver = any(a.kind == "C" and self._delivers(a.signal or 0) for a in request.actions)
        return self._resume(Resume(deliver=deliver))

    def _from_here(
        self,
        request: requests.Continue | requests.ContinueWithSignal | requests.Step | requests.StepWithSignal,
        resume: Resume,
    ) -> Result:
        """gdb sets the pc instead of giving an address; one that was taken for granted would lead anywhere."""
        if request.address is not None:
            msg = "the target goes on from where it stands; set the pc to have it go on elsewhere"
            raise UsageError(msg)
        return self._resume(resume)

    def _delivers(self, signal: int) -> bool:
        """Whether gdb hands back the very fault that stopped the kernel."""
        stop = self._live.stop
        return stop is not None and stop.reason is StopReason.FAULT and stop.signal == signal

    def _resume(self, request: Resume) -> Result:
        result = self._live.resume(self._attached, request)
        if result.answer is Answer.MISSED_STOP:
            assert result.stop is not None
            return self.stop_reply(result.stop)
        if result.answer is Answer.MODULES:
            assert result.stop is not None
            return self.stop_reply(result.stop, library=True)
        if result.held_by:
            self._console(
                f"{result.held_by} holds the target; waiting until it stops again. "
                "Ctrl-C comes back, `monitor take` takes it over.\n"
            )
        return Resumed(result.after)

    # -- monitor -------------------------------------------------------------------------------------------------

    def _monitor_command(self, request: requests.Monitor) -> bytes:
        text = self._monitor.run(request.command)
        if text:
            self._console(text)
        return replies.OK
