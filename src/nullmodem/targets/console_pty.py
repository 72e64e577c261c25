# SPDX-License-Identifier: Apache-2.0
"""The console as a terminal device, for any terminal program: minicom, screen, picocom, a plain cat."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError, TargetError
from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.targets.console import Console

_BACKLOG = 4096


class ConsolePty:
    """A pseudo terminal, to which ``link`` is a symbolic link. It shows what the console prints; its input is typed.

    A program that reads slowly holds up nobody. Raises TargetError when there is no pseudo terminal to be had.
    """

    def __init__(self, console: Console, link: Path) -> None:
        self._console = console
        self._link = link
        with contextlib.ExitStack() as opened:
            try:
                self._master, self._slave = _kept(opened, pty.openpty())
                # Kept open: a master whose other end nobody has reads as broken.
                tty.setraw(self._slave)
                self.path = os.ttyname(self._slave)
                os.set_blocking(self._master, False)
                self._reader, self._writer = _kept(opened, os.pipe())
                link.unlink(missing_ok=True)
                link.symlink_to(self.path)
            except OSError as error:
                raise TargetError(f"cannot make a terminal of the console: {error.strerror}") from error
            self._descriptors = opened.pop_all()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=target, name="nullmodem-console-pty", daemon=True)
            for target in (self._type, self._show)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Take it away. Safe to call twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        os.write(self._writer, b"x")
        self._console.poke()
        for thread in self._threads:
            thread.join()
        self._descriptors.close()
        self._link.unlink(missing_ok=True)

    def _type(self) -> None:
        while self._master in wait_readable([self._master, self._reader]) and not self._closing.is_set():
            with contextlib.suppress(BlockingIOError):
                typed = os.read(self._master, 4096)
                try:
                    self._console.write(typed)
                except NullmodemError as error:
                    # Whoever types has no other place to read this.
                    os.write(self._master, f"\r\nnullmodem: {error.message}\r\n".encode())

    def _show(self) -> None:
        position = max(0, self._console.position - _BACKLOG)
        while not self._closing.is_set():
            data, position = self._console.follow(position, self._closing)
            if not data or not self._write(data):
                return

    def _write(self, data: bytes) -> bool:
        """Wait for room as long as it takes: nobody else waits for this. False when it is being closed."""
        view = memoryview(data)
        while view:
            if not self._has_room():
                return False
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._master, view) :]
        return True

    def _has_room(self) -> bool:
        poll = select.poll()
        poll.register(self._master, select.POLLOUT)
        poll.register(self._reader, select.POLLIN)
        ready = [descriptor for descriptor, _mask in poll.poll()]
        return self._reader not in ready


def _kept(stack: contextlib.ExitStack, descriptors: tuple[int, int]) -> tuple[int, int]:
    """Both, which ``stack`` closes."""
    for descriptor in descriptors:
        stack.callback(os.close, descriptor)
    return descriptors
