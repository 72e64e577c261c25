# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns a line with a console on it, and the two ends it makes of it.

``protocol`` is a line of its own to the stub: what the splitter finds to be packets comes out of it, and what is
written to it reaches a target that listens. ``console`` is a socket with the text, for whoever keeps the console.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError, WireClosed, WireTimeout
from nullmodem.waiting import wait_readable
from nullmodem.wire.splitter import SplitState, Splitter
from nullmodem.wire.streams import SocketStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.wire.streams import ByteStream

_log = logging.getLogger("nullmodem.line")
"""Every byte of a shared line, at level DEBUG."""
_BUFFER = 1 << 20
_TYPED = 4096
_RUNNING_SECONDS = 3.0
_REPEAT = b"-\x7f"
"""Two bytes that have a stub repeat its stop. A terminal takes the second to erase the first."""


class ProtocolEnd(SocketStream):
    """The stub's part of a shared line. Its BREAK is the line's."""

    def __init__(self, sock: socket.socket, line: SharedLine) -> None:
        super().__init__(sock)
        self._line = line

    def send_break(self) -> None:
        """Raises UsageError, WireClosed; see ByteStream."""
        self._line.send_break()

    def close(self) -> None:
        """Close this end, and with it the whole line."""
        super().close()
        self._line.close()


class NoLine:
    """`ByteStream` in place of one that has gone."""

    def fileno(self) -> int:
        """There is none."""
        return -1

    def read(self, _limit: int = 65536) -> bytes:
        """Nothing comes."""
        return b""

    def write(self, data: bytes) -> None:
        """Raises WireClosed."""
        raise WireClosed(f"the line is gone: {len(data)} bytes were not sent")

    def send_break(self) -> None:
        """Raises WireClosed."""
        raise WireClosed("the line is gone, and carries no BREAK")

    def close(self) -> None:
        """There is nothing to close."""


