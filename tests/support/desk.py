# SPDX-License-Identifier: Apache-2.0
"""A real shell on a terminal, with a console in front of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import socket
import subprocess
import termios
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.targets.console import Console
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Desk:
    """A shell on a pseudo terminal, and the console whose line it is. ``spoil`` changes what is typed."""

    def __init__(self, directory: Path) -> None:
        self.typed: list[bytes] = []
        self.spoil: Callable[[bytes], bytes] = bytes
        self.refusal = ""
        here, self._there = socket.socketpair()
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            ["sh", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=directory,
            env={"PATH": os.environ["PATH"], "HOME": str(directory), "ENV": ""},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # one thread has been started yet
        )
        os.close(slave)
        self.console = Console(here, directory / "console.log", refuses=lambda: self.refusal)
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        sources: list[int] = [self._there.fileno(), self._master]
        while ready := wait_readable(sources):
            with contextlib.suppress(OSError):
                if self._master in ready:
                    self._there.sendall(os.read(self._master, 4096))
            if self._there.fileno() in ready:
                data = self._there.recv(4096)
                if not data:
                    return
                self.typed.append(data)
                os.write(self._master, self.spoil(data))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self.console.close()
        self._thread.join()
        self._there.close()
        os.close(self._master)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()
