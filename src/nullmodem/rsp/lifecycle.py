# SPDX-License-Identifier: Apache-2.0
"""The connection's beginning and end: ``?``, ``D``, ``k``, ``R``, ``!``, ``3``, ``vRun`` and their kin.

To kgdb (kernel/debug/gdbstub.c) ``?`` means that a debugger has come anew, so it drops every breakpoint; ``D`` and
``k`` drop them and continue, the latter without a reply; ``R0``, written so, reboots the machine at once.

::

    -> ?                  <- S05
    -> QStartNoAckMode    <- OK   (the last packets to be acknowledged)
    -> D                  <- OK
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import LocalProtocolError
from nullmodem.rsp.hexadecimal import encode_hex, encode_number, parse_hex, parse_number

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class HaltReason:
    """``?``: why is the target stopped? Answered as a stop reply."""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"?"


@dataclass(frozen=True, slots=True)
class Detach:
    """``D``: leave the target alone and let it run."""

    pid: int | None = None

    def encode(self) -> bytes:
        """Return the payload."""
        return b"D" if self.pid is None else b"D;" + encode_number(self.pid)


@dataclass(frozen=True, slots=True)
class Kill:
    """``k``, or ``vKill`` when there is a ``pid``: end the target. Only the second has a reply."""

    pid: int | None = None

    def encode(self) -> bytes:
        """Return the payload."""
        return b"k" if self.pid is None else b"vKill;" + encode_number(self.pid)


@dataclass(frozen=True, slots=True)
class Restart:
    """``R``: start the target again; its number means nothing, but kgdb wants it to be a single 0."""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"R0"


@dataclass(frozen=True, slots=True)
class ExtendedMode:
    """``!``: stay when the target ends."""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"!"


@dataclass(frozen=True, slots=True)
class SwitchToKdb:
    """``3``: leave the protocol and give the kernel's own debugger kdb the line."""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"3"


@dataclass(frozen=True, slots=True)
class StartNoAck:
    """``QStartNoAckMode``: the line is reliable, stop acknowledging."""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"QStartNoAckMode"


@dataclass(frozen=True, slots=True)
class MustReplyEmpty:
    """``vMustReplyEmpty``: a request that no stub may know; gdb tests with it how unknown ones are answered."""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"vMustReplyEmpty"


@dataclass(frozen=True, slots=True)
class VRun:
    """``vRun``: start a program; ``arguments`` begins with its name, which may be empty."""

    arguments: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the payload."""
        if not self.arguments:
            raise LocalProtocolError("vRun needs at least an empty program name")
        return b"vRun;" + b";".join(map(encode_hex, self.arguments))


@dataclass(frozen=True, slots=True)
class VAttach:
    """``vAttach``: attach to a process."""

    pid: int

    def encode(self) -> bytes:
        """Return the payload."""
        return b"vAttach;" + encode_number(self.pid)


def _parse_restart(body: bytes) -> Restart:
    parse_number(body, "a restart's number")
    return Restart()


LifecycleRequest = (
    HaltReason | Detach | Kill | Restart | ExtendedMode | SwitchToKdb | StartNoAck | MustReplyEmpty | VRun | VAttach
)

WHOLE: dict[bytes, LifecycleRequest] = {
    request.encode(): request
    for request in (HaltReason(), Detach(), Kill(), ExtendedMode(), SwitchToKdb(), StartNoAck(), MustReplyEmpty())
}

PARSERS: dict[bytes, Callable[[bytes], LifecycleRequest]] = {
    b"D;": lambda body: Detach(parse_number(body, "a process id")),
    b"vKill;": lambda body: Kill(parse_number(body, "a process id")),
    b"R": _parse_restart,
    b"vRun;": lambda body: VRun(tuple(parse_hex(argument) for argument in body.split(b";"))),
    b"vAttach;": lambda body: VAttach(parse_number(body, "a process id")),
}
