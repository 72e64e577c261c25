# SPDX-License-Identifier: Apache-2.0
"""A stub that answers from a recording: the target is gone, and its stops can be looked at again.

What was asked and answered at a stop is answered the same. Memory is known byte by byte; registers that were read all
together are known one by one, and those that were read one by one all together. Letting the target run, in whatever
way, leads to the next stop that was recorded; after the last one the line is closed. What only prepares that
(breakpoints, registers written) is granted. Everything else that was not recorded is refused, in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import ProtocolError, UsageError, WireClosed
from nullmodem.rsp import replies, requests
from nullmodem.rsp.hexadecimal import encode_hex
from nullmodem.rsp.server import ServerConnection
from nullmodem.rsp.threads import encode_thread_id
from nullmodem.stub.recorded import Known, decoded, is_resuming, read_stops, stop_payload, thread_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.stub.arch import Arch
    from nullmodem.stub.recorded import RecordedStop
    from nullmodem.wire.recording import Recording
    from nullmodem.wire.streams import ByteStream

_PREPARING = (
    requests.InsertBreakpoint,
    requests.RemoveBreakpoint,
    requests.WriteRegister,
    requests.WriteRegisters,
    requests.SelectThread,
)
_KNOWN_TO_KGDB = (
    requests.ReadRegisters,
    requests.ReadRegister,
    requests.WriteMemory,
    requests.WriteBinary,
    requests.CurrentThread,
    requests.ThreadInfoFirst,
    requests.ThreadInfoNext,
    requests.ThreadExtraInfo,
    requests.ThreadAlive,
    requests.Monitor,
)
_EFAULT = 14
_LEAVING = (requests.Detach, requests.Kill)


class Replay:
    """The stub, without I/O: bytes in, bytes out; one client, from the first stop to the last.

    ``first`` is the number of the stop to begin with, from 1 on. ``on_missing`` gets a sentence for everything that
    is refused because it was not recorded.

    Raises UsageError for a recording without a stop, or without that one.
    """

    def __init__(
        self,
        recording: Recording,
        arch: Arch,
        *,
        first: int = 1,
        on_missing: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.stops = read_stops(recording.entries)
        if not self.stops:
            raise UsageError("the recording has no stop in it", hint="Nothing on it can be looked at.")
        if not 1 <= first <= len(self.stops):
            raise UsageError(f"there is no stop {first}: the recording has {len(self.stops)}")
        self._arch = arch
        self._on_missing = on_missing
        self._connection = ServerConnection()
        self._number = first
        self._asked: dict[tuple[int | None, bytes], int] = {}
        self._selected: int | None = None
        self._breakpoints: set[int] = set()
        self.ended = False

    @property
    def number(self) -> int:
        """The number of the present stop, from 1 on; after the last one it stays that."""
        return self._number

    @property
    def stop(self) -> RecordedStop:
        """The present stop."""
        return self.stops[self._number - 1]

    def receive(self, data: bytes) -> bytes:
        """Take what the client wrote and return what the stub writes.

        Raises RemoteProtocolError when the client is beyond repair.
        """
        for payload in self._connection.receive(data):
            if isinstance(payload, bytes):
                for reply in self._answer(payload):
                    self._connection.send(reply)
        return self._connection.data_to_send()

    # -- one request ---------------------------------------------------------------------------------------------

    def _answer(self, payload: bytes) -> tuple[bytes, ...]:
        if is_resuming(payload):
            return self._resume()
        try:
            request = requests.parse_request(payload)
        except ProtocolError:
            return (replies.UNSUPPORTED,)
        if isinstance(request, _LEAVING):
            self.ended = True
            return (replies.OK,)
        self._track(request)
        if isinstance(request, requests.HaltReason):
            return (b"S%02x" % self.stop.signal,)
        known = self._recorded(request, payload)
        if known is not None:
            return (*known.output, self._with_pc(request, known.reply))
        return (self._derived(request, payload),)

    def _resume(self) -> tuple[bytes, ...]:
        if self._number == len(self.stops):
            self.ended = True
            return ()
        self._number += 1
        self._asked.clear()
        self._selected = None
        return (stop_payload(self.stop),)

    def _track(self, request: requests.Request) -> None:
        match request:
            case requests.HaltReason():
                self._breakpoints.clear()
            case requests.InsertBreakpoint(requests.BreakpointKind.SOFTWARE, address):
                self._breakpoints.add(address)
            case requests.RemoveBreakpoint(requests.BreakpointKind.SOFTWARE, address):
                self._breakpoints.discard(address)
            case requests.SelectThread("g", thread):
                self._selected = thread or None

    def _recorded(self, request: requests.Request, payload: bytes) -> Known | None:
        """The answer to this request; the second time it is asked, the second one, and the last one for ever after."""
        key = thread_key(self._selected, request), payload
        count = self._asked.get(key, 0)
        known = self.stop.answer(*key, count) or self._other_form(request, count)
        if known is not None:
            self._asked[key] = count + 1
        return known

    def _other_form(self, request: requests.Request, count: int) -> Known | None:
        """Registers out of those that were read otherwise: one of them all together, or all of them one by one."""
        match request:
            case requests.ReadRegister(number) if (register := self._arch.numbered(number)) is not None:
                together = self._bytes_of(requests.ReadRegisters(), count, self._arch.g_length)
                data = None if together is None else self._arch.parse(together).field(register)
            case requests.ReadRegisters():
                data = self._one_by_one(count)
            case _:
                return None
        return None if data is None else Known(encode_hex(data))

    def _one_by_one(self, count: int) -> bytes | None:
        together = bytearray(self._arch.g_length)
        for register in self._arch.registers:
            data = self._bytes_of(requests.ReadRegister(register.number), count, register.size)
            if data is None:
                return None
            together[register.offset : register.offset + register.size] = data
        return bytes(together)

    def _bytes_of(self, request: requests.Request, count: int, length: int) -> bytes | None:
        """The registers in a recorded answer; None where there is none, or an error."""
        known = self.stop.answer(thread_key(self._selected, request), request.encode(), count)
        data = None if known is None else decoded(known.reply)
        return data if data is not None and len(data) == length else None

    def _derived(self, request: requests.Request, payload: bytes) -> bytes:
        match request:
            case requests.ReadMemory(address, length):
                return self._memory(address, length)
            case requests.CurrentThread() if self.stop.thread is not None:
                return b"QC" + encode_thread_id(self.stop.thread)
            case _ if isinstance(request, _PREPARING):
                return replies.OK
            case _ if isinstance(request, _KNOWN_TO_KGDB):
                return self._missing(f"the answer to {payload[:40].decode('ascii', 'replace')}")
        return replies.UNSUPPORTED

    def _memory(self, address: int, length: int) -> bytes:
        data = self.stop.read(address, length)
        if data is not None:
            return encode_hex(data)
        if self.stop.is_fault(address, length):
            return replies.ErrorReply(_EFAULT).encode()
        return self._missing(f"{length} bytes at {address:#x}")

    def _missing(self, what: str) -> bytes:
        text = f"not recorded at stop {self._number}: {what}"
        self._on_missing(text)
        return replies.ErrorReply(0, text).encode()

    def _with_pc(self, request: requests.Request, reply: bytes) -> bytes:
        """After a breakpoint the stub reports the address behind it, and its client, whose breakpoint it was, sets it
        back. A client that has none there cannot know; it is shown the breakpoint's own.
        """
        pc = self._arch.register(self._arch.pc)
        match request:
            case requests.ReadRegisters():
                at, length = pc.offset, self._arch.g_length
            case requests.ReadRegister(pc.number):
                at, length = 0, pc.size
            case _:
                return reply
        data = decoded(reply)
        if self._selected is not None or data is None or len(data) != length:
            return reply
        address = int.from_bytes(data[at : at + pc.size], "little") - self._arch.pc_after_breakpoint
        if address not in self.stop.breakpoints or address in self._breakpoints:
            return reply
        return encode_hex(data[:at] + pc.encode(address) + data[at + pc.size :])


def serve(replay: Replay, stream: ByteStream) -> None:
    """Answer on ``stream`` until the client goes or the recording ends, and close it."""
    try:
        while not replay.ended and (data := stream.read()) != b"":
            stream.write(replay.receive(data or b""))
    except (WireClosed, ProtocolError):
        pass  # a client that is gone, or talks nonsense, is left alone
    finally:
        stream.close()
