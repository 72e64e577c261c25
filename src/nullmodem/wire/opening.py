# SPDX-License-Identifier: Apache-2.0
"""From what a user wrote to an open line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.wire.network import open_rfc2217, open_tcp, open_telnet, open_unix
from nullmodem.wire.serial_port import check_device, open_serial
from nullmodem.wire.spec import PtyWire, Rfc2217Wire, SerialWire, TcpWire, TelnetWire

if TYPE_CHECKING:
    from nullmodem.wire.spec import Wire
    from nullmodem.wire.streams import ByteStream


def check_wire(wire: Wire) -> None:
    """Say what is wrong with a line as far as that shows without opening it. Raises WireError, UsageError."""
    if isinstance(wire, SerialWire | PtyWire):
        check_device(wire.path)


def open_wire(wire: Wire) -> ByteStream:
    """Open a line. Whatever is wrong is said within fifteen seconds, mostly at once.

    Raises:
        WireError: it cannot be reached, or somebody else has it; WireTimeout is one.
        UsageError: it is not what it was said to be, or cannot be set so.
    """
    match wire:
        case SerialWire() | PtyWire():
            return open_serial(wire)
        case TcpWire():
            return open_tcp(wire)
        case TelnetWire():
            return open_telnet(wire)
        case Rfc2217Wire():
            return open_rfc2217(wire)
        case _:
            return open_unix(wire)