class SharedLine:
    """Owns ``stream``. With ``has_stub`` false all of it is console. Methods may be called from any thread.

    ``baud`` is the line's rate where it is known: how long a character takes decides how long a silence is. When the
    stream ends the line does, too, unless ``gone`` is given: that is called, in the line's thread, and the console
    stays, quiet, until `carry_on` brings another stream. `protocol` has ended with the stream.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        baud: int | None = None,
        has_stub: bool = True,
        gone: Callable[[], None] | None = None,
    ) -> None:
        self._stream = stream
        self._character = 10 / baud if baud else 0.0
        self._splitter = Splitter(character=self._character)
        self._gone = gone
        self._has_stub = has_stub
        self._text, self.console = _pair()
        self._packets, protocol = _pair()
        self.protocol = ProtocolEnd(protocol, self)
        self._orders: list[_Order] = []
        self._lock = threading.Lock()
        self._reader, self._writer = os.pipe()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="nullmodem-line", daemon=True)
        self._thread.start()

    def stands_still(self) -> bool:
        """Whether the target is stopped, so that nothing may be typed: its stub would take it for a bad answer.

        What the debugger has written before this call counts.
        """
        with contextlib.suppress(WireClosed):
            self._order(lambda: None)
        return self._splitter.state is SplitState.STOPPED

    @property
    def is_away(self) -> bool:
        """Whether the stream has ended, and no other has come."""
        return isinstance(self._stream, NoLine)

    def part(self) -> None:
        """Let the stream go, if it has not gone by itself: another is to be opened. Raises WireClosed."""
        self._order(self._part)

    def carry_on(self, stream: ByteStream, *, standing: bool) -> ProtocolEnd:
        """Go on with another stream. Returns the new `protocol`.

        ``standing``: the target stood still when the last one ended. One that ran may have stopped meanwhile, and waits
        for the acknowledgement of a stop that nobody heard: it is asked for it, as any byte but that does.

        Raises WireClosed: the line is closed; the stream is the caller's then.
        """

        def take() -> None:
            self._part()
            self._stream, self._splitter = stream, Splitter(character=self._character)
            SocketStream.close(self.protocol)
            self._packets, protocol = _pair()
            self.protocol = ProtocolEnd(protocol, self)
            if self._has_stub and not standing:
                self._write(_REPEAT)

        self._order(take)
        return self.protocol

    @property
    def _listens(self) -> bool:
        """Whether what is typed gets where it is meant to; else it waits in its socket."""
        return self._splitter.state in (SplitState.RUNNING, SplitState.KNOCKING)

    def send_break(self) -> None:
        """Hold BREAK. Raises UsageError for a line that has none, WireClosed."""
        self._order(self._stream.send_break)

    def press_sysrq(self, key: bytes) -> None:
        """BREAK and a key with nothing between, as soon as the target runs: a stub would make nothing of them.

        Raises as `send_break`; WireTimeout when the target still stands after some seconds.
        """

        def press() -> None:
            self._stream.send_break()
            self._write(key)
            self._splitter.broke_in(time.monotonic())

        self._order(press, to_running=True)

    def await_running(self) -> None:
        """Return once the target has been seen to run. Raises WireClosed; WireTimeout as `press_sysrq` does."""
        self._order(lambda: None, to_running=True)

    def note_break_in(self) -> None:
        """The target was told to stop by other means: if it keeps silent now, it may have done so."""
        self._order(lambda: self._splitter.broke_in(time.monotonic()))

    def hang_up(self) -> None:
        """As a debugger's end does that is closed: its last word is passed on. Safe to call twice."""
        self.protocol.close()

    def close(self) -> None:
        """Let the line go; both ends see that. Safe to call twice, from any thread."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            os.write(self._writer, b"x")
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _order(self, action: Callable[[], None], *, to_running: bool = False) -> None:
        order = _Order(action, to_running)
        with self._lock:
            if self._closing:
                raise WireClosed("the line is closed")
            self._orders.append(order)
            os.write(self._writer, b"x")
        try:
            order.done.result(_RUNNING_SECONDS if to_running else None)
        except TimeoutError:
            if order.done.cancel():
                raise WireTimeout("the target stands still, and its debugger has the line") from None
            order.done.result()

    def _run(self) -> None:
        try:
            while not self._closing and self._survives(self._turn):
                pass
        except (NullmodemError, OSError, ValueError) as error:
            _log.info("the line has ended: %s", error)  # whoever waits at the other ends sees them close
        finally:
            self._drain()
            with self._lock:
                self._closing = True
                orders, self._orders = self._orders, []
                os.close(self._reader)
                os.close(self._writer)
            for order in orders:
                if order.done.set_running_or_notify_cancel():
                    order.done.set_exception(WireClosed("the line is closed"))
            self._stream.close()
            for end in (self._text, self._packets):
                end.close()

    def _survives(self, turn: Callable[[], bool]) -> bool:
        """Whether there is another turn after this one."""
        try:
            return turn()
        except WireClosed as error:
            if self._gone is None or self._closing:
                raise
            _log.info("the line has gone: %s", error)
            self._part()
            self._gone()
            return True

    def _part(self) -> None:
        """Be without a stream, if there is one."""
        if not self.is_away:
            self._text.sendall(self._splitter.rest())
            self._stream.close()
            self._stream, self._splitter = NoLine(), Splitter()
            self._packets.close()

    def _drain(self) -> None:
        """The last word of a debugger that has gone: the stub waits for it before it lets the target run."""
        with contextlib.suppress(NullmodemError, OSError, ValueError):
            while wait_readable([self._packets], 0) and (written := self._packets.recv(_BUFFER)):
                self._splitter.sent(written, time.monotonic())
            self._hand_out()

    def _turn(self) -> bool:
        """Wait for something and deal with it. False at the line's end."""
        deadline = self._splitter.deadline
        ready = wait_readable(self._sources(), None if deadline is None else deadline - time.monotonic())
        if self._stream.fileno() in ready:
            data = self._stream.read()
            if data == b"":
                raise WireClosed("the other end of the line is gone")
            self._received(data or b"")
        elif not ready:
            self._splitter.tick(time.monotonic())
        if self._packets.fileno() in ready:
            written = self._packets.recv(_BUFFER)
            if not written:
                return False
            self._splitter.sent(written, time.monotonic())
        self._hand_out()
        if self._text.fileno() in ready and self._listens:
            typed = self._text.recv(_TYPED)
            if not typed:
                return False
            self._write(typed)
        if self._reader in ready:
            os.read(self._reader, 4096)
        self._obey()
        return True

    def _sources(self) -> list[int]:
        if self.is_away:
            return [self._reader]
        sources = [self._reader, self._stream.fileno(), self._packets.fileno()]
        return [*sources, self._text.fileno()] if self._listens else sources

    def _received(self, data: bytes) -> None:
        _log.debug("<- %r", data)
        if self._has_stub:
            self._splitter.received(data, time.monotonic())
        else:
            self._text.sendall(data)

    def _hand_out(self) -> None:
        text, packets, line = self._splitter.take()
        if text:
            self._text.sendall(text)
        if packets:
            self._packets.sendall(packets)
        if line:
            _log.debug("-> %r", line)
            self._write(line)

    def _write(self, data: bytes) -> None:
        """A line that takes nothing for long is of no more use than one that has gone, and may be opened again, too.

        Raises WireClosed.
        """
        try:
            self._stream.write(data)
        except WireTimeout as error:
            raise WireClosed(error.message, hint=error.hint) from error

    def _obey(self) -> None:
        """Do what was ordered and can be done now."""
        while (order := self._next_order()) is not None:
            if not order.done.set_running_or_notify_cancel():
                continue
            try:
                self._take_written()
                order.action()
            except NullmodemError as error:
                if isinstance(error, WireClosed) and not self.is_away:
                    self._part()  # whoever gave the order may close the stream
                    order.done.set_exception(error)
                    raise
                order.done.set_exception(error)
            except BaseException as error:
                ended = WireClosed(f"the line has ended: {error}")
                ended.__cause__ = error
                order.done.set_exception(ended)
                raise
            else:
                order.done.set_result(None)

    def _take_written(self) -> None:
        """What the debugger wrote before the order was given counts: it may have told the target to go on."""
        while not self.is_away and wait_readable([self._packets], 0) and (written := self._packets.recv(_BUFFER)):
            self._splitter.sent(written, time.monotonic())
        self._hand_out()

    def _next_order(self) -> _Order | None:
        with self._lock:
            for order in self._orders:
                if self._listens or not order.to_running:
                    self._orders.remove(order)
                    return order
        return None


@dataclass(eq=False, slots=True)
class _Order:
    """Something for the line's thread to do; ``to_running``: not while the target stands still."""

    action: Callable[[], None]
    to_running: bool
    done: Future[None] = field(default_factory=Future)


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    return ours, theirs
