# SPDX-License-Identifier: Apache-2.0
"""Ways to break in as a user writes them, and what each of them needs."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.errors import TargetError, UsageError
from nullmodem.targets.break_in import BreakInWays, OverSsh, ShellOnConsole, SysrqKey
from nullmodem.targets.qmp import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nullmodem.targets.break_in import Way
    from nullmodem.targets.console import Console
    from nullmodem.targets.console_shell import ConsoleShell
    from nullmodem.wire.shared import SharedLine

DEFAULT_WAYS: Final = ("break", "shell")
ALLOWED: Final = (
    "Ways are: break (BREAK and g on the console's line), shell (a shell on the console), ssh:USER@HOST, and "
    "qmp:SOCKET or qmp:SOCKET,CHARDEV (the monitor of a QEMU; CHARDEV is its serial port's)."
)
_DESTINATION: Final = re.compile(r"[A-Za-z0-9_.@:%\[\]][A-Za-z0-9_.@:%\[\]/-]*", re.ASCII)
_CONNECT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class WayName:
    """``kind`` is break, shell, ssh or qmp; ``place`` what follows its colon."""

    kind: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}" if self.place else self.kind


def parse_ways(texts: Iterable[str]) -> tuple[WayName, ...]:
    """Raises UsageError for what is no way, with those there are."""
    return tuple(_parse(text) for text in texts)


def _parse(text: str) -> WayName:
    kind, colon, place = text.partition(":")
    alone = kind in {"break", "shell"} and not colon
    ssh = kind == "ssh" and _DESTINATION.fullmatch(place) is not None
    qmp = kind == "qmp" and place.startswith("/")
    if not (alone or ssh or qmp):
        raise UsageError(f"{text!r} is no way to break in", hint=ALLOWED)
    return WayName(kind, place)


class MonitorKey:
    """The sysrq key through the monitor of a running QEMU: a BREAK on a serial port, or the key on its keyboard."""

    def __init__(
        self, place: str, press_g: Callable[[], None] | None, told: Callable[[], None], runs: Callable[[], None]
    ) -> None:
        self._path, _comma, self._chardev = place.partition(",")
        self._press_g = press_g
        self._told = told
        self._runs = runs

    def __call__(self) -> None:
        """Raises TargetError, WireTimeout."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(_CONNECT_SECONDS)
        try:
            sock.connect(self._path)
        except OSError as error:
            sock.close()
            raise TargetError(f"QEMU's monitor at {self._path} cannot be reached: {error.strerror or error}") from error
        sock.settimeout(None)
        monitor = Monitor(sock)
        try:
            monitor.connect()
            self._press(monitor)
        finally:
            monitor.close()
        self._told()

    def _press(self, monitor: Monitor) -> None:
        if not self._chardev:
            keys = [{"type": "qcode", "data": name} for name in ("alt", "sysrq", "g")]
            monitor.execute("send-key", keys=keys)
            return
        if self._press_g is None:
            raise TargetError("a BREAK by the monitor needs the console's line for the g behind it")
        self._runs()  # a stub that has not let go of the line yet would take the BREAK for nothing
        monitor.execute("chardev-send-break", id=self._chardev)
        self._press_g()


def make_ways(
    names: Sequence[WayName],
    line: SharedLine | None,
    console: Console | None,
    shell: ConsoleShell | None,
) -> BreakInWays:
    """What the names mean for a target with this console, whose line is ``line``; None where there is none."""
    ways: list[Way] = []
    for name in names:
        told = line.note_break_in if line is not None else _nothing
        match name.kind:
            case "break" if line is not None:
                ways.append(SysrqKey(_press(line)))
            case "shell" if shell is not None:
                ways.append(ShellOnConsole(shell, told))
            case "ssh":
                ways.append(OverSsh(name.place, told))
            case "qmp":
                runs = line.await_running if line is not None else _nothing
                ways.append(
                    SysrqKey(MonitorKey(name.place, _type_g(console), told, runs), "the key, by QEMU's monitor")
                )
            case _:
                ways.append(NoConsole(name.kind))
    return BreakInWays(ways, console)


class NoConsole:
    """A way that needs the console's line, which nullmodem does not have."""

    def __init__(self, kind: str) -> None:
        self.name = "BREAK and g on the line" if kind == "break" else "a shell on the console"

    def attempt(self, _stopped: object) -> str:
        return "nullmodem has no console of this target (--console)"


def _press(line: SharedLine) -> Callable[[], None]:
    return lambda: line.press_sysrq(b"g")


def _type_g(console: Console | None) -> Callable[[], None] | None:
    return None if console is None else lambda: console.write(b"g")


def _nothing() -> None:
    """Nobody has to be told."""
