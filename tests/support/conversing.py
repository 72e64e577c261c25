# SPDX-License-Identifier: Apache-2.0
"""An editor's conversation in this process: real from the editor to the session, with a gdb and a machine that are
not there.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nullmodem.api.control import ControlServer, Service
from nullmodem.api.sessions import claim
from nullmodem.frontends.dap.conversation import Conversation
from nullmodem.frontends.dap.editor import Editor
from support.dap import SECONDS, Connected
from support.pretend import Machine
from support.served import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

GDB = Path(__file__).with_name("pretended_gdb.py")
PATIENCE = 0.2


class Talk(Connected):
    """The editor's end. ``machine`` is what it debugs."""

    def __init__(self, connection: socket.socket, machine: Machine, thread: threading.Thread) -> None:
        super().__init__(connection)
        self.machine = machine
        self._conversation = thread

    def join(self, *gdb_commands: str, **more: Any) -> None:
        """Attach to the session; the target stands when this returns, and breakpoints may be set."""
        self.begin("attach", session="simple", gdbCommands=list(gdb_commands), showConsole=False, **more)

    def hang_up(self) -> None:
        self.connection.shutdown(socket.SHUT_WR)

    def ended(self) -> None:
        """Wait until the conversation is over."""
        self._conversation.join(SECONDS)
        assert not self._conversation.is_alive(), self.shown


@contextlib.contextmanager
def conversing() -> Iterator[Talk]:
    with tempfile.TemporaryDirectory() as runtime, pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_RUNTIME_DIR", runtime)
        entry = claim("simple", RECORD, exact=True)
        server, machine = ControlServer(), Machine()
        server.listen(entry.session.control_socket)
        server.serve(Service(entry.session, machine, ("/r/gdb.sock",), lambda: None, Path(runtime) / "log"))  # type: ignore[arg-type]
        ours, editors = socket.socketpair()
        conversation = Conversation(Editor(ours.sendall), lambda: ours.recv(1 << 16), str(GDB), PATIENCE)
        thread = threading.Thread(target=conversation.run)
        thread.start()
        try:
            with Talk(editors, machine, thread) as talk:
                try:
                    yield talk
                    talk.hang_up()
                    talk.ended()
                finally:
                    ours.shutdown(socket.SHUT_RDWR)
                    thread.join()
        finally:
            ours.close()
            server.close()
            entry.close()
