# SPDX-License-Identifier: Apache-2.0
"""Commands on the target, several at once: a pool of command ports, one thread reading each.

A port is *starting* until its agent has said that it is there, then *idle*, then *busy* with one command until that
command has ended, even when its caller has given up waiting: a port never mixes two commands.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import threading
import time
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

from nullmodem.errors import CommandError, CommandTimeout, TargetError, TargetLost
from nullmodem.targets.agent_protocol import Finished, Output, PortDecoder, Ready, encode_request, new_tag
from nullmodem.targets.target import ExecResult, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# How much of a command's output may wait for its caller before the port is no longer read and the command waits too.
_WINDOW = 4 << 20

# Output that is collected, rather than taken piece by piece with on_output, has to fit in memory.
OUTPUT_LIMIT = 256 << 20

# How long an agent that was killed may take to come back; pid 1 of the target respawns it after a second.
_RESPAWN_TIMEOUT = 15.0

# The exit status that timeout(1) gives a command that took too long.
TIMED_OUT = 124


class _State(Enum):
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    LOST = "lost"


class _Call:
    """One command under way: what the port's thread hands to the caller's."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.tag = new_tag()
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._code: int | None = None
        self._error: TargetError | None = None
        self._abandoned = False

    @property
    def finished(self) -> bool:
        return self._code is not None or self._error is not None

    def put(self, data: bytes) -> None:
        """Blocks while the caller is far behind, unless it has given up: its port must be emptied all the same."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < _WINDOW or self._abandoned or self.finished)
            if not self._abandoned:
                self._chunks.append(data)
                self._waiting += len(data)
                self._changed.notify_all()

    def finish(self, code: int) -> None:
        with self._changed:
            self._code = code
            self._changed.notify_all()

    def fail(self, error: TargetError) -> None:
        with self._changed:
            if not self.finished:
                self._error = error
            self._changed.notify_all()

    def abandon(self) -> None:
        with self._changed:
            self._abandoned = True
            self._chunks.clear()
            self._waiting = 0
            self._changed.notify_all()

    def chunks(self, deadline: float | None) -> Iterator[bytes]:
        """What the command prints, until it has ended. Raises TimeoutError at ``deadline`` (time.monotonic())."""
        while True:
            with self._changed:
                ready = self._changed.wait_for(lambda: self._chunks or self.finished, _remaining(deadline))
                if not ready:
                    raise TimeoutError
                data = b"".join(self._chunks)
                self._chunks.clear()
                self._waiting = 0
                self._changed.notify_all()
            if not data:
                return
            yield data

    def code(self) -> int:
        """The exit status. Only after ``chunks`` ended. Raises what ended the command if it was not its own end."""
        if self._error is not None:
            raise self._error
        assert self._code is not None
        return self._code


class AgentPool:
    """The command ports of one target.

    ``sockets`` are the host's ends, connected; the pool owns them. The last one is kept for what is urgent: the end of
    a command must not wait for another's. ``secret`` is what the agents identify themselves
    with. ``on_ready`` is called once, when every port has its agent, in the thread of the last one.
    """

    def __init__(self, sockets: Sequence[socket.socket], secret: bytes, on_ready: Callable[[], None]) -> None:
        self._changed = threading.Condition()
        self._ports = [_Port(number, sock, secret, self._changed) for number, sock in enumerate(sockets)]
        self._on_ready: Callable[[], None] | None = on_ready
        for port in self._ports:
            port.on_start = self._started
            port.thread.start()

    def execute(
        self,
        command: str | Sequence[str],
        *,
        timeout: float | None = None,
        on_output: Callable[[bytes], None] | None = None,
        urgent: bool = False,
    ) -> ExecResult:
        """Run ``command`` (text for the shell, or words it must not interpret) and wait for its end.

        ``timeout`` is in seconds; None waits for ever, which is right for a command that stands still because the
        target is stopped in the debugger. ``on_output`` gets the output piece by piece as it comes, in this thread.

        Raises CommandTimeout, TargetLost, UsageError for what is no command, TargetError when every port is busy, and
        CommandError when the command's shell was killed or the output is more than OUTPUT_LIMIT.
        """
        line = command if isinstance(command, str) else shlex.join(command)
        call = _Call(line)
        request = encode_request(call.tag, line)
        deadline = None if timeout is None else time.monotonic() + timeout
        collected = bytearray()
        try:
            self._take(call, deadline, urgent=urgent).send(request)
            for data in call.chunks(deadline):
                if on_output is not None:
                    on_output(data)
                    continue
                collected += data
                if len(collected) > OUTPUT_LIMIT:
                    raise CommandError(
                        f"`{shorten(line)}` on the target printed more than {OUTPUT_LIMIT >> 20} MiB",
                        code=TIMED_OUT,
                        output="",
                        hint="send its output to a file under /host",
                    )
            return ExecResult(line, call.code(), bytes(collected))
        except TimeoutError:
            raise _timed_out(line, timeout, bytes(collected)) from None
        finally:
            call.abandon()

    def still_running(self, timeout: float) -> tuple[str, ...]:
        """Wait until every command has ended, at most ``timeout`` seconds; those that have not."""
        with self._changed:
            self._changed.wait_for(lambda: not any(port.command for port in self._ports), timeout)
            return tuple(port.command for port in self._ports if port.command)

    def close(self) -> None:
        """Close the ports; commands under way raise TargetLost."""
        for port in self._ports:
            port.close()

    def _started(self) -> None:
        with self._changed:
            if self._on_ready is None or any(port.state is _State.STARTING for port in self._ports):
                return
            announce, self._on_ready = self._on_ready, None
        announce()

    def _take(self, call: _Call, deadline: float | None, *, urgent: bool) -> _Port:
        """A free port, given to ``call``. What is urgent waits for one: those that are busy with the like soon end."""
        ports = self._ports if urgent else self._ports[:-1]
        limit = time.monotonic() + _RESPAWN_TIMEOUT
        if deadline is not None:
            limit = min(limit, deadline)
        with self._changed:
            # A port whose agent is being respawned is worth waiting for; one that runs a command may never be free.
            self._changed.wait_for(lambda: _free_or_hopeless(ports, patient=urgent), _remaining(limit))
            for port in ports:
                if port.state is _State.IDLE:
                    port.give(call)
                    return port
            if any(port.state is _State.LOST for port in ports):
                raise TargetLost(f"the target is gone; `{shorten(call.command)}` was not run")
            running = "; ".join(f"`{shorten(port.command, 40)}`" for port in ports if port.command)
            raise TargetError(
                f"`{shorten(call.command)}` was not run: all {len(ports)} command ports are busy"
                + (f" with {running}" if running else ""),
                hint="let one of these end, or start long ones in the background: `COMMAND &`",
            )


class _Port:
    """One command port, and the thread that reads it. Its state is guarded by the pool's condition."""

    def __init__(self, number: int, sock: socket.socket, secret: bytes, changed: threading.Condition) -> None:
        self.state = _State.STARTING
        self.on_start: Callable[[], None] = lambda: None
        self.thread = threading.Thread(target=self._read, name=f"nullmodem-port-{number}", daemon=True)
        self._socket = sock
        self._decoder = PortDecoder(secret)
        self._changed = changed
        self._call: _Call | None = None

    @property
    def command(self) -> str:
        return self._call.command if self._call is not None else ""

    def give(self, call: _Call) -> None:
        self.state = _State.BUSY
        self._call = call
        self._decoder.expect(call.tag)

    def send(self, request: bytes) -> None:
        # The reading thread sees the same end of the line and fails the call with the reason.
        with contextlib.suppress(OSError):
            self._socket.sendall(request)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._call is not None:
            self._call.abandon()
        self.thread.join()
        self._socket.close()

    def _read(self) -> None:
        while data := self._receive():
            with self._changed:
                call = self._call
                events = self._decoder.feed(data)
            for event in events:
                match event:
                    case Output(data=output):
                        assert call is not None
                        call.put(output)
                    case Finished(code=code):
                        self._become(_State.IDLE)
                        assert call is not None
                        call.finish(code)
                    case Ready():
                        # Not `call`: since then the port may have been given another one, which this agent never saw.
                        if (orphan := self._become(_State.IDLE)) is not None:
                            orphan.fail(_killed(orphan.command))
                        self.on_start()
        if (orphan := self._become(_State.LOST)) is not None:
            orphan.fail(TargetLost(f"the target ended while it ran `{shorten(orphan.command)}`"))

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except OSError:
            return b""

    def _become(self, state: _State) -> _Call | None:
        """Leave the command, if there is one, and return it."""
        with self._changed:
            call, self._call = self._call, None
            self.state = state
            self._changed.notify_all()
            return call


def _free_or_hopeless(ports: Sequence[_Port], *, patient: bool) -> bool:
    states = {port.state for port in ports}
    return _State.IDLE in states or _State.LOST in states or (_State.STARTING not in states and not patient)


def _remaining(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _killed(command: str) -> CommandError:
    return CommandError(
        f"the target's shell that ran `{shorten(command)}` was killed; how the command ended is not known",
        code=137,
        output="",
    )


def _timed_out(command: str, timeout: float | None, output: bytes) -> CommandTimeout:
    text = output.decode(errors="replace")
    said = f"; its last words: {text[-200:].strip()!r}" if text.strip() else "; it has printed nothing"
    return CommandTimeout(
        f"`{shorten(command)}` on the target still runs after {timeout:g} s{said}",
        code=TIMED_OUT,
        output=text,
        hint="it may wait for something, or the target may be stopped in the debugger",
    )
