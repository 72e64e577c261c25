# SPDX-License-Identifier: Apache-2.0
"""The target's console: one line, many readers, one writer at a time.

Everything the console prints goes to the log file, to the last HISTORY bytes kept in memory, and to listeners. One
thread reads the line; it waits for nobody else, or the target's printk would wait too.

BREAK followed by a character is a command to the kernel (sysrq), so nothing may be typed between the two.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import logging
import re
import socket
import termios
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from nullmodem.errors import TargetError, TargetLost, TargetStands, WireTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Listener = Callable[[bytes], None]

HISTORY = 1 << 20

# A target that prints in a loop must not fill the disk: the log file is this long at most, its predecessor is kept.
_LOG_LIMIT = 64 << 20

_log = logging.getLogger(__name__)


class Console:
    """Owns ``sock``, the host's end of the console's line, and writes what it prints to the file ``log``.

    A log longer than ``log_limit`` bytes is renamed, with ``.1`` at its end, and begun again. ``refuses`` says why
    nothing may be typed now; an empty string: something may.
    """

    def __init__(
        self, sock: socket.socket, log: Path, *, log_limit: int = _LOG_LIMIT, refuses: Callable[[], str] = lambda: ""
    ) -> None:
        self._socket = sock
        self._refuses = refuses
        self._log_path = log
        self._log_limit = log_limit
        self._log_size = 0
        self._log = log.open("wb", buffering=0)
        self._input = threading.Lock()
        self._in_flight = threading.Lock()
        self._next = threading.Lock()
        self._output = threading.Lock()
        self._changed = threading.Condition()
        self._history = bytearray()
        self._position = 0
        self._ended = False
        self._listeners: tuple[Listener, ...] = ()
        self._thread = threading.Thread(target=self._read, name="nullmodem-console", daemon=True)
        self._thread.start()

    @property
    def position(self) -> int:
        """How many bytes the console has printed so far."""
        return self._position

    def text(self, since: int = 0) -> str:
        """What was printed from position ``since`` on, as far as the last HISTORY bytes hold it."""
        with self._changed:
            raw = self._since(since)
        return raw.decode(errors="replace").replace("\r\n", "\n")

    def tail(self, lines: int = 15) -> str:
        """The last ``lines`` lines printed."""
        return "\n".join(self.text().rstrip().splitlines()[-lines:])

    def wait(self, pattern: str, timeout: float, *, since: int = 0) -> re.Match[str]:
        """Wait until ``pattern`` is found in what is printed from position ``since`` on.

        Raises WireTimeout with the console's last lines after ``timeout`` seconds, TargetLost when the line ends.
        """
        regex = re.compile(pattern)
        deadline = time.monotonic() + timeout
        while True:
            seen = self._position
            if found := regex.search(self.text(since)):
                return found
            if self._ended and self._position == seen:
                raise TargetLost(f"the target ended before its console printed {pattern!r}")
            with self._changed:
                more = self._changed.wait_for(self._beyond(seen), max(0.0, deadline - time.monotonic()))
            if not more:
                raise WireTimeout(
                    f"the console did not print {pattern!r} within {timeout:g} s; it ends with:\n{self.tail()}"
                )

    def follow(self, position: int, stop: threading.Event) -> tuple[bytes, int]:
        """Wait for more than ``position`` bytes to have been printed: what came after, and the new position.

        A reader that is more than HISTORY bytes behind gets the last HISTORY of them. Empty when the console ended, or
        when ``stop`` was set and ``poke`` called.
        """
        with self._changed:
            beyond = self._beyond(position)
            self._changed.wait_for(lambda: beyond() or stop.is_set())
            return self._since(position), self._position

    def more(self, position: int, timeout: float) -> tuple[bytes | None, int]:
        """`follow` for a reader that has ``timeout`` seconds: None instead of text when nothing came."""
        with self._changed:
            if not self._changed.wait_for(self._beyond(position), timeout):
                return None, position
            return self._since(position), self._position

    def poke(self) -> None:
        """Make everybody in ``follow`` look at its ``stop``."""
        with self._changed:
            self._changed.notify_all()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with everything printed from now on, in the console's thread: it must not block.

        Returns the function that ends it. A listener that raises is dropped.
        """
        with self._changed:
            self._listeners = (*self._listeners, listener)
        return lambda: self._drop(listener)

    def announce(self, text: str) -> None:
        """Show a line that is not the target's: readers, the log and listeners get it as if it had been printed."""
        shown = "".join(character if character.isprintable() else "?" for character in text)
        self._take(f"\r\nnullmodem: {shown}\r\n".encode())

    def write(self, data: bytes) -> None:
        """Type ``data``. Does not wait for the target to read it.

        Raises TargetStands when nothing may be typed now, TargetError when the target has left too much unread,
        TargetLost when it is gone.
        """
        if reason := self.refusal():
            raise TargetStands(reason)
        self.write_later(data)

    def write_later(self, data: bytes) -> None:
        """`write`, even if nothing may be typed now: on a line that its debugger has, it waits until the target runs.

        Raises TargetError when the target has left too much unread, TargetLost.
        """
        with self._input:
            self._send(data)

    @contextlib.contextmanager
    def undisturbed(self, timeout: float | None = 3.0) -> Iterator[None]:
        """While nothing of a file that is typed is on its way: the kernel would take it for a command after a BREAK,
        and a stub that has just stopped it for a bad answer.

        Raises TargetError when that does not end within ``timeout`` seconds.
        """
        wait = -1 if timeout is None else timeout
        # Whoever waits is the next: without that, a file would take the lock again and again before anybody else.
        with self._next:
            free = self._in_flight.acquire(timeout=wait)
        if not free:
            raise TargetError(
                "a file is being typed on the console, and the target does not read it",
                hint="Try again in some seconds.",
            )
        try:
            yield
        finally:
            self._in_flight.release()

    def refusal(self) -> str:
        """Why nothing may be typed now; an empty string: something may."""
        return self._refuses()

    def send_sysrq(self, key: str, send_break: Callable[[], None]) -> None:
        """Send BREAK and ``key`` with nothing between. ``send_break`` must not return before the UART has the BREAK.

        Raises TargetError when something typed before is still unread: the kernel would take that for the command.
        """
        with self._input:
            if unread := self._unread():
                raise TargetError(
                    f"{unread} bytes typed on the console are not yet read by the target; "
                    "after a BREAK the kernel would take the first of them for a command",
                    hint="is the target stopped already? If it runs, try again",
                )
            send_break()
            self._send(key.encode())

    def join(self, timeout: float) -> None:
        """Wait until the other end has closed the line and everything it sent was taken, at most ``timeout`` s."""
        self._thread.join(timeout)

    def close(self) -> None:
        """Close the line and the log. May be called again."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        self._log.close()

    def _since(self, position: int) -> bytes:
        first = self._position - len(self._history)
        return bytes(self._history[max(0, position - first) :])

    def _beyond(self, position: int) -> Callable[[], bool]:
        return lambda: self._position > position or self._ended

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[self._socket.send(view, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            raise TargetError(
                f"the target does not read its console: {len(view)} of {len(data)} bytes could not be typed",
                hint="is it stopped in the debugger?",
            ) from None
        except OSError as error:
            raise TargetLost(f"the target's console is gone: {error.strerror}") from error

    def _unread(self) -> int:
        """What we wrote and the other end of this unix socket has not read; 0 when nothing, else at least 1."""
        count = array.array("i", [0])
        # ValueError: closed here, which sending will report.
        with contextlib.suppress(OSError, ValueError):
            fcntl.ioctl(self._socket, termios.TIOCOUTQ, count)
        return count[0]

    def _read(self) -> None:
        while data := self._receive():
            self._take(data)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(self, data: bytes) -> None:
        with self._output:
            # A full disk costs the log, not the console: what is in memory goes on.
            with contextlib.suppress(OSError, ValueError):  # ValueError: the log is closed, and so is the console
                self._record(data)
            with self._changed:
                self._history += data
                del self._history[:-HISTORY]
                self._position += len(data)
                self._changed.notify_all()
                listeners = self._listeners
            for listener in listeners:
                try:
                    listener(data)
                except Exception:  # whatever it is: the console is read on, or the target's printk would wait
                    _log.exception("a listener of the console failed and is dropped")
                    self._drop(listener)

    def _record(self, data: bytes) -> None:
        if self._log_size > self._log_limit:
            self._log_path.replace(self._log_path.with_name(self._log_path.name + ".1"))
            self._log.close()
            self._log = self._log_path.open("wb", buffering=0)
            self._log_size = 0
        self._log_size += self._log.write(data)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except OSError:
            return b""

    def _drop(self, listener: Listener) -> None:
        with self._changed:
            self._listeners = tuple(other for other in self._listeners if other is not listener)
