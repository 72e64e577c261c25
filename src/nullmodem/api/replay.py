# SPDX-License-Identifier: Apache-2.0
"""Looking at a recording: a session, or just a stub, whose target is a file."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import threading
from typing import TYPE_CHECKING

from nullmodem.api.live import LiveSession
from nullmodem.errors import UsageError
from nullmodem.kbuild import cache_root
from nullmodem.session.cache import LINE
from nullmodem.session.events import EventBus
from nullmodem.session.session import Session
from nullmodem.session.world import Files
from nullmodem.stub.arch import by_name
from nullmodem.stub.client import KgdbStub
from nullmodem.stub.replay import Replay, serve
from nullmodem.symbols.finder import ModuleFinder
from nullmodem.symbols.for_gdb import vmlinux_for_gdb
from nullmodem.symbols.store import ModuleStore
from nullmodem.symbols.types import TypeInfo
from nullmodem.symbols.vmlinux import Vmlinux
from nullmodem.waiting import wait_readable
from nullmodem.wire.recording import Recording, read_recording
from nullmodem.wire.streams import SocketStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Recording", "ReplaySession", "StubServer", "read_recording"]

TAKE_OVER_SECONDS = 30.0


class ReplaySession:
    """A session on a recording. ``live`` stands at the first stop; each resume leads to the next one recorded.

    Args:
        recording: from `read_recording`.
        vmlinux: the kernel that was recorded.
        search: directories with the files of its modules, or the files.
        workdir: where files for gdb are made.
        say: told what was not recorded, and the end; called from threads of ours.

    Raises:
        UsageError: the recording has no stop, or is of a processor that is not supported.
        IdentityError, KernelDataError, MemoryFault: it is another kernel, or does not begin where a session did.
    """

    def __init__(
        self,
        recording: Recording,
        vmlinux: Path,
        search: Sequence[Path],
        workdir: Path,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        symbols = Vmlinux.open(vmlinux)
        arch = by_name(recording.header.arch)
        replay = Replay(recording, arch, on_missing=say)
        files = Files(
            symbols,
            vmlinux_for_gdb(symbols, cache_root() / "vmlinux"),
            TypeInfo.open(vmlinux),
            ModuleFinder(tuple(search), machine=symbols.machine),
            ModuleStore(workdir / "modules"),
        )
        ours, theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, args=(replay, SocketStream(theirs), say), daemon=True)
        self._thread.start()
        self._wire = SocketStream(ours)
        # No more is read than is needed: what lies ahead of it may not have been recorded.
        self.live = LiveSession(Session(KgdbStub(self._wire, arch), files, EventBus(), ahead=LINE), lambda: None)
        try:
            self.live.start(TAKE_OVER_SECONDS)
        except BaseException:
            self._hang_up()
            raise

    @staticmethod
    def _serve(replay: Replay, stream: SocketStream, say: Callable[[str], None]) -> None:
        serve(replay, stream)
        if replay.ended:
            say(f"the recording ends here, after stop {replay.number} of {len(replay.stops)}")

    def close(self) -> None:
        """End the session. Safe to call twice."""
        self.live.close(release=False)
        self._hang_up()

    def _hang_up(self) -> None:
        self._wire.close()
        self._thread.join()


class StubServer:
    """Serves a recording as a bare kgdb to one client after the other; each begins at stop ``first``.

    ``listener`` is taken over. ``say`` is told what was not recorded; called from a thread of ours.
    """

    def __init__(
        self,
        recording: Recording,
        listener: socket.socket,
        *,
        first: int = 1,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._make = functools.partial(Replay, recording, by_name(recording.header.arch), first=first, on_missing=say)
        try:
            self.stops = len(self._make().stops)
        except UsageError:
            listener.close()
            raise
        self._listener = listener
        self._say = say
        self._wake, self._alarm = os.pipe()
        self._client: socket.socket | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="nullmodem-replay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hang up and stop. Safe to call once."""
        os.write(self._alarm, b"\0")
        with self._lock, contextlib.suppress(OSError):
            if self._client is not None:
                self._client.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        os.close(self._wake)
        os.close(self._alarm)

    def _run(self) -> None:
        while self._wake not in wait_readable([self._listener.fileno(), self._wake]):
            client, _address = self._listener.accept()
            with self._lock:
                self._client = client
            replay = self._make()
            serve(replay, SocketStream(client))
            with self._lock:
                self._client = None
            if replay.ended:
                self._say(f"a client has left at stop {replay.number} of {self.stops}")
