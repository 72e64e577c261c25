# SPDX-License-Identifier: Apache-2.0
"""Rooms for clients in other processes: a session runs their Python beside itself, on its own machine.

drgn's reads, breakpoints and conditions are calls into the session. In the client's process each would cross a socket,
and the whole API would have to exist twice.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from nullmodem.api.control import is_this_user
from nullmodem.errors import NullmodemError, SessionError, UsageError
from nullmodem.frontends.python.room_protocol import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.machine import Machine
    from nullmodem.frontends.python.room import Room

_log = logging.getLogger(__name__)
_JOIN_SECONDS = 5.0


class RoomServer:
    """Listens for clients of one machine. Costs a thread that waits until the first of them comes."""

    def __init__(self, machine: Machine, path: Path) -> None:
        """Raises SessionError when the socket cannot be made."""
        self._machine = machine
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(str(path))
            path.chmod(0o600)
            self._listener.listen()
        except OSError as error:
            self._listener.close()
            raise SessionError(f"cannot listen on {path}: {error.strerror or error}") from error
        self._lock = threading.Lock()
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name="nullmodem-rooms", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up on everybody. Safe to call twice."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            clients = dict(self._clients)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # unlike close, wakes the thread in accept
        self._thread.join()
        self._listener.close()
        for connection in clients:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in clients.values():
            thread.join(_JOIN_SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="nullmodem-room", daemon=True)
            with self._lock:
                if self._closing or not is_this_user(connection):
                    connection.close()
                    continue
                self._clients[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            _Guest(self._machine, Channel(connection)).run()
        except (OSError, NullmodemError) as error:
            _log.info("a client of Python has gone: %s", error)
        except Exception:  # a mistake of ours; other clients are served on
            _log.exception("a client of Python could not be served")
        finally:
            with self._lock:
                self._clients.pop(connection, None)
            connection.close()


class _Guest:
    """One client and its room. This thread reads what the client wants, another one runs it."""

    def __init__(self, machine: Machine, channel: Channel) -> None:
        self._machine = machine
        self._channel = channel
        self._worker: threading.Thread | None = None
        self._lock = threading.Lock()
        self._interruptible = False
        self._wake: Callable[[], None] = _nobody_waits

    def run(self) -> None:
        """Until the client hangs up. Raises OSError, NullmodemError."""
        from nullmodem.frontends.python.debugger import Debugger  # noqa: PLC0415  # drgn, when the first client comes
        from nullmodem.frontends.python.room import Room  # noqa: PLC0415
        from nullmodem.frontends.python.target import Target  # noqa: PLC0415

        target = Target(self._machine, debugger=Debugger(self._machine, joining=True))
        self._wake = target.wake
        try:
            room = Room(target, self._say)
            room.names["input"] = _no_input
            self._channel.send(more=False)
            while (message := self._channel.receive()) is not None:
                self._take(room, message)
        finally:
            self._interrupt(again=True)
            if self._worker is not None:
                self._worker.join()
            target.debugger.close()

    def _take(self, room: Room, message: dict[str, Any]) -> None:
        match message:
            case {"interrupt": True}:
                self._interrupt()
            case {"banner": True}:
                self._start(lambda: {"banner": room.banner()})
            case {"complete": str(text)}:
                self._start(lambda: {"completions": room.complete(text)})
            case {"feed": str(source)}:
                self._start(lambda: _fed(room, source))
            case {"script": str(path), "source": str(source), "arguments": [*words]}:
                self._start(lambda: {"exit": room.run_script(Path(path), source, [str(word) for word in words])})
            case _:
                self._channel.send(output="the session does not understand this client\n")
                self._channel.send(exit=1)

    def _start(self, run: Callable[[], dict[str, Any]]) -> None:
        """Have something run, one after the other. Its answer is the end of it."""
        if self._worker is not None:
            self._worker.join()
        self._interruptible = True
        self._worker = threading.Thread(target=self._run, args=(run,), name="nullmodem-python-code", daemon=True)
        self._worker.start()

    def _run(self, run: Callable[[], dict[str, Any]]) -> None:
        with contextlib.suppress(OSError), _printing_to(self._say):
            answer: dict[str, Any] = {"more": False}
            try:
                answer = run()
                with self._lock:
                    self._interruptible = False
            except KeyboardInterrupt:  # it came between the code and here
                pass
            except Exception as error:  # the client waits for an answer, whatever happens
                _log.exception("Python for a client failed outside of its code")
                self._say(f"{type(error).__name__}: {error}\n")
            self._channel.send(**answer)

    def _interrupt(self, *, again: bool = False) -> None:
        """Raise KeyboardInterrupt in what runs: at once when it waits for the target, else as soon as it is Python
        again; once, or it would meet the answer."""
        with self._lock:
            worker = self._worker
            if worker is None or worker.ident is None or not (self._interruptible or again):
                return
            self._interruptible = False
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(worker.ident), ctypes.py_object(KeyboardInterrupt)
            )
        self._wake()

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # that the client has gone is seen by who reads
            self._channel.send(output=text)


def _nobody_waits() -> None:
    pass


def _fed(room: Room, source: str) -> dict[str, Any]:
    try:
        return {"more": room.feed(source)}
    except SystemExit as end:
        return {"exit": end.code if isinstance(end.code, int) else 0}


def _no_input(_prompt: str = "") -> str:
    raise UsageError("input() has nobody to ask: this code runs in the session's process")


# -- standard output -------------------------------------------------------------------------------------------------


class _Divided:
    """A standard stream of this process, but for threads that print to somebody else."""

    def __init__(self, own: TextIO) -> None:
        self._own = own
        self.others: dict[int, Callable[[str], None]] = {}

    def write(self, text: str) -> int:
        other = self.others.get(threading.get_ident())
        if other is None:
            return self._own.write(text)
        other(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


class _printing_to:  # noqa: N801  # used as a function
    """What this thread prints meanwhile goes to ``write``."""

    _lock = threading.Lock()

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __enter__(self) -> None:
        with self._lock:
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if not isinstance(stream, _Divided):
                    stream = _Divided(stream)
                    setattr(sys, name, stream)
                stream.others[threading.get_ident()] = self._write

    def __exit__(self, *_exception: object) -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, _Divided):
                stream.others.pop(threading.get_ident(), None)
