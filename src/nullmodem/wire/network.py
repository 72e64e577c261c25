# SPDX-License-Identifier: Apache-2.0
"""Lines through a network or a socket: plain bytes, telnet, and a serial port set from afar (RFC 2217)."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError, WireClosed, WireError, WireTimeout
from nullmodem.waiting import wait_readable
from nullmodem.wire.spec import Flow, LineSettings, Parity
from nullmodem.wire.streams import SocketStream
from nullmodem.wire.telnet import Agreed, Option, Subnegotiation, TelnetCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nullmodem.wire.spec import Rfc2217Wire, TcpWire, TelnetWire, UnixWire

CONNECT_SECONDS: Final = 5.0
"""For a name to be found, and again for a host to answer."""

NEGOTIATION_SECONDS: Final = 5.0
"""For a server of RFC 2217 to agree and to set its port."""

BREAK_SECONDS: Final = 0.25

# RFC 2217, section 3: commands, and what is added to each in the server's answer.
_SET_BAUDRATE, _SET_DATASIZE, _SET_PARITY, _SET_STOPSIZE, _SET_CONTROL = 1, 2, 3, 4, 5
_ANSWER: Final = 100
_BREAK_ON, _BREAK_OFF = 5, 6
_PARITIES: Final = {Parity.NONE: 1, Parity.ODD: 2, Parity.EVEN: 3}
_FLOWS: Final = {Flow.NONE: 1, Flow.XONXOFF: 2, Flow.RTSCTS: 3}
_NAMES: Final = {
    _SET_BAUDRATE: "baud rate",
    _SET_DATASIZE: "data bits",
    _SET_PARITY: "parity",
    _SET_STOPSIZE: "stop bits",
    _SET_CONTROL: "flow control",
}


def open_tcp(wire: TcpWire) -> SocketStream:
    """Raises WireError."""
    return SocketStream(_connect(wire.host, wire.port, str(wire)))


def open_unix(wire: UnixWire) -> SocketStream:
    """Raises WireError."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(CONNECT_SECONDS)
    try:
        sock.connect(wire.path)
    except (OSError, ValueError) as error:
        sock.close()
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        hint = "Is the program that makes it running?" if isinstance(error, FileNotFoundError | ConnectionError) else ""
        raise WireError(f"cannot connect to {wire}: {reason}", hint=hint) from error
    return SocketStream(sock)


def open_telnet(wire: TelnetWire) -> TelnetStream:
    """Raises WireError."""
    return TelnetStream(_connect(wire.host, wire.port, str(wire)), TelnetCodec(), str(wire))


def open_rfc2217(wire: Rfc2217Wire, seconds: float = NEGOTIATION_SECONDS) -> Rfc2217Stream:
    """Connect, and set the far port. Raises WireError when the server refuses, WireTimeout when it does not answer."""
    sock = _connect(wire.host, wire.port, str(wire))
    stream = Rfc2217Stream(sock, TelnetCodec(com_port=True), str(wire))
    try:
        stream.configure(wire.settings, seconds)
    except BaseException:
        stream.close()
        raise
    return stream


class TelnetStream:
    """A telnet connection as a line. What came with a negotiation is kept, and `fileno` says so."""

    def __init__(self, sock: socket.socket, codec: TelnetCodec, name: str) -> None:
        self._stream = SocketStream(sock)
        self._codec = codec
        self._name = name
        self._kept = bytearray()
        # Readable when the socket is, or when something is kept.
        self._waking = os.eventfd(0, os.EFD_NONBLOCK)
        self._either = select.epoll()
        self._either.register(sock, select.EPOLLIN)
        self._either.register(self._waking, select.EPOLLIN)
        self._flush()

    def fileno(self) -> int:
        """Readable when `read` will not block; -1 once closed."""
        return -1 if self._either.closed else self._either.fileno()

    def read(self, limit: int = 65536) -> bytes | None:
        """See ByteStream."""
        if self._kept:
            data = bytes(self._kept[:limit])
            del self._kept[:limit]
            if not self._kept:
                os.eventfd_read(self._waking)
            return data
        raw = self._stream.read(limit)
        return (self._take(raw) or None) if raw else b""

    def write(self, data: bytes) -> None:
        """Raises WireClosed."""
        self._codec.send(data)
        self._flush()

    def send_break(self) -> None:
        """Have the server send a BREAK: IAC BRK. It holds it for about as long as this takes. Raises WireClosed."""
        self._codec.send_break()
        self._flush()
        wait_readable([], BREAK_SECONDS)

    def close(self) -> None:
        """Safe to call twice."""
        if not self._either.closed:
            self._either.close()
            os.close(self._waking)
            self._stream.close()

    def _take(self, raw: bytes) -> bytes:
        data, events = self._codec.receive(raw)
        for event in events:
            self._on_event(event)
        self._flush()
        return data

    def _on_event(self, event: Agreed | Subnegotiation) -> None:
        """What the server says of itself; plain telnet has no use for it."""

    def _keep(self, data: bytes) -> None:
        if data and not self._kept:
            os.eventfd_write(self._waking, 1)
        self._kept += data

    def _flush(self) -> None:
        if data := self._codec.data_to_send():
            self._stream.write(data)


