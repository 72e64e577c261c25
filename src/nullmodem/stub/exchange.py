# SPDX-License-Identifier: Apache-2.0
"""One request and its answer, and the one request that is answered by the next stop, with a deadline for everything.

What acts is sent again only after the target has shown that it did not take it. One that stands still answers a
question, one that was set running does not; and one that had acted, or has run and stopped since, would have repeated
its reply, or its stop, when it was asked to.
"""

from __future__ import annotations

import contextlib
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from nullmodem.errors import LocalProtocolError, RemoteProtocolError, StubError, WireClosed, WireTimeout
from nullmodem.rsp import replies, requests
from nullmodem.rsp.client import ClientConnection, Damaged, Reply, Resend, StrayPacket, Text, leaves_trace
from nullmodem.rsp.hexadecimal import parse_hex
from nullmodem.stub.doubt import Unconfirmed, settle
from nullmodem.stub.kdb import OUTPUT_LIMIT, PromptWatch
from nullmodem.stub.patience import Patience
from nullmodem.stub.tape import Tape
from nullmodem.waiting import wait_readable
from nullmodem.wire.log import WireLog
from nullmodem.wire.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.wire.streams import ByteStream

T = TypeVar("T")

_STOPS = (b"T", b"S", b"W", b"X")
_STEP = requests.Step().encode()
_OUTPUT_SECONDS = 60.0
"""What a request's console output may take in all, besides its time on the line: kdb's `md` has no end of its own."""
_REPEAT_SECONDS = 2.0
"""For a stop that is said once more. On a line that the console shares, some of it is waited for silence."""
_ATTEMPTS = 3
"""How often a request that acts is sent, when the target shows that it did not take it."""
_log = logging.getLogger("nullmodem.wire")
"""Every packet, at level DEBUG."""


