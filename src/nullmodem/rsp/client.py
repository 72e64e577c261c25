# SPDX-License-Identifier: Apache-2.0
"""Our side of the line toward a stub: one request at a time, over a line that may lose, change or invent bytes.

What the kernel's stub does (kernel/debug/gdbstub.c ``get_packet``, ``put_packet``) forces these laws:

1. It answers every packet with ``+``, or with ``-`` when the checksum is wrong; then, and only then, it did not act on
   it. So an explicit ``-`` is answered by sending the request again, whatever it asks for.
2. After each packet of its own it waits in an *ack slot*, for ever and deaf to all else, for one byte: ``+`` lets it go
   on; ``$`` makes it say ``-`` and forget both its packet and the one that began; any other byte makes it send its
   packet again. So a lost or damaged reply is asked for with ``-``, which repeats the reply and not the deed, and our
   ``+`` may wait for the next request and travel in front of it.
3. A request that was met with silence is sent again only if doing it twice is the same as doing it once. ``c`` ``s``
   ``C`` ``S`` ``D`` ``k`` ``R`` ``M`` ``X`` ``G`` ``P`` ``Z`` ``z`` and everything not known to be harmless are not.
   Of those that kgdb replies to when it has acted, the reply is a trace that ``-`` brings out: see ``leaves_trace``.
4. A reply may come twice: after our ``-``, after a byte of noise in the ack slot, after a request sent twice. The same
   packet as the last one, before the stub has acknowledged the request we wait for, is that; it is dropped. Should it
   have been an answer whose ``+`` was lost, the next ``timeout`` asks for it again and takes it.
5. ``c`` and ``s`` are acknowledged at once and answered by the next stop, perhaps never. Meanwhile nothing is owed.
6. Everything else on the line is somebody's text and is handed over: bytes outside packets, and ``+`` and ``-`` that
   nobody waits for. A kernel line may hold a whole packet; it is a ``StrayPacket`` when no answer is awaited.
7. Everything is bounded: how often a request is repeated, how often ``-`` is said, how long a packet may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nullmodem.errors import LocalProtocolError, WireTimeout
from nullmodem.rsp.framing import Ack, Corrupt, Damage, Decoder, Frame, Junk, Nack, Packet, encode_packet
from nullmodem.rsp.hexadecimal import show
from nullmodem.rsp.replies import BROKEN_STOP, OK

_ACK = b"+"
_NACK = b"-"

# First letters of requests that only ask. ``H`` sets what later ones mean, to the same thing when it is said twice.
_REPEATABLE = frozenset(b"?gpmxHTq")
# Two queries do more than ask: one runs a command, and each of the other moves the stub on in its thread list.
_NOT_REPEATABLE = (b"qRcmd,", b"qsThreadInfo")
_RESUMING = (b"c", b"s", b"C", b"S", b"vCont;")
# Acknowledged and never answered: kill, into kdb, and "detach and pass the exception on".
_SILENT = (b"k", b"3", b"C15")
# The stub acts on these only after its reply was acknowledged.
_ACK_AT_ONCE = (b"D", b"R")
# Acted on by kgdb before it replies, so that its reply, which it keeps until it is acknowledged, is the trace of it.
_TRACED = (b"M", b"X", b"G", b"P", b"Z", b"z", b"D", *_NOT_REPEATABLE)
_STOPS = frozenset(b"TSWX")
_RUNNING_ANSWERS = (b"T", b"S", b"W", b"X", b"E")
# Answered with hex data. A # that noise puts behind the $ of data that begins with 00 makes a well-formed empty packet,
# so an empty answer to one of these is asked for once more before it is believed.
_HEX_DATA = (b"g", b"m", b"p", b"qThreadExtraInfo,")
_TAIL = 16  # bytes of text kept to find that in


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the request; for ``c`` and ``s`` the stop, or an error when they were refused.

    ``doubtful``: it came for a ``-``, without an acknowledgement of the request, and may be the last answer once more.
    """

    payload: bytes
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class StrayPacket:
    """A good packet that answers nothing: console output (``O``), a stop nobody asked for, or text that looks so."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Resend:
    """The request goes out once more."""


@dataclass(frozen=True, slots=True)
class Text:
    """Bytes outside any packet: the kernel's console, or noise."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes that began like a packet and were none: noise in one, or console text with a dollar sign."""

    raw: bytes
    reason: Damage


