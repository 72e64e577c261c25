# SPDX-License-Identifier: Apache-2.0
"""A session in another process: the verbs of `Machine`, over its control socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, TypeVar

from nullmodem.api import control_protocol as protocol
from nullmodem.api.facts import LoadMapFacts, StopFacts
from nullmodem.api.failures import Failure, error_of
from nullmodem.api.line_reader import LineReader
from nullmodem.errors import NoSessionError, RemoteProtocolError, SessionError, SessionGone, WireTimeout
from nullmodem.kbuild import Progress, Stage
from nullmodem.kbuild.progress import silent
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from nullmodem.api.facts import ModuleFacts
    from nullmodem.api.sessions import RunningSession
    from nullmodem.kbuild import ProgressCallback

T = TypeVar("T")

ANSWER_SECONDS = 60.0
"""For what a session answers at once, unless the target is slow to stop."""


def _nobody(_said: object) -> None:
    """For requests that print nothing."""


class RemoteMachine:
    """The machine of a running session. Every method opens a connection of its own and may be called from any thread.

    Errors are those `Machine` raises in the session's process, and SessionError when that process ends meanwhile.
    """

    def __init__(self, session: RunningSession) -> None:
        """Raises SessionError for a session of a nullmodem that speaks another protocol."""
        self.session = session
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._abandoned = False
        if session.record.protocol != protocol.VERSION:
            version = session.record.version
            msg = f"the session {session.name!r} was started by nullmodem {version}, which speaks another protocol"
            raise SessionError(msg, hint=f"End it where it was started, or with `kill {session.record.pid}`.")

    # -- facts ---------------------------------------------------------------------------------------------------

    def status(self, timeout: float = ANSWER_SECONDS) -> protocol.SessionStatus:
        return self._ask(protocol.GetStatus(), protocol.SessionStatus, timeout=timeout)

    def modules(self) -> tuple[ModuleFacts, ...]:
        return self._ask(protocol.GetModules(), protocol.ModuleList, timeout=ANSWER_SECONDS).modules

    def load_map(self, name: str) -> LoadMapFacts:
        """Raises UsageError for a module that is not loaded."""
        return self._ask(protocol.GetLoadMap(name), LoadMapFacts, timeout=ANSWER_SECONDS)

    # -- modules -------------------------------------------------------------------------------------------------

    def build(self, path: Path, progress: ProgressCallback = silent) -> protocol.Built:
        """Build a module, so that it can be loaded by name. Raises BuildError, UsageError."""
        return self._ask(protocol.Build(str(path.absolute())), protocol.Built, progress=progress)

    def load(
        self, name: str, parameters: Sequence[str] = (), on_note: Callable[[str], None] = _nobody
    ) -> protocol.Done:
        """Load a module; returns when that is done, or the target has stopped in the middle of it.

        ``on_note`` is told when it takes long.
        """
        return self._ask(protocol.Load(name, tuple(parameters)), protocol.Done, on_note=on_note)

    def load_through(self, name: str, parameters: Sequence[str] = ()) -> None:
        """Load a module; returns when that is done, however often the target stops meanwhile."""
        self._ask(protocol.Load(name, tuple(parameters), through=True), protocol.Done)

    def unload(self, name: str, *, force: bool = False, on_note: Callable[[str], None] = _nobody) -> protocol.Done:
        """Unload a module; returns as `load` does."""
        return self._ask(protocol.Unload(name, force), protocol.Done, on_note=on_note)

    def reload(
        self, name: str, progress: ProgressCallback = silent, on_note: Callable[[str], None] = _nobody
    ) -> protocol.Done:
        """Rebuild, unload and load a module; returns as `load` does. Raises BuildError: the old one stays loaded."""
        return self._ask(protocol.Reload(name), protocol.Done, progress=progress, on_note=on_note)

    # -- the machine ---------------------------------------------------------------------------------------------

    def interrupt(self) -> StopFacts:
        """Stop the target. Raises WireTimeout when it does not."""
        return self._ask(protocol.Interrupt(), StopFacts, timeout=ANSWER_SECONDS)

    def continue_target(self, *, force: bool = False) -> protocol.Continued:
        """Let the target run. Raises LeaseError when a debugger holds it, unless ``force``."""
        return self._ask(protocol.Continue(force), protocol.Continued, timeout=ANSWER_SECONDS)

    def execute(
        self, words: Sequence[str], on_output: Callable[[bytes], None], on_note: Callable[[str], None] = _nobody
    ) -> int:
        """Run a command in the target's shell; returns its exit status. Raises StateError while it is stopped.

        ``on_note`` is told when a breakpoint stops the target under the command, or when nothing gets done there.
        """
        done = self._ask(protocol.Execute(tuple(words)), protocol.Exited, on_output=on_output, on_note=on_note)
        return done.code

    def ask_kdb(self, command: str, on_output: Callable[[bytes], None]) -> None:
        """Have the kernel's kdb run a command that looks at the stopped target.

        Raises UsageError when the kernel has no kdb, or the command is not to be sent; StateError while it runs.
        """
        self._ask(protocol.AskKdb(command), protocol.Exited, on_output=on_output)

    def record(self, file: Path, ending: int, on_note: Callable[[str], None] = _nobody) -> bool:
        """Have the session record its line to a new file until the descriptor ``ending`` is readable.

        ``on_note`` is told when it has begun. Returns whether the session is still there. Raises UsageError: the file
        cannot be made, or it is recorded already.
        """
        return self._lasts(protocol.Record(str(file.absolute())), ending, on_note)

    def serve_web(self, ending: int, on_address: Callable[[str], None], port: int = 0) -> bool:
        """Have the session serve a page for browsers until the descriptor ``ending`` is readable.

        ``on_address`` is told where; ``port`` 0 takes a free one. Returns whether the session is still there.

        Raises UsageError: what a page needs is not installed there; SessionError: the port is in use.
        """
        return self._lasts(protocol.ServeWeb(port), ending, on_address)

    def _lasts(self, request: protocol.Request, ending: int, on_note: Callable[[str], None]) -> bool:
        """What the session does until we hang up, or it ends, once it has begun; whether it was we."""
        ended_by_session = False
        with self._waiting(None) as connection:

            def begun(text: str) -> None:
                nonlocal ended_by_session
                on_note(text)
                ended_by_session = ending not in wait_readable([connection.fileno(), ending])
                connection.shutdown(socket.SHUT_WR)

            try:
                self._exchange(connection, request, protocol.Exited, on_note=begun)
            except SessionGone:
                if not ended_by_session:
                    raise
                return False
        return True

    def push(self, file: Path, destination: str = "", on_note: Callable[[str], None] = _nobody) -> str:
        """Copy a file to the target; returns its path there. ``on_note`` is told how far it is when it takes long."""
        return self._ask(protocol.Push(str(file.absolute()), destination), protocol.Pushed, on_note=on_note).path

    def watch(self) -> RemoteEvents:
        """What happens in the session from now on. Raises NoSessionError."""
        events = RemoteEvents(self._connect(None), self._gone)
        events.begin()
        return events

    def abandon(self) -> None:
        """Have every request that waits for its answer raise SessionError, and all from now on, but for `stop`.

        The session gives up what they asked for. From any thread.
        """
        with self._lock:
            self._abandoned = True
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def stop(self, timeout: float = ANSWER_SECONDS) -> None:
        """End the session; returns when it has ended."""
        with self._connect(timeout) as connection:
            self._exchange(connection, protocol.End(), protocol.Ending)
            try:
                while connection.recv(1 << 16):
                    pass
            except TimeoutError:
                raise self._silent(timeout) from None
            except OSError:
                return  # reset instead of closed: it has ended all the same

    # -- one exchange --------------------------------------------------------------------------------------------

    def _ask(
        self,
        request: protocol.Request,
        result: type[T],
        *,
        progress: ProgressCallback = silent,
        on_output: Callable[[bytes], None] = _nobody,
        on_note: Callable[[str], None] = _nobody,
        timeout: float | None = None,
    ) -> T:
        with self._waiting(timeout) as connection:
            return self._exchange(connection, request, result, progress, on_output, on_note)

    @contextlib.contextmanager
    def _waiting(self, timeout: float | None) -> Iterator[socket.socket]:
        """A connection that `abandon` ends."""
        with self._connect(timeout) as connection:
            with self._lock:
                if self._abandoned:
                    raise self._gone()
                self._open.add(connection)
            try:
                yield connection
            finally:
                with self._lock:
                    self._open.discard(connection)

    def _connect(self, timeout: float | None) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        try:
            connection.connect(str(self.session.control_socket))
        except FileNotFoundError:
            connection.close()
            msg = f"the session {self.session.name!r} takes no commands yet: it is starting"
            raise NoSessionError(msg, hint="Wait until its target has booted.") from None
        except OSError as error:
            connection.close()
            msg = f"the session {self.session.name!r} does not answer: {error.strerror or error}"
            raise NoSessionError(msg, hint=f"Its process is {self.session.record.pid}.") from error
        return connection

    def _exchange(
        self,
        connection: socket.socket,
        request: protocol.Request,
        result: type[T],
        progress: ProgressCallback = silent,
        on_output: Callable[[bytes], None] = _nobody,
        on_note: Callable[[str], None] = _nobody,
    ) -> T:
        reader = LineReader(connection)
        try:
            connection.sendall(protocol.encode_request(request))
            while (line := reader.read()) is not None:
                match protocol.parse_message(line, result):
                    case protocol.BuildProgress() as report:
                        progress(_progress(report))
                    case protocol.OutputPart(data):
                        on_output(data)
                    case protocol.Note(text):
                        on_note(text)
                    case Failure() as failure:
                        raise error_of(failure)
                    case protocol.SessionEvent():
                        raise RemoteProtocolError("the session told of an event that nobody had asked for")
                    case answer:
                        return answer
        except TimeoutError:
            raise self._silent(connection.gettimeout() or 0.0) from None
        except ConnectionError as error:
            raise self._gone() from error
        raise self._gone()

    def _gone(self) -> SessionError:
        if self._abandoned:
            return SessionError(f"what was asked of the session {self.session.name!r} was given up")
        return SessionGone(f"the session {self.session.name!r} ended before it had answered")

    def _silent(self, timeout: float) -> WireTimeout:
        msg = f"the session {self.session.name!r} did not answer within {timeout:.0f} s"
        return WireTimeout(msg, hint=f"If it hangs, `kill {self.session.record.pid}` ends it and its target.")


class RemoteEvents:
    """An open connection on which a session tells what happens."""

    def __init__(self, connection: socket.socket, gone: Callable[[], SessionError]) -> None:
        self._connection = connection
        self._reader = LineReader(connection)
        self._gone = gone

    def begin(self) -> None:
        """Ask for events; once this returns, none is missed. Raises SessionError."""
        try:
            self._connection.sendall(protocol.encode_request(protocol.Watch()))
        except OSError as error:
            raise self._gone() from error
        if self.next() is None:
            raise self._gone()

    def next(self) -> protocol.SessionEvent | None:
        """Wait for the next event; None when the session has ended, or this was closed."""
        try:
            line = self._reader.read()
        except OSError:
            return None
        if line is None:
            return None
        match protocol.parse_message(line, protocol.Ending):
            case protocol.SessionEvent() as event:
                return event
            case Failure() as failure:
                raise error_of(failure)
            case _:
                return None

    def close(self) -> None:
        """Safe from any thread, and to call twice: whoever waits in `next` is woken."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def dispose(self) -> None:
        """Give the connection back, once nobody waits in `next`."""
        self._connection.close()


def _progress(report: protocol.BuildProgress) -> Progress:
    try:
        stage = Stage(report.stage)
    except ValueError:
        msg = f"the session reported an unknown stage of a build, {report.stage[:40]!r}"
        raise RemoteProtocolError(msg) from None
    return Progress(stage, report.fraction, report.seconds_left, report.detail)
