# SPDX-License-Identifier: Apache-2.0
"""A recording, understood: the stops of a kernel, and what was asked of it at each and answered.

One rule makes it useful to more than the program that was recorded: memory that was read at a stop, in whatever pieces,
is known for that stop byte by byte.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nullmodem.errors import ProtocolError
from nullmodem.rsp import replies, requests
from nullmodem.rsp.framing import Decoder, Packet
from nullmodem.rsp.hexadecimal import parse_hex
from nullmodem.rsp.threads import encode_thread_id, parse_thread_id
from nullmodem.wire.recording import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nullmodem.wire.recording import Entry

_OF_A_THREAD = (requests.ReadRegisters, requests.ReadRegister)
_LARGEST_PACKET = 1 << 16
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Known:
    """An answer, with the console output (``O`` packets) that came before it."""

    reply: bytes
    output: tuple[bytes, ...] = ()


@dataclass(slots=True)
class RecordedStop:
    """One stop. ``signal`` and ``thread`` are how it was reported (the thread is None if nobody asked); ``breakpoints``
    are the addresses of the software breakpoints the stub had when it stopped; ``faults`` pages that cannot be read.
    """

    signal: int
    thread: int | None
    breakpoints: frozenset[int]
    answers: dict[tuple[int | None, bytes], list[Known]] = field(default_factory=dict)
    memory: list[tuple[int, bytes]] = field(default_factory=list)
    faults: set[int] = field(default_factory=set)

    def read(self, address: int, length: int) -> bytes | None:
        """Memory as the last read of each byte showed it; None unless all of it was read."""
        data = bytearray(length)
        known = bytearray(length)
        for start, piece in self.memory:
            first, last = max(start, address), min(start + len(piece), address + length)
            if first < last:
                data[first - address : last - address] = piece[first - start : last - start]
                known[first - address : last - address] = bytes([1]) * (last - first)
        return bytes(data) if all(known) else None

    def answer(self, thread: int | None, payload: bytes, count: int) -> Known | None:
        """What was answered to a request after ``count`` earlier answers, or the last time; None: it was not asked.
        ``thread`` as `thread_key` has it.
        """
        known = self.answers.get((thread, payload))
        return known[min(count, len(known) - 1)] if known else None

    def is_fault(self, address: int, length: int) -> bool:
        """Whether a part of this memory could not be read."""
        return any(page in self.faults for page in range(address // _PAGE, (address + length - 1) // _PAGE + 1))

    def learn(self, request: requests.Request, reply: bytes) -> None:
        """Take from an exchange what answers other requests, too."""
        match request:
            case requests.ReadMemory(address, length):
                data = decoded(reply)
                if data is not None and len(data) == length:
                    self.memory.append((address, data))
                elif (
                    replies.ErrorReply.parse(reply) is not None and address // _PAGE == (address + length - 1) // _PAGE
                ):
                    self.faults.add(address // _PAGE)  # the memory of one page can be read as a whole or not at all
            case requests.WriteMemory(address, data) if reply == replies.OK:
                self.memory.append((address, data))
            case requests.CurrentThread() if reply.startswith(b"QC") and self.thread is None:
                self.thread = _thread(reply[2:])


def is_resuming(payload: bytes) -> bool:
    """Whether a request lets the target run until its next stop. ``C09`` of `KgdbStub.deliver_fault` is one, too."""
    return payload[:1] in (b"c", b"s", b"C", b"S")


def thread_key(selected: int | None, request: requests.Request) -> int | None:
    """Whose answer this is: a register's depends on the thread that ``H`` selected before."""
    return selected if isinstance(request, _OF_A_THREAD) else None


def read_stops(entries: Iterable[Entry]) -> tuple[RecordedStop, ...]:
    """Every stop of a recording, in order. What cannot be understood, console text and noise, is passed over."""
    reader = _Reader()
    to_target = Decoder(max_payload=_LARGEST_PACKET, notifications=False)
    from_target = Decoder(max_payload=_LARGEST_PACKET, notifications=False, text_only=True)
    for entry in entries:
        if entry.direction is Direction.TO_TARGET:
            for frame in to_target.feed(entry.data):
                if isinstance(frame, Packet):
                    reader.asked(frame.payload)
        elif entry.direction is Direction.FROM_TARGET:
            for frame in from_target.feed(entry.data):
                if isinstance(frame, Packet):
                    reader.answered(frame.payload)
    return tuple(reader.stops)


class _Reader:
    """Follows the packets of both directions. Between two stops there is none: ``_stop`` is None."""

    def __init__(self) -> None:
        self.stops: list[RecordedStop] = []
        self._stop: RecordedStop | None = None
        self._request: requests.Request | None = None
        self._payload = b""
        self._output: list[bytes] = []
        self._breakpoints: set[int] = set()
        self._selected: int | None = None

    def asked(self, payload: bytes) -> None:
        self._payload, self._output = payload, []
        try:
            self._request = requests.parse_request(payload)
        except ProtocolError:
            self._request = None
        if is_resuming(payload):
            self._request = self._stop = None

    def answered(self, payload: bytes) -> None:
        if payload.startswith(b"O") and payload != replies.OK:
            self._output.append(payload)
        elif self._request is not None:
            self._note(self._request, payload)
            self._request = None
        elif self._stop is None and (is_resuming(self._payload) or not self._payload):  # or it began while it ran
            self._stopped(payload)

    def _stopped(self, payload: bytes) -> None:
        stop = _stop_reply(payload)
        if stop is not None and stop.thread is not None:
            self._begin(stop)
        elif replies.ErrorReply.parse(payload) is not None and self.stops:
            self._stop = self.stops[-1]  # it was not let run

    def _begin(self, stop: replies.StopReply) -> None:
        self._stop = RecordedStop(stop.signal, stop.thread, frozenset(self._breakpoints))
        self._selected = None
        self.stops.append(self._stop)

    def _note(self, request: requests.Request, payload: bytes) -> None:
        if isinstance(request, requests.HaltReason):
            stop = _stop_reply(payload)
            if self._stop is None and stop is not None:
                self._begin(stop)
            self._breakpoints.clear()
        if self._stop is None:
            return
        key = thread_key(self._selected, request), self._payload
        self._stop.answers.setdefault(key, []).append(Known(payload, tuple(self._output)))
        self._stop.learn(request, payload)
        if payload == replies.OK:
            self._granted(request)

    def _granted(self, request: requests.Request) -> None:
        match request:
            case requests.InsertBreakpoint(requests.BreakpointKind.SOFTWARE, address):
                self._breakpoints.add(address)
            case requests.RemoveBreakpoint(requests.BreakpointKind.SOFTWARE, address):
                self._breakpoints.discard(address)
            case requests.SelectThread("g", thread):
                self._selected = thread or None
            case requests.Detach():
                self._stop = None
                self._breakpoints.clear()


def _stop_reply(payload: bytes) -> replies.StopReply | None:
    try:
        parsed = replies.parse_stop_reply(payload)
    except ProtocolError:
        return None
    return parsed if isinstance(parsed, replies.StopReply) else None


def _thread(text: bytes) -> int | None:
    try:
        return parse_thread_id(text)
    except ProtocolError:
        return None


def decoded(payload: bytes) -> bytes | None:
    """The bytes of an answer in hex; None for one that is not."""
    try:
        return parse_hex(payload)
    except ProtocolError:
        return None


def stop_payload(stop: RecordedStop) -> bytes:
    """The stop as the kernel's stub reports it."""
    return b"T%02xthread:%b;" % (stop.signal, encode_thread_id(stop.thread or 0))
