# SPDX-License-Identifier: Apache-2.0
"""What a user writes for a line, as typed values. Pure.

::

    serial:/dev/ttyUSB0?baud=115200&parity=none&stop=1&flow=none
    pty:/dev/pts/7                  a pseudo terminal, as QEMU and socat make them
    tcp:host:port                   bytes as they are
    telnet:host:port                telnet, with its BREAK
    rfc2217:host:port?baud=115200   telnet that sets the far port, too (RFC 2217)
    unix:/path/to/socket

An IPv6 address stands in brackets, ``tcp:[::1]:2001``. A path alone, ``/dev/ttyS0``, is a serial device.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qsl

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_EnumT = TypeVar("_EnumT", bound=Enum)

LIKE: Final = "Write it as serial:/dev/ttyUSB0?baud=115200, tcp:HOST:PORT, telnet:HOST:PORT, rfc2217:HOST:PORT, "
LIKE_TOO: Final = "unix:PATH or pty:PATH."
_MAX_BAUD: Final = 12_000_000  # the fastest UART behind a USB adapter (FT232H)


class Parity(Enum):
    NONE = "none"
    EVEN = "even"
    ODD = "odd"


class Flow(Enum):
    """Who holds back the other side: nobody, the wires RTS and CTS, or the bytes XON and XOFF."""

    NONE = "none"
    RTSCTS = "rtscts"
    XONXOFF = "xonxoff"


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How a UART is set; eight data bits always. ``baud`` is bits in a second."""

    baud: int = 115200
    parity: Parity = Parity.NONE
    stop_bits: int = 1
    flow: Flow = Flow.NONE


@dataclass(frozen=True, slots=True)
class SerialWire:
    path: str
    settings: LineSettings = LineSettings()

    def __str__(self) -> str:
        return f"serial:{self.path}{_query(self.settings)}"


@dataclass(frozen=True, slots=True)
class PtyWire:
    path: str

    def __str__(self) -> str:
        return f"pty:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpWire:
    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp:{_address(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class TelnetWire:
    host: str
    port: int

    def __str__(self) -> str:
        return f"telnet:{_address(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class Rfc2217Wire:
    host: str
    port: int
    settings: LineSettings = LineSettings()

    def __str__(self) -> str:
        return f"rfc2217:{_address(self.host, self.port)}{_query(self.settings)}"


@dataclass(frozen=True, slots=True)
class UnixWire:
    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Wire = SerialWire | PtyWire | TcpWire | TelnetWire | Rfc2217Wire | UnixWire


def parse_wire(text: str) -> Wire:
    """Raises UsageError that says what is wrong and what is allowed."""
    if not text.isprintable():
        raise UsageError(f"{text!r} cannot be a line: it holds control characters")
    if text.startswith("/"):
        text = f"serial:{text}"
    scheme, colon, rest = text.partition(":")
    parse = _SCHEMES.get(scheme)
    if not colon or parse is None:
        known = ", ".join(_SCHEMES)
        raise UsageError(f"{text!r} is no line: it begins with none of {known}", hint=LIKE + LIKE_TOO)
    place, question, query = rest.partition("?")
    options = _options(text, query) if question else {}
    wire = parse(text, place, options)
    if options:
        allowed = "baud, parity, stop, flow" if scheme in {"serial", "rfc2217"} else "none"
        unknown = ", ".join(options)
        raise UsageError(f"{text!r}: unknown option {unknown}", hint=f"Options of {scheme}: are: {allowed}.")
    return wire


def baud_of(wire: Wire) -> int | None:
    """Bits in a second on the line; None where that is not ours to know."""
    return wire.settings.baud if isinstance(wire, SerialWire | Rfc2217Wire) else None


def _options(text: str, query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise UsageError(f"{text!r}: options are NAME=VALUE, with & between them", hint=LIKE + LIKE_TOO) from None
    options = dict(pairs)
    if len(options) != len(pairs):
        raise UsageError(f"{text!r}: an option is given twice")
    return options


def _settings(text: str, options: dict[str, str]) -> LineSettings:
    """Take the options of a UART out of ``options``."""
    baud = options.pop("baud", "115200")
    if not (baud.isascii() and baud.isdecimal() and 0 < int(baud) <= _MAX_BAUD):
        raise UsageError(f"{text!r}: {baud!r} is no baud rate", hint="Usual ones are 9600, 115200, 921600 and 1500000.")
    stop = options.pop("stop", "1")
    if stop not in {"1", "2"}:
        raise UsageError(f"{text!r}: {stop!r} stop bits; there are 1 or 2")
    parity = _choice(text, "parity", Parity, options.pop("parity", "none"))
    flow = _choice(text, "flow", Flow, options.pop("flow", "none"))
    return LineSettings(int(baud), parity, int(stop), flow)


def _choice(text: str, name: str, kind: type[_EnumT], value: str) -> _EnumT:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise UsageError(f"{text!r}: {name} {value!r} is none of {allowed}") from None


def _path(text: str, place: str) -> str:
    if not place.startswith("/"):
        raise UsageError(f"{text!r}: {place!r} is not an absolute path")
    return place


def _host_port(text: str, place: str) -> tuple[str, int]:
    host, colon, port = place.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UsageError(f"{text!r}: an IPv6 address stands in brackets, [::1]:2001")
    if not (colon and host and port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise UsageError(f"{text!r}: {place!r} is not HOST:PORT", hint="For example lab:3001; a port is 1 to 65535.")
    return host, int(port)


_SCHEMES: Final[dict[str, Callable[[str, str, dict[str, str]], Wire]]] = {
    "serial": lambda text, place, options: SerialWire(_path(text, place), _settings(text, options)),
    "tcp": lambda text, place, _options: TcpWire(*_host_port(text, place)),
    "telnet": lambda text, place, _options: TelnetWire(*_host_port(text, place)),
    "rfc2217": lambda text, place, options: Rfc2217Wire(*_host_port(text, place), _settings(text, options)),
    "unix": lambda text, place, _options: UnixWire(_path(text, place)),
    "pty": lambda text, place, _options: PtyWire(_path(text, place)),
}


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _query(settings: LineSettings) -> str:
    words = [f"baud={settings.baud}"]
    if settings.parity is not Parity.NONE:
        words.append(f"parity={settings.parity.value}")
    if settings.stop_bits != 1:
        words.append(f"stop={settings.stop_bits}")
    if settings.flow is not Flow.NONE:
        words.append(f"flow={settings.flow.value}")
    return "?" + "&".join(words)
