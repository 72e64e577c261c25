# SPDX-License-Identifier: Apache-2.0
"""A fake kernel at the end of a line that comes and goes, and sessions attached to it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from nullmodem.api.attach import AttachOptions, attach, look_at_files
from nullmodem.api.lines import ConsoleAt
from nullmodem.frontends.gdb.server import listen_unix
from nullmodem.session.model import Policy
from nullmodem.wire.spec import parse_wire
from support.fakekernel import FakeKernel
from support.rig import PATIENCE_SECONDS, Arrival, Rig

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.api.machine import Machine


class Board:
    """A fake kernel that stands still, at a socket that anybody may connect to, one after the other.

    ``wire`` is how a session gets there, if not straight; ``away`` as `AttachOptions` has it.
    """

    def __init__(
        self,
        kernel: Path,
        directory: Path,
        *,
        wire: str = "",
        console: ConsoleAt = ConsoleAt.NONE,
        away: float = 20.0,
    ) -> None:
        self.rig = Rig(FakeKernel(kernel), directory, Policy.RELEASE)
        self.fake = self.rig.fake
        self.path = directory / "line"
        self.work = directory / "work"
        self.work.mkdir()
        self.journal = directory / "journal"
        self.options = AttachOptions(parse_wire(wire or f"unix:{self.path}"), kernel, console, ways=(), away=away)
        self._listener = listen_unix(self.path)
        self._peer: socket.socket | None = None
        self._lock = threading.Condition()
        self._runs = threading.Event()
        self._stops = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def attach(self) -> Machine:
        machine = attach("board", self.options, look_at_files(self.options), self.work, journal=self.journal)
        assert self._runs.wait(PATIENCE_SECONDS)
        return machine

    def happens(self, arrival: Arrival) -> None:
        """A processor of the running machine comes to a place."""
        with self._lock:
            self.rig.story.to_come.append(arrival)
            stop = self.rig.story(self.rig.machine, False)  # noqa: FBT003
            assert stop is not None
            said = self.fake.stop(stop)
            with contextlib.suppress(OSError):  # nobody is connected
                self._send(said)

    def prints(self, text: bytes) -> None:
        """The machine writes on its line, as soon as it runs: one that stands still prints nothing."""
        with self._lock:
            assert self._lock.wait_for(lambda: self.fake.running, PATIENCE_SECONDS)
            self._send(text)

    def reboot(self) -> None:
        with self._lock:
            self._send(self.fake.reboot())

    def unplug(self) -> None:
        """Whoever is connected hears that the line is gone."""
        assert self._peer is not None
        self._peer.shutdown(socket.SHUT_RDWR)

    def stop_for_the_next(self) -> None:
        """Have the machine stopped by the time somebody else is connected."""
        self._stops = True

    def _send(self, data: bytes) -> None:
        assert self._peer is not None
        self._peer.sendall(data)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener was shut down
            while True:
                peer, _address = self._listener.accept()
                if self._stops:
                    self.fake.typed.clear()  # what was asked while it ran
                    self.fake.stop()
                self._peer = peer
                with peer, contextlib.suppress(OSError):  # it hung up
                    while data := peer.recv(4096):
                        with self._lock:
                            peer.sendall(self.fake.receive(data))
                            self._lock.notify_all()
                        if self.fake.running:
                            self._runs.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # a test that failed has left it open
            self.unplug()
        self._thread.join(PATIENCE_SECONDS)
        self._listener.close()
        self.rig.close()
