# SPDX-License-Identifier: Apache-2.0
"""One gdb: its socket, what it waits for, and the stops it is told of.

In all-stop mode gdb speaks only while it believes the target stopped; after a resume it listens for one stop reply,
and may send nothing but an interrupt. So a connection is either answering requests or waiting for an event.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError, RemoteProtocolError, StateError, WireClosed
from nullmodem.frontends.gdb.handlers import Handlers, Resumed, Silent, waits_for_a_stop
from nullmodem.frontends.gdb.heartbeat import Heartbeat
from nullmodem.rsp.framing import Interrupt
from nullmodem.rsp.replies import ConsoleOutput, Terminated
from nullmodem.rsp.requests import HaltReason, parse_request
from nullmodem.rsp.server import ServerConnection
from nullmodem.session.model import Event, Lost, ModulesChanged, Printed, Said, State, Stopped
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.live import LiveSession
    from nullmodem.frontends.gdb.monitor import MonitorCommand

READ_SIZE = 1 << 16
SIGKILL = 9
SHOWN = 60
"""Bytes of a request that the wire's log shows as a cause."""
MOST_UNSAID = 1000
"""Lines kept for a gdb that is at its prompt; the oldest go first."""
_log = logging.getLogger(__name__)


class GdbConnection:
    """Serves one gdb in its own thread. ``on_end`` is called when it is over."""

    def __init__(
        self,
        live: LiveSession,
        sock: socket.socket,
        on_end: Callable[[GdbConnection], None],
        extra_commands: tuple[MonitorCommand, ...] = (),
    ) -> None:
        self._live = live
        self._socket = sock
        self._on_end = on_end
        self._protocol = ServerConnection()
        self._events = live.subscribe()
        self._handlers = Handlers(live, self._protocol.start_no_ack, self._console, extra_commands)
        self._waiting_after: int | None = None
        self._turned_away = False
        self._writing = threading.Lock()
        self._heartbeat = Heartbeat(self._show_life)
        self._unsaid: deque[str] = deque(maxlen=MOST_UNSAID)
        self._thread = threading.Thread(target=self._run, name="nullmodem-gdb", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Hang up on gdb. Safe to call from any thread, and twice."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except OSError:
            pass  # gdb hung up while we wrote; the end is the same as when it hangs up while we read
        except Exception as error:  # a mistake of ours, or an answer of the target that nobody expected
            self._give_up(error)
        finally:
            self._heartbeat.close()
            self._events.close()
            with contextlib.suppress(NullmodemError):  # the session may have ended first
                self._handlers.gone()
            self._socket.close()
            self._on_end(self)

    def _give_up(self, error: Exception) -> None:
        _log.error("a connection of gdb failed", exc_info=error)
        with contextlib.suppress(OSError):
            self._console(f"nullmodem must leave this gdb: {error}\n")

    def _turn(self) -> bool:
        ready = wait_readable([self._socket.fileno(), self._events.fileno()])
        if self._events.fileno() in ready:
            while (event := self._events.get()) is not None:
                if not self._take_event(event):
                    return False
        if self._socket.fileno() in ready:
            data = self._socket.recv(READ_SIZE)
            if not data:
                return False
            try:
                received = self._protocol.receive(data)
            except RemoteProtocolError:
                return False
            self._flush()
            for item in received:
                self._take(item)
        return not self._turned_away

    def _take(self, item: bytes | Interrupt) -> None:
        if isinstance(item, Interrupt):
            self._interrupt()
            return
        reply = self._answer(item)
        if isinstance(reply, Resumed):
            self._waiting_after = reply.after
            self._say_unsaid()
        elif isinstance(reply, bytes):
            self._send(reply)

    def _answer(self, payload: bytes) -> bytes | Resumed | Silent:
        request = None
        try:
            shown = payload[:SHOWN].decode("ascii", "backslashreplace")
            request = parse_request(payload)
            waits = contextlib.nullcontext() if waits_for_a_stop(request) else self._heartbeat.while_answering()
            with self._live.caused_by(f"{self._handlers.client or 'gdb'}: {shown}"), waits:
                return self._handlers.handle(request)
        except NullmodemError as error:
            if isinstance(request, HaltReason):
                self._turn_away(error)
            return self._handlers.failed(error)
        except Exception as error:  # a mistake of ours, which must not look to gdb like a dead line
            _log.exception("a request of gdb failed: %r", payload[:80])
            return self._handlers.failed(NullmodemError(f"nullmodem failed: {error!r}"))

    def _turn_away(self, error: NullmodemError) -> None:
        """A gdb whose first question gets an error takes that for a target that runs, and waits for it for ever
        (remote.c start_remote_1, up to 18 at least): it is better off when the line ends.
        """
        self._live.say(f"gdb is turned away: {error}")
        self._turned_away = True

    def _interrupt(self) -> None:
        """Ctrl-C. A gdb that waits while the target stands still, because another holds it, gets the stop there is.

        One that does not wait pressed it before it read of a stop, from which it may go on by itself.
        """
        try:
            stood = self._live.state is State.STOPPED
            self._handlers.interrupt()
            stop = self._live.stop
            if stood and self._waiting_after is not None and stop is not None:
                self._show(Stopped(stop))
        except NullmodemError as error:
            self._tell(str(error))

    # -- events --------------------------------------------------------------------------------------------------

    def _take_event(self, event: Event) -> bool:
        """False when there is nothing left to debug."""
        match event:
            case Said(text):
                self._tell(text)
            case Printed(client, text):
                if client == self._handlers.client:
                    self._print(text)
            case Lost(reason):
                if self._waiting_after is not None:
                    self._console(f"the target is lost: {reason}\n")
                    self._send(b"X%02x" % Terminated(SIGKILL).signal)
                return False
            case Stopped(stop) | ModulesChanged(stop=stop):
                if self._waiting_after is not None and (
                    stop.number > self._waiting_after or isinstance(event, ModulesChanged)
                ):
                    self._show(event)
            case _:
                pass
        return True

    def _show(self, event: Stopped | ModulesChanged) -> None:
        self._waiting_after = None
        try:
            reply = self._handlers.show(event.stop, library=isinstance(event, ModulesChanged))
        except (StateError, WireClosed):
            # Another client has let the target run in the meantime: there will be a next stop, or word of its loss.
            self._waiting_after = event.stop.number
            self._handlers.wait_on()
            return
        self._send(reply)

    # -- sending -------------------------------------------------------------------------------------------------

    def _console(self, text: str) -> None:
        self._send(ConsoleOutput(text.encode()).encode())

    def _tell(self, text: str) -> None:
        """Say a line as soon as gdb listens, which it does only while it waits."""
        self._print(text + "\n")

    def _print(self, text: str) -> None:
        self._unsaid.append(text)
        if self._waiting_after is not None:
            self._say_unsaid()

    def _say_unsaid(self) -> None:
        for text in self._unsaid:
            self._console(text)
        self._unsaid.clear()

    def _send(self, payload: bytes) -> None:
        self._protocol.send(payload)
        self._flush()

    def _flush(self) -> None:
        data = self._protocol.data_to_send()
        if data:
            with self._writing:
                self._socket.sendall(data)

    def _show_life(self) -> None:
        """One that acknowledges packets would count it."""
        if self._protocol.no_ack:
            with self._writing, contextlib.suppress(OSError):  # it does not read, or is gone
                self._socket.send(b"+", socket.MSG_DONTWAIT)