ClientEvent: TypeAlias = Reply | StrayPacket | Resend | Text | Damaged


class ClientConnection:
    """The protocol's client, without I/O and without a clock.

    The caller writes what ``data_to_send`` returns after every other call, feeds what it reads to ``receive``, and
    calls ``timeout`` when a deadline that it computed has passed. ``receive`` never raises.

    ``max_payload`` is the longest packet the stub can send; ``tries`` bounds how often anything is repeated.
    ``text_only`` says that the stub's packets are printable ASCII, as kgdb's are: see ``Decoder``.
    """

    def __init__(self, *, max_payload: int = 1 << 14, tries: int = 4, text_only: bool = True) -> None:
        self._decoder = Decoder(max_payload=max_payload, notifications=False, text_only=text_only)
        self._tries = tries
        self._out = bytearray()
        self._ack_held = False
        self._outstanding: bytes | None = None
        self._acknowledged = False
        self._copies = 0  # of the request, on the line and not rejected
        self._resends = 0
        self._nacks = 0
        self._timeouts = 0
        self._poked = False  # we said - to have the reply again: what comes now is no repetition
        self._suspected = False  # what was dropped as a repetition, or passed on as text, may have been the answer
        self._doubted = False  # an empty answer was asked for once more
        self._tail = b""  # of the text since the target runs
        self._last: bytes | None = None  # the last packet taken; None when a late answer could be anything
        self._ghosts = 0  # copies of earlier requests that the stub may still answer
        self._came_late = False  # one of them was answered after all
        self._stop_due = False  # one of them sets the target running: what it is answered with is nobody's repetition

    @property
    def outstanding(self) -> bytes | None:
        """The request whose answer is awaited, or None."""
        return self._outstanding

    @property
    def acknowledged(self) -> bool:
        """Whether the stub has taken the outstanding request; for ``c`` and ``s``, whether the target runs."""
        return self._acknowledged

    @property
    def partial(self) -> bool:
        """Whether a packet has begun and not ended, or came so damaged that it passed for text.

        While the target runs, this alone calls for a deadline and ``timeout``.
        """
        return self._decoder.partial or self._suspected

    @property
    def came_late(self) -> bool:
        """Whether what may be the answer to the last request that was given up has come since, and was dropped."""
        return self._came_late

    def request(self, payload: bytes) -> None:
        """Queue a request, behind the ``+`` for the packet before it.

        ``k``, ``3`` and ``C15`` have no reply: nothing is outstanding any more once they are acknowledged.

        Raises:
            LocalProtocolError: it is empty, or another one is outstanding.
        """
        if self._outstanding is not None:
            raise LocalProtocolError(f"{show(payload)} cannot be sent before {show(self._outstanding)} is answered")
        if not payload:
            raise LocalProtocolError("an empty packet is no request")
        self.flush_ack()
        self._outstanding = payload
        self._resends = self._nacks = self._timeouts = self._copies = 0
        self._poked = self._suspected = self._doubted = False
        self._tail = b""
        self._send(payload)

    def flush_ack(self) -> None:
        """Queue the ``+`` for the last packet now, if it was held back for the next request."""
        if self._ack_held:
            self._ack_held = False
            self._out += _ACK

    def data_to_send(self) -> bytes:
        """Return what is to be written now; each byte once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes) -> list[ClientEvent]:
        """Take what came over the line and return what it means."""
        events: list[ClientEvent] = []
        for frame in self._decoder.feed(data):
            self._take(frame, events)
        return events

    def timeout(self) -> list[ClientEvent]:
        """Do what is left to do about an answer that did not come in time.

        A packet that began and stopped short is dropped, a lost reply is asked for again, a repeatable request is
        repeated. While the target runs and no packet has begun nothing is owed, and nothing is done.

        Raises:
            WireTimeout: nothing is left to do. The request is given up, as by ``give_up``; whether the stub acted on it
                is not known.
        """
        events: list[ClientEvent] = []
        half = self._decoder.abandon()
        if half is not None:
            events.append(Damaged(half.raw, half.reason))
        request = self._outstanding
        if request is None:
            self._out += _NACK * (half is not None)
            return events
        poke = half is not None or self._suspected
        if request.startswith(_RESUMING) and self._acknowledged and not poke:
            return events
        self._timeouts += 1
        repeatable = _is_repeatable(request)
        if not self._poked and not request.startswith(_RESUMING + _SILENT):
            poke = poke or self._acknowledged or not repeatable
        if self._timeouts > self._tries or not (poke or repeatable):
            raise self._give_up_with_error(request)
        if poke:
            self._out += _NACK
            self._poked, self._suspected = True, False
        else:
            self._resend(request, events)
        return events

    def ask_again(self) -> None:
        """Queue a ``-`` while nothing is outstanding: a packet that the stub still holds comes again."""
        self._out += _NACK

    def give_up(self) -> None:
        """Wait no longer for the outstanding request. An answer that still comes is not mistaken for another's."""
        if self._outstanding is not None:
            self._ghosts = self._copies
            self._stop_due = self._outstanding.startswith(_RESUMING)
            self._came_late = False
            self._last = None
            self._outstanding = None
            self._acknowledged = False

    def _send(self, request: bytes) -> None:
        self._out += encode_packet(request)
        self._copies += 1
        self._acknowledged = False

    def _resend(self, request: bytes, events: list[ClientEvent]) -> None:
        self._resends += 1
        self._send(request)
        events.append(Resend())

    def _take(self, frame: Frame, events: list[ClientEvent]) -> None:
        match frame:
            case Packet(payload):
                self._take_packet(payload, events)
            case Ack():
                self._take_ack(events)
            case Nack():
                self._take_nack(events)
            case Corrupt(raw, reason):
                self._take_damage(raw, reason, events)
            case Junk(data):
                self._look_for_stop(data)
                _add_text(data, events)
            case _:  # 0x03 means nothing in this direction; notifications are off
                _add_text(b"\x03", events)

    def _take_ack(self, events: list[ClientEvent]) -> None:
        if self._outstanding is None or self._acknowledged:
            _add_text(_ACK, events)
            return
        self._acknowledged = True
        if self._outstanding.startswith(_SILENT):
            self._close(self._last)

    def _take_nack(self, events: list[ClientEvent]) -> None:
        request = self._outstanding
        if self._ghosts:
            self._ghosts -= 1
        elif request is None or (self._acknowledged and not _is_repeatable(request)):
            _add_text(_NACK, events)
        elif self._resends < self._tries:
            self._copies -= 1
            self._resend(request, events)

    def _take_damage(self, raw: bytes, reason: Damage, events: list[ClientEvent]) -> None:
        events.append(Damaged(raw, reason))
        self._look_for_stop(raw)
        wanted = reason in (Damage.CHECKSUM, Damage.ENCODING)
        if reason is Damage.NOT_TEXT and self._outstanding is not None:
            # While the target runs this is a console line, and the - would be typed into whatever reads there.
            wanted = not (self._acknowledged and self._outstanding.startswith(_RESUMING))
        if wanted and self._nacks < self._tries:
            self._nacks += 1
            self._out += _NACK

    def _look_for_stop(self, text: bytes) -> None:
        if self._acknowledged and self._outstanding is not None and self._outstanding.startswith(_RESUMING):
            self._tail = (self._tail + text)[-_TAIL - len(text) :]
            self._suspected = self._suspected or BROKEN_STOP.search(self._tail) is not None
            self._tail = self._tail[-_TAIL:]

    def _take_packet(self, payload: bytes, events: list[ClientEvent]) -> None:
        self._nacks = 0
        request = self._outstanding
        if payload[:1] == b"O" and payload != OK:
            self._out += _ACK  # the stub says nothing more before it has this
            events.append(StrayPacket(payload))
        elif request is None:
            self._take_unasked(payload, events)
        elif payload == request:
            # No stub's answer repeats its question. A terminal does, and kdb, while they have the line; and an echo of
            # our packets makes an echo of our acks.
            self._acknowledged = False
            _add_text(encode_packet(payload), events)
        elif self._is_repetition(payload, request):
            self._suspected = self._came_late = True
            self._ghosts = max(0, self._ghosts - 1)
            self._acknowledged = False
        elif _is_stop(payload) and not request.startswith((*_RESUMING, b"?", b"v")):
            # It crossed our request, whose $ the stub has taken for its ack already: it will say - and be asked again.
            self._ghosts, self._stop_due = max(0, self._ghosts - self._stop_due), False
            events.append(StrayPacket(payload))
        elif payload and self._acknowledged and request.startswith(_RESUMING) and payload[:1] not in _RUNNING_ANSWERS:
            _add_text(encode_packet(payload), events)  # a running kernel sends nothing else: it is in a line of text
        elif not payload and not self._doubted and request.startswith(_HEX_DATA):
            self._doubted = True
            self._out += _NACK
        else:
            self._ack_held = True
            if request.startswith(_ACK_AT_ONCE):
                self.flush_ack()
            unheard = self._poked and not self._acknowledged and not request.startswith(_RESUMING)
            doubtful = unheard and self._last in (None, payload)
            self._close(payload)
            events.append(Reply(payload, doubtful))

    def _take_unasked(self, payload: bytes, events: list[ClientEvent]) -> None:
        if not (self._ack_held and payload == self._last):
            events.append(StrayPacket(payload))
        if _is_stop(payload):  # what was given up and has set the target running is answered
            self._ghosts, self._stop_due = max(0, self._ghosts - self._stop_due), False
        self._ack_held = True
        self._last = payload

    def _is_repetition(self, payload: bytes, request: bytes) -> bool:
        if self._poked:  # it was asked for; only what was to set the target running is not answered by what was before
            unheard = request.startswith(_RESUMING) and not self._acknowledged
            return unheard and payload == self._last and not _is_stop(payload)
        if payload == self._last:
            return self._ghosts > 0 or not self._acknowledged
        late = self._ghosts > 0 and self._last is None and not payload.startswith(b"QC")  # which answers qC alone
        # A late answer to one ? is as good an answer to the next.
        return late and not (_is_stop(payload) and (self._stop_due or request.startswith((*_RESUMING, b"?"))))

    def _close(self, last: bytes | None) -> None:
        self._last = last
        self._ghosts = max(0, self._copies - 1)
        self._outstanding = None
        self._acknowledged = False

    def _give_up_with_error(self, request: bytes) -> WireTimeout:
        taken = "took it" if self._acknowledged else "did not acknowledge it"
        self.give_up()
        return WireTimeout(
            f"no answer to {show(request)}: sent {1 + self._resends} times, the stub {taken}",
            hint="Is the target stopped in kgdb, and does this line reach it at the same speed on both ends?",
        )


def leaves_trace(request: bytes) -> bool:
    """Whether kgdb, having acted on ``request``, waits with its reply until that is acknowledged.

    Then it has not acted if a ``-`` is met with silence on a line that is alive in both directions.
    """
    return request.startswith(_TRACED)


def _is_repeatable(request: bytes) -> bool:
    return request[0] in _REPEATABLE and not request.startswith(_NOT_REPEATABLE)


def _is_stop(payload: bytes) -> bool:
    # Replies that are data begin with a lower-case hex digit, so a capital letter tells.
    return payload[:1] != b"" and payload[0] in _STOPS


def _add_text(data: bytes, events: list[ClientEvent]) -> None:
    if events and isinstance(events[-1], Text):
        events[-1] = Text(events[-1].data + data)
    else:
        events.append(Text(data))