class Rfc2217Stream(TelnetStream):
    """A serial port behind a server of RFC 2217 (ser2net, conserver, a terminal server)."""

    def __init__(self, sock: socket.socket, codec: TelnetCodec, name: str) -> None:
        self._agreed: bool | None = None
        self._answers: dict[int, bytes] = {}
        super().__init__(sock, codec, name)

    def configure(self, settings: LineSettings, seconds: float) -> None:
        """Set the far port, and see that it is set so.

        Raises:
            WireError: the server does not speak RFC 2217, or cannot set its port so.
            WireTimeout: it has not answered within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        self._await(lambda: self._agreed is not None, deadline, "say whether it speaks RFC 2217", seconds)
        if not self._agreed:
            raise WireError(
                f"{self._name}: the server does not speak RFC 2217",
                hint="Give the line as telnet:HOST:PORT, and set its speed at the server.",
            )
        wanted = {
            _SET_BAUDRATE: struct.pack(">I", settings.baud),
            _SET_DATASIZE: b"\x08",
            _SET_PARITY: bytes((_PARITIES[settings.parity],)),
            _SET_STOPSIZE: bytes((settings.stop_bits,)),
            _SET_CONTROL: bytes((_FLOWS[settings.flow],)),
        }
        for command, value in wanted.items():
            self._codec.subnegotiate(bytes((Option.COM_PORT, command)) + value)
        self._flush()
        for command, value in wanted.items():
            self._await(lambda: command in self._answers, deadline, f"set its {_NAMES[command]}", seconds)  # noqa: B023
            got = self._answers[command]
            if got != value and command != _SET_CONTROL:
                raise WireError(
                    f"{self._name}: the server set its {_NAMES[command]} to {int.from_bytes(got, 'big')}, "
                    f"not {int.from_bytes(value, 'big')}",
                    hint="The far port may not be able to, or the server's configuration may fix it.",
                )

    def send_break(self) -> None:
        """Have the far port hold BREAK for a quarter of a second. Raises WireClosed."""
        self._control(_BREAK_ON)
        with contextlib.suppress(WireTimeout):  # a server need not answer; what counts is the time between the two
            self._await(lambda: False, time.monotonic() + BREAK_SECONDS, "", BREAK_SECONDS)
        self._control(_BREAK_OFF)

    def _control(self, value: int) -> None:
        self._codec.subnegotiate(bytes((Option.COM_PORT, _SET_CONTROL, value)))
        self._flush()

    def _await(self, done: Callable[[], bool], deadline: float, doing: str, seconds: float) -> None:
        while not done():
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not wait_readable([self._stream], remaining):
                raise WireTimeout(f"{self._name}: the server did not {doing} within {seconds:g} s")
            raw = self._stream.read()
            if not raw:
                raise WireClosed(
                    f"{self._name}: the server closed the connection",
                    hint="Another client may hold the port, or the server cannot open its device.",
                )
            self._keep(self._take(raw))

    def _on_event(self, event: Agreed | Subnegotiation) -> None:
        match event:
            case Agreed(Option.COM_PORT, ours=True, yes=yes):
                self._agreed = yes
            case Subnegotiation(data) if len(data) > 2 and data[0] == Option.COM_PORT and data[1] >= _ANSWER:
                self._answers[data[1] - _ANSWER] = data[2:]
            case _:
                pass


def _connect(host: str, port: int, name: str) -> socket.socket:
    refused: OSError | None = None
    for family, address in _addresses(host, port, name):
        sock = socket.socket(family)
        sock.settimeout(CONNECT_SECONDS)
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            refused = error
            continue
        # A host that loses its power says nothing: without these a dead line would look like a quiet one for ever.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 4)):
            sock.setsockopt(socket.IPPROTO_TCP, option, seconds)
        return sock
    if isinstance(refused, TimeoutError):
        raise WireTimeout(f"cannot connect to {name}: {host} did not answer within {CONNECT_SECONDS:g} s")
    reason = refused.strerror if refused is not None else "it has no address"
    hint = "Nothing listens there." if isinstance(refused, ConnectionRefusedError) else ""
    raise WireError(f"cannot connect to {name}: {reason}", hint=hint) from refused


def _addresses(host: str, port: int, name: str) -> Iterator[tuple[socket.AddressFamily, tuple[str, int]]]:
    """Looked up in a thread: a resolver whose server is silent has time-outs of its own, and they are long."""
    found: list[tuple[socket.AddressFamily, tuple[str, int]]] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            for family, _type, _protocol, _name, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                found.append((family, (str(address[0]), int(address[1]))))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=look_up, name="nullmodem-resolver", daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if thread.is_alive():
        raise WireTimeout(f"cannot connect to {name}: {host!r} could not be looked up within {CONNECT_SECONDS:g} s")
    if failed:
        message = f"cannot connect to {name}: {host!r} is unknown ({failed[0].strerror})"
        raise UsageError(message, hint=f"`getent hosts {host}` asks again; an address will do, too.") from failed[0]
    yield from found
