# SPDX-License-Identifier: Apache-2.0
"""A machine that is not there, behind a control socket that is."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from nullmodem.api import control_protocol as protocol
from nullmodem.api.control import ControlServer, Service
from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import RunningSession, SessionRecord
from support.pretend import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORD = SessionRecord(
    pid=os.getpid(),
    started=1.5,
    version="0.1",
    protocol=protocol.VERSION,
    kernel="6.1",
    release="6.1.0",
    vmlinux="/k/vmlinux",
    module="simple",
    workdir="/w",
)
SECONDS = 10.0


class Served:
    """A pretended machine behind a real socket."""

    def __init__(self, directory: Path) -> None:
        self.machine = Machine()
        self.quiet = 0.05
        self.session = RunningSession("simple", directory, RECORD)
        self.server = ControlServer()
        self.end_asked = threading.Event()
        self.remote = RemoteMachine(self.session)

    def listen(self) -> None:
        self.server.listen(self.session.control_socket)

    def serve(self) -> None:
        log = self.session.directory / "log"
        self.server.serve(Service(self.session, self.machine, ("/r/gdb.sock",), self.end_asked.set, log, self.quiet))

    def connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SECONDS)
        connection.connect(str(self.session.control_socket))
        return connection


@contextlib.contextmanager
def served_in_a_directory() -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as directory:
        served = Served(Path(directory))
        served.listen()
        served.serve()
        try:
            yield served
        finally:
            served.server.close()
            served.server.close()


def in_thread(function: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run something that waits; the thread, and a list that gets its result or what it raised."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(function())
        except Exception as error:  # handed to the test
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results
