# SPDX-License-Identifier: Apache-2.0
"""Lines as users have them: pairs of pseudo terminals made by socat, and serial ports behind a real ser2net."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nullmodem.waiting import wait_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS = 20.0


def program(name: str) -> str:
    """The path of a program of the system's administrator, which a user's PATH may not have."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    assert found is not None, f"{name} is missing; tools/setup installs it"
    return found


def free_port() -> int:
    """A TCP port of the loopback interface that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Wait for another process to have done something of which it tells nobody."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        wait_readable([], 0.01)


def answers(port: int) -> bool:
    """Whether somebody listens on a port, asked of the kernel: a connection could be the only one a server takes."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text(encoding="ascii")


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program, until the end of the block."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=SECONDS)


@contextlib.contextmanager
def null_modem(directory: Path) -> Iterator[tuple[str, str]]:
    """Two pseudo terminals with a cable between them, made by socat; their paths."""
    ends = directory / "near", directory / "far"
    links = [f"pty,raw,echo=0,link={end}" for end in ends]
    with running(program("socat"), *links):
        until(lambda: all(end.exists() for end in ends), "socat's pseudo terminals")
        yield str(ends[0].resolve()), str(ends[1].resolve())


@dataclass
class Ser2net:
    """A real ser2net: one TCP port for each of its ports."""

    directory: Path
    _ports: list[tuple[str, str]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def add(self, connector: str, accepter: str = "telnet(rfc2217),tcp") -> int:
        """A port that ends at a gensio ``connector``; returns its number on the loopback interface."""
        number = free_port()
        self._ports.append((f"{accepter},127.0.0.1,{number}", connector))
        self.numbers.append(number)
        return number

    @contextlib.contextmanager
    def run(self) -> Iterator[Ser2net]:
        """Until the end of the block."""
        lines = ["%YAML 1.1", "---"]
        for count, (accepter, connector) in enumerate(self._ports):
            lines += [f"connection: &port{count}", f"  accepter: {accepter}", f"  connector: {connector}"]
        configuration = self.directory / "ser2net.yaml"
        configuration.write_text("\n".join(lines) + "\n", encoding="ascii")
        with running(program("ser2net"), "-n", "-d", "-c", str(configuration)):
            until(lambda: all(answers(number) for number in self.numbers), "ser2net listens")
            yield self


def device(path: str) -> str:
    """The connector of a serial device."""
    return f"serialdev,{path},115200n81,local"
