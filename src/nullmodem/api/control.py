# SPDX-License-Identifier: Apache-2.0
"""The control socket's server: what other processes of this user may have a session do."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.api import control_protocol as protocol
from nullmodem.api.commands import Outcome
from nullmodem.api.facts import load_map_facts, module_facts, stop_facts, target_facts
from nullmodem.api.failures import failure_of
from nullmodem.api.line_reader import LineReader
from nullmodem.api.recording import recording_of
from nullmodem.api.watching import watch
from nullmodem.errors import NullmodemError, RemoteProtocolError, SessionError, UsageError
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from nullmodem.api.commands import RunningCommand
    from nullmodem.api.machine import Machine
    from nullmodem.api.sessions import RunningSession
    from nullmodem.kbuild import Progress

_log = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 30.0
"""A client that connects sends its request at once; one that does not must not keep a thread for ever."""
_JOIN_SECONDS: Final = 5.0
_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_ROOM_SECONDS: Final = 0.1
"""Until a connection is accepted that there was no descriptor for."""
QUIET_SECONDS: Final = 5.0


def _no_page(_port: int) -> AbstractContextManager[str]:
    raise UsageError("this session has no page for browsers")


@dataclass(frozen=True, slots=True)
class Service:
    """What is served: a machine, under which name it is found, what gdb may connect to, how to ask for its end, and
    the file in which this process logs. A client that waits is told what for after ``quiet`` seconds. ``page`` serves a
    page for browsers on a port (0: a free one) as long as it is entered, and says where.
    """

    session: RunningSession
    machine: Machine
    gdb: tuple[str, ...]
    end: Callable[[], None]
    log: Path
    quiet: float = QUIET_SECONDS
    page: Callable[[int], AbstractContextManager[str]] = _no_page


class ControlServer:
    """Serves one session. `listen` first, so that clients may come; `serve` when there is something to serve.

    Closing it is the last thing to do: a client that asked for the end waits until its connection closes.
    """

    def __init__(self) -> None:
        self._listener: socket.socket | None = None
        self._service: Service | None = None
        self._thread = threading.Thread(target=self._accept, name="nullmodem-control", daemon=True)
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._closing = False
        self._ended = threading.Event()

    def listen(self, path: Path) -> None:
        """Raises SessionError when the socket cannot be made."""
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(path))
            path.chmod(0o600)
            listener.listen()
        except OSError as error:
            listener.close()
            msg = f"cannot listen on {path}: {error.strerror or error}"
            raise SessionError(msg) from error
        self._listener = listener

    def serve(self, service: Service) -> None:
        """Begin to answer."""
        self._service = service
        self._thread.start()

    def close(self) -> None:
        """Stop listening and hang up on everybody. Safe to call twice."""
        if self._listener is None:
            return
        with self._lock:
            self._closing = True
            self._ended.set()
            connections = dict(self._connections)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # unlike close, wakes the thread in accept
        if self._service is not None:
            self._thread.join()
        self._listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(_JOIN_SECONDS)

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError as error:
                # Others will close descriptors, but nobody tells of it.
                if error.errno in _NO_ROOM and not self._ended.wait(_ROOM_SECONDS):
                    continue
                return
            if not is_this_user(connection):
                connection.close()
                continue
            thread = threading.Thread(target=self._run, args=(connection,), name="nullmodem-control", daemon=True)
            with self._lock:
                if self._closing:
                    connection.close()
                    return
                self._connections[connection] = thread
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        assert self._service is not None
        try:
            Conversation(connection, self._service).run()
        except OSError:
            pass  # the client has gone, and with it whoever could be told
        finally:
            with self._lock:
                del self._connections[connection]
            connection.close()


def is_this_user(connection: socket.socket) -> bool:
    """Whether the peer of a Unix socket is this user or root."""
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid in (os.getuid(), 0)


class Conversation:
    """One connection: one request, and what is said to it. Raises OSError when the client goes."""

    def __init__(self, connection: socket.socket, service: Service) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._service = service
        self._machine = service.machine
        self._live = service.machine.live
        self._handlers: dict[type[protocol.Request], Callable[..., protocol.Result]] = {
            protocol.GetStatus: self._status,
            protocol.GetModules: self._modules,
            protocol.GetLoadMap: lambda request: load_map_facts(self._live.module(request.name)),
            protocol.Build: self._build,
            protocol.Load: self._load,
            protocol.Unload: self._unload,
            protocol.Reload: self._reload,
            protocol.Interrupt: lambda _request: stop_facts(self._live, self._machine.interrupt()),
            protocol.Continue: self._continue,
            protocol.Execute: self._execute,
            protocol.Push: self._push,
            protocol.AskKdb: self._ask_kdb,
            protocol.Record: self._record,
            protocol.ServeWeb: self._serve_web,
            protocol.Watch: self._watch,
            protocol.End: lambda _request: protocol.Ending(os.getpid()),
        }

    def run(self) -> None:
        self._connection.settimeout(REQUEST_SECONDS)
        try:
            line = LineReader(self._connection).read()
            self._connection.settimeout(None)
            if line is None:
                return
            request = protocol.parse_request(line)
            self._send(self._answer(request))
            if isinstance(request, protocol.End):
                self._service.end()
                self._connection.recv(1)  # until we end, or the client does
        except NullmodemError as error:
            self._send(failure_of(error))

    def _answer(self, request: protocol.Request) -> protocol.Result:
        try:
            return self._handlers[type(request)](request)
        except (NullmodemError, OSError):
            raise
        except Exception as error:  # a mistake of ours: whoever asked waits for an answer
            _log.exception("a request failed")
            msg = f"the session failed inside: {type(error).__name__}: {error}"
            raise SessionError(
                msg, hint=f"This is a bug in nullmodem; {self._service.log} has the traceback."
            ) from error

    def _modules(self, _request: protocol.GetModules) -> protocol.ModuleList:
        return protocol.ModuleList(tuple(module_facts(module) for module in self._live.modules()))

    def _build(self, request: protocol.Build) -> protocol.Built:
        built = self._machine.build(_absolute(request.path), self._progress)
        return protocol.Built(built.name, str(built.ko))

    def _load(self, request: protocol.Load) -> protocol.Done:
        command = self._machine.load(request.name, request.parameters, self._note)
        return self._done(request.name, command, through=request.through)

    def _unload(self, request: protocol.Unload) -> protocol.Done:
        return self._done(request.name, self._machine.unload(request.name, force=request.force))

    def _reload(self, request: protocol.Reload) -> protocol.Done:
        return self._done(request.name, self._machine.reload(request.name, self._progress, self._note))

    def _status(self, _request: protocol.GetStatus) -> protocol.SessionStatus:
        session, record = self._service.session, self._service.session.record
        return protocol.SessionStatus(
            name=session.name,
            pid=record.pid,
            started=record.started,
            kernel=record.kernel,
            release=record.release,
            module=record.module,
            known=self._machine.known,
            gdb=self._service.gdb,
            console=str(session.console_socket),
            target=target_facts(self._live.status()),
        )

    def _done(self, name: str, command: RunningCommand, *, through: bool = False) -> protocol.Done:
        """Wait for a command that changes modules or, unless ``through``, for a stop in the middle of it."""
        try:
            if through:
                command.wait(stops=False, until=self._connection)
                return protocol.Done(name.replace("-", "_"))
            stop = self._outcome(command, f"the change of {name}", always=True).stop
            stopped = stop_facts(self._live, stop) if stop is not None else None
            holder = self._machine.holder() if stop is not None else ""
        finally:
            command.leave(self._live.say)
        return protocol.Done(name.replace("-", "_"), stopped, holder)

    def _continue(self, request: protocol.Continue) -> protocol.Continued:
        if self._live.is_running:
            return protocol.Continued(ran=True)
        return protocol.Continued(ran=False, taken_from=self._machine.continue_target(force=request.force))

    def _push(self, request: protocol.Push) -> protocol.Pushed:
        return protocol.Pushed(self._machine.push(_absolute(request.file), request.destination or None, self._note))

    def _record(self, request: protocol.Record) -> protocol.Exited:
        with recording_of(self._live, _absolute(request.file)):
            self._send(protocol.Note(f"recording to {request.file}"))
            self._connection.recv(1)  # until the client ends, or we do
        return protocol.Exited(0)

    def _watch(self, _request: protocol.Watch) -> protocol.Ending:
        watch(self._live, self._send, self._connection)
        return protocol.Ending(os.getpid())

    def _serve_web(self, request: protocol.ServeWeb) -> protocol.Exited:
        if not 0 <= request.port < 1 << 16:
            raise RemoteProtocolError(f"there is no port {request.port}")
        with self._service.page(request.port) as url:
            self._send(protocol.Note(url))
            self._connection.recv(1)  # until the client ends, or we do
        return protocol.Exited(0)

    def _ask_kdb(self, request: protocol.AskKdb) -> protocol.Exited:
        self._output(self._live.run_kdb(request.command).encode())
        return protocol.Exited(0)

    def _execute(self, request: protocol.Execute) -> protocol.Exited:
        words = request.words
        if not words:
            msg = "there is no command to run"
            raise RemoteProtocolError(msg)
        command = words[0] if len(words) == 1 else words
        running = self._machine.execute(command, self._output)
        try:
            outcome = self._outcome(running, "the command")
            if outcome.stop is not None:
                where = stop_facts(self._live, outcome.stop).where
                self._send(protocol.Note(f"the target has stopped at {where}; the command goes on when it does"))
                outcome = running.wait(stops=False, until=self._connection)
            if outcome.result is None:
                raise ConnectionAbortedError
            return protocol.Exited(outcome.result.code)
        except OSError:  # the client has gone, be it while it was told something
            running.cancel()
            raise
        finally:
            running.close()

    def _outcome(self, command: RunningCommand, what: str, *, always: bool = False) -> Outcome:
        """Wait for the end of a command, for a stop, or for the client to go; and say so if that takes long.

        A command that takes its time on a target that is well is nobody's concern, unless ``always``.
        """
        quiet = self._service.quiet
        outcome = command.wait(quiet, until=self._connection)
        if outcome != Outcome() or wait_readable([self._connection], 0):
            return outcome
        met = f"{what} has not ended after {quiet:.0f} s"
        if not self._machine.answers(quiet):
            help_ = "if its kernel loops, `nullmodem interrupt` stops it and says where"
            self._send(protocol.Note(f"{met}, and the target does nothing else meanwhile: {help_}"))
        elif always:
            self._send(protocol.Note(f"{met}; the target is well otherwise"))
        return command.wait(until=self._connection)

    def _progress(self, progress: Progress) -> None:
        self._send(
            protocol.BuildProgress(
                progress.stage.value, progress.fraction, progress.seconds_left, progress.detail[: 1 << 12]
            )
        )

    def _note(self, text: str) -> None:
        with contextlib.suppress(OSError):  # that the client has gone does not leave a file half copied
            self._send(protocol.Note(text))

    def _output(self, data: bytes) -> None:
        # In the command's thread. That the client has gone is seen, and dealt with, by the one that waits for both.
        with contextlib.suppress(OSError):
            for start in range(0, len(data), protocol.OUTPUT_CHUNK):
                self._send(protocol.OutputPart(data[start : start + protocol.OUTPUT_CHUNK]))

    def _send(self, message: protocol.Message) -> None:
        with self._sending:
            self._connection.sendall(protocol.encode_message(message))


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or "\0" in text:
        msg = f"{text[:200]!r} is not an absolute path"
        raise RemoteProtocolError(msg)
    return path