class Exchange:
    """The line to one stub, used by one thread. ``running``: the target was set running and has not stopped.
    ``at_kdb``: kdb's prompt has come from a target that ran, which therefore stands, and kdb has the line.
    ``gone``: the line has ended.

    Arguments as for `KgdbStub`.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        meter: Meter | None = None,
        patience: Patience | None = None,
        on_text: Callable[[bytes], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[ByteStream, float], bool] | None = None,
        log: WireLog | None = None,
    ) -> None:
        self.meter = meter or Meter()
        self.log = log or WireLog()
        self.tape = Tape()
        self.running = False
        self._stream = stream
        self._patience = patience or Patience()
        self.baud = self._patience.baud
        self._on_text = on_text or (lambda _text: None)
        self._clock = clock
        self._wait = wait or (lambda stream, seconds: bool(wait_readable([stream], seconds)))
        self.renew(stream)

    def renew(self, stream: ByteStream) -> None:
        """Use another line from here on. Nothing is owed on it, and nothing that was sent before is sent again."""
        self._stream = stream
        self.gone = False
        self._connection = ClientConnection()
        self._pending: list[bytes] = []
        self._output = bytearray()  # console output (``O`` packets) that came before an answer
        self._output_count = 0
        self._printing: requests.Request | None = None  # what has printed too long, and may still be answered
        self._prompt = PromptWatch()
        self.at_kdb = False
        self._resuming = b""
        self._set_out = 0  # how often it was sent
        self._asked_again = 0  # how often the stop was asked for in which a step ends
        self._taken = False  # whether the request that was given up had been acknowledged
        self._in_doubt = False  # whether it was taken: stops are looked out for while a question is asked
        self._doubtful = False  # whether the last answer may be the one before it, once more
        self._doubts = 0  # answers in doubt that are being found out about, one for the other

    def fileno(self) -> int:
        return self._stream.fileno()

    # -- a target that stands still ------------------------------------------------------------------------------

    def ask(self, request: requests.Request, *, characters: int, timeout: float | None = None) -> bytes:
        """One request, one reply. ``characters``: what travels both ways, about. Raises StubError for ``Enn``."""
        began, before = self._clock(), self.meter.cost
        try:
            return self._ask(request, characters, timeout)
        finally:
            if timeout is None:  # else the target may have run until then
                self.meter.asked(self.meter.cost - before, self._clock() - began)

    def _ask(self, request: requests.Request, characters: int, timeout: float | None) -> bytes:
        if self.running:
            raise LocalProtocolError(f"{type(request).__name__} was to be sent to a target that runs")
        self._await_end_of_output()
        patience = self._patience.seconds(characters) if timeout is None else timeout
        for attempt in range(_ATTEMPTS):
            self._send(request.encode())
            try:
                reply = self._await_reply(request, patience, again=timeout is None)
                break
            except WireTimeout:
                last = attempt == _ATTEMPTS - 1 or timeout is not None
                if last or self._taken or not leaves_trace(request.encode()) or not self._shows_it_did_not_act():
                    raise
        self.meter.round_trip()
        if self._doubtful:
            return self._settle(request, reply)
        error = replies.ErrorReply.parse(reply)
        if error is not None:
            msg = f"the stub answered {reply.decode('ascii', 'replace')} to {type(request).__name__}"
            raise StubError(msg, errno=error.code)
        return reply

    def _settle(self, request: requests.Request, reply: bytes) -> bytes:
        """See `doubt.settle`. What is asked for that may be in doubt itself; that is not gone on with for ever."""
        self._doubtful = False
        if self._doubts == _ATTEMPTS:
            raise Unconfirmed(f"the line is too bad to tell whether {type(request).__name__} was carried out")
        self._doubts += 1
        try:
            stands = partial(self._answers, self.answer_seconds)
            return settle(request, reply, lambda other: self.ask(other, characters=1024), stands)
        finally:
            self._doubts -= 1

    def _answers(self, seconds: float | None = None) -> bool:
        """Whether the target stands still, and says so; in ``seconds`` if they are given, else in its time."""
        try:
            self.ask(requests.CurrentThread(), characters=32, timeout=seconds)
        except (WireTimeout, StubError):
            return False
        return True

    def _shows_it_did_not_act(self) -> bool:
        """Whether a stub that did not acknowledge a request, nor show a trace of it, answers another one."""
        return self._answers() and not self._connection.came_late

    @property
    def answer_seconds(self) -> float:
        """What a short answer may take."""
        return self._patience.seconds(64)

    def ask_for_output(self, request: requests.Request) -> tuple[bytes, bytes]:
        """One request whose answer has console output before it: both. Output may come for a minute, besides
        what a megabyte of it takes on the line; then WireTimeout is raised, and what is asked next waits for the rest.
        """
        self._await_end_of_output()
        self._output.clear()
        reply = self.ask(request, characters=1024)
        return reply, bytes(self._output)

    def leave_kdb(self) -> None:
        """Wait no longer for the answer to what set the target running: kdb has the line, and the next request may be
        the one that takes it back.
        """
        self._connection.give_up()
        self._prompt.clear()
        self._pending.clear()
        self.running = self.at_kdb = False

    # -- a target that runs --------------------------------------------------------------------------------------

    def run(self, payload: bytes) -> None:
        """Send what sets the target running."""
        self._await_end_of_output()
        self._resuming, self._set_out, self._asked_again = payload, 1, 0
        try:
            self._send(payload)
        finally:
            self.running = (
                self._connection.outstanding == payload
            )  # when the line ends meanwhile, it may run all the same

    def take(self) -> bytes | None:
        """The next packet a running target has sent, or None. Never blocks. Raises WireClosed."""
        self._receive()
        return self._pending.pop(0) if self.has_stop else None

    def patience(self) -> float | None:
        """Seconds to wait for the running target before `overdue` is called; None while nothing is owed.

        Three things are: the acknowledgement of what set it running, the rest of a packet that has begun, and the stop
        in which one instruction ends. A stop that came while something was asked is there already.
        """
        if self.has_stop:
            return 0.0
        owed = self._connection.outstanding is not None and not self._connection.acknowledged
        owed = owed or self._connection.partial or self._is_to_end_soon
        return self._patience.seconds(64) if self.running and owed else None

    @property
    def has_stop(self) -> bool:
        """Whether the running target has said something that was not taken yet: the line stays quiet about it."""
        return self.running and bool(self._pending)

    @property
    def _is_to_end_soon(self) -> bool:
        """Whether it was told to step, has acknowledged that, and could still be asked for the end of it: that may have
        been lost whole. A thread that does not get to run reports nothing for long."""
        return self._resuming == _STEP and self._connection.acknowledged and self._asked_again < _ATTEMPTS

    def overdue(self, is_where_it_was: Callable[[], bool] = lambda: True) -> bool:
        """What was owed did not come: ask for it again, and find out whether the target runs at all.

        ``is_where_it_was`` looks at a target that stands still: only there it is told once more to go on. False: it
        stands somewhere else.

        Raises:
            WireTimeout: it gives no sign at all, and is taken to run; or it stands still, and does not take what would
                set it running.
        """
        if self.has_stop:
            return True
        if self._is_to_end_soon and not self._connection.partial:
            self._asked_again += 1
            self._connection.ask_again()
        try:
            self._connection.timeout()
        except WireTimeout:
            # One that runs, and stops meanwhile, answers too; its stop is kept.
            if not self.repeats_its_stop(self.answer_seconds) and not self._while_in_doubt(self._answers):
                raise
            same = bool(self._pending) or self._while_in_doubt(is_where_it_was)
            if self._pending:  # it ran, and has stopped
                return True
            if not same or self._set_out == _ATTEMPTS:
                self.running = False
            if not same:
                return False
            if not self.running:
                raise
            self._set_out += 1
            self._send(self._resuming)
        self._flush()
        return True

    @property
    def is_in_doubt(self) -> bool:
        """Whether it was told to run, and did not say that it does."""
        return self.running and self._connection.outstanding is not None and not self._connection.acknowledged

    def repeats_its_stop(self, seconds: float) -> bool:
        """Whether the target holds a stop that was not acknowledged, and says so in ``seconds``; `take` has it then.

        It would take the ``$`` of a question for that, forget its stop and answer, and so seem never to have run.
        """
        for _attempt in range(_ATTEMPTS):
            self._connection.ask_again()
            self._flush()
            deadline, before = self._clock() + seconds, self.meter.cost.bytes_in
            while not self._pending and (left := deadline - self._clock()) > 0 and self._wait(self._stream, left):
                self._receive()
            if self._pending or self.meter.cost.bytes_in - before <= 1:  # nothing, or a terminal's echo; else damaged
                break
        return bool(self._pending)

    def _while_in_doubt(self, look: Callable[[], T]) -> T:
        """Ask a target that was told to go on, and perhaps has not."""
        self.running, self._in_doubt = False, True
        try:
            return look()
        finally:
            self.running, self._in_doubt = True, False

    def has_forgotten(self, seconds: float) -> bool:
        """Whether a target that was set running stands still and answers, and has not told of its stop."""
        if not self.running or self.is_in_doubt or self._pending:
            return False
        if self.repeats_its_stop(min(seconds, _REPEAT_SECONDS)):
            return False
        self._connection.give_up()
        return self._while_in_doubt(lambda: self._answers(seconds)) and not self._pending

    # -- the line ------------------------------------------------------------------------------------------------

    def _send(self, payload: bytes) -> None:
        self._doubtful = False
        _log.debug("-> %s", payload)
        self.log.sent(payload)
        self._pending.clear()  # whatever came before is no answer to this
        self._connection.request(payload)
        self._flush()

    def _flush(self) -> None:
        data = self._connection.data_to_send()
        if data:
            self.meter.sent(len(data))
            self.tape.to_target(data)
            try:
                self._stream.write(data)
            except WireClosed:
                self.gone = True
                raise

    def _await_reply(self, request: requests.Request, patience: float, *, again: bool) -> bytes:
        """``again``: when time is over do what can be done to have a lost answer; each attempt has its own time."""
        began = self._clock()
        deadline, latest = began + patience, began + self._patience.seconds(3 * OUTPUT_LIMIT) + _OUTPUT_SECONDS
        stops: list[bytes] = []
        while True:
            while self._pending:
                payload = self._pending.pop(0)
                if not (self._in_doubt and payload.startswith(_STOPS)):
                    self._pending = stops
                    return payload
                stops.append(payload)
            remaining = 0.0 if stops and not again else deadline - self._clock()  # it has told what was asked for
            readable = remaining > 0 and self._wait(self._stream, remaining)
            if not readable:
                try:
                    self._on_timeout(request, patience, again=again)
                except WireTimeout:
                    self._pending = stops
                    raise
                deadline = self._clock() + patience
            before = self._output_count
            self._receive(readable=readable)
            if self._output_count != before:
                deadline = self._clock() + patience
                if self._clock() > latest and not self._pending:
                    self._printing, self._taken = request, True
                    msg = f"no answer to {type(request).__name__}: {self._clock() - began:.0f} s of output, and more"
                    raise WireTimeout(
                        msg, hint="Nothing else can be asked before it has ended. Wait, and ask for less."
                    )

    def _await_end_of_output(self) -> None:
        """A stub that still prints takes no request, and what it says at last would pass for the answer to the next."""
        request, self._printing = self._printing, None
        if request is not None:
            self._await_reply(request, self.answer_seconds, again=True)

    def _on_timeout(self, request: requests.Request, patience: float, *, again: bool) -> None:
        self._taken = self._connection.acknowledged
        if again:
            with contextlib.suppress(WireTimeout):
                self._connection.timeout()
                self._flush()
                return
        self._connection.give_up()
        msg = f"no answer to {type(request).__name__} within {patience:.1f} s"
        raise WireTimeout(msg, hint="The target may have reset, or another program may be using the line.")

    def _receive(self, *, readable: bool = False) -> None:
        """Take what is there; ``readable``: that something is, is known. A byte may come by itself, so this counts."""
        if not readable and not wait_readable([self._stream], 0):
            return
        data = self._stream.read()
        if data is None:
            return
        if not data:
            self.gone = True
            msg = "the other end of the wire is gone"
            raise WireClosed(msg)
        self.meter.received(len(data))
        self.tape.from_target(data)
        for event in self._connection.receive(data):
            match event:
                case Reply(payload, doubtful):
                    self._doubtful = doubtful
                    _log.debug("<- %s", payload)
                    self.log.received(payload)
                    self._pending.append(payload)
                case StrayPacket(payload) if (self.running or self._in_doubt) and payload.startswith(_STOPS):
                    self._pending.append(payload)
                case StrayPacket(payload):
                    self._take_output(payload)
                case Text(text) | Damaged(raw=text):
                    self.at_kdb = self._prompt.feed(text) and self.running
                    self._on_text(text)
                case Resend():
                    pass
        self._flush()

    def _take_output(self, payload: bytes) -> None:
        self._output_count += 1
        if payload.startswith(b"O") and len(self._output) < OUTPUT_LIMIT:
            with contextlib.suppress(RemoteProtocolError):
                self._output += parse_hex(payload[1:])
