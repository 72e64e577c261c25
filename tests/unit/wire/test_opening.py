# SPDX-License-Identifier: Apache-2.0
"""Every kind of line with the real thing at its other end, and everything that keeps one from being opened."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import socket
import subprocess
import sys
import termios
import threading
import time
import tty
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import NullmodemError, UsageError, WireClosed, WireError, WireTimeout
from nullmodem.waiting import wait_readable
from nullmodem.wire.network import open_rfc2217
from nullmodem.wire.opening import open_wire
from nullmodem.wire.spec import Rfc2217Wire, parse_wire
from nullmodem.wire.streams import ByteStream
from support.lines import Ser2net, device, null_modem, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERY_BYTE = bytes(range(256)) * 3
IAC, DONT, DO, WONT, WILL, SB, SE, BRK = 255, 254, 253, 252, 251, 250, 240, 243


def read_all(stream: ByteStream, length: int) -> bytes:
    """The next ``length`` bytes, waited for by the descriptor as the engine does."""
    data = b""
    while len(data) < length:
        assert wait_readable([stream], 10), f"only {len(data)} of {length} bytes came"
        piece = stream.read()
        assert piece != b"", "the line is closed"
        data += piece or b""
    return data


def exchange(near: ByteStream, far: ByteStream) -> None:
    """Every byte there is, both ways."""
    near.write(EVERY_BYTE)
    assert read_all(far, len(EVERY_BYTE)) == EVERY_BYTE
    far.write(EVERY_BYTE)
    assert read_all(near, len(EVERY_BYTE)) == EVERY_BYTE


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """A pseudo terminal of our own: its master, and the path of its other end."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    path = os.ttyname(slave)
    yield master, path
    for descriptor in (master, slave):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[tuple[str, str]]:
    with null_modem(tmp_path) as ends:
        yield ends


def test_a_pseudo_terminal_is_a_line(cable: tuple[str, str]) -> None:
    with contextlib.closing(open_wire(parse_wire(f"pty:{cable[0]}"))) as near:
        assert isinstance(near, ByteStream)
        with contextlib.closing(open_wire(parse_wire(f"pty:{cable[1]}"))) as far:
            exchange(near, far)
        with pytest.raises(UsageError, match="cannot carry a BREAK"):
            near.send_break()


@pytest.mark.parametrize(
    ("accepter", "scheme"), [("tcp", "tcp"), ("telnet,tcp", "telnet"), ("telnet(rfc2217),tcp", "rfc2217")]
)
def test_ser2net_is_a_line(tmp_path: Path, cable: tuple[str, str], accepter: str, scheme: str) -> None:
    server = Ser2net(tmp_path)
    port = server.add(device(cable[0]), accepter)
    with (
        server.run(),
        contextlib.closing(open_wire(parse_wire(f"pty:{cable[1]}"))) as far,
        contextlib.closing(open_wire(parse_wire(f"{scheme}:127.0.0.1:{port}"))) as near,
    ):
        exchange(near, far)


def test_rfc2217_sets_the_far_port(tmp_path: Path, terminal: tuple[int, str]) -> None:
    server = Ser2net(tmp_path)
    port = server.add(device(terminal[1]))
    with server.run():
        wire = f"rfc2217:127.0.0.1:{port}?baud=9600&parity=even&stop=2"
        with contextlib.closing(open_wire(parse_wire(wire))):
            mode = termios.tcgetattr(terminal[0])
            assert mode[4] == termios.B9600
            assert mode[2] & termios.CSTOPB


def test_a_server_without_rfc2217_is_told_from_one_with(tmp_path: Path, terminal: tuple[int, str]) -> None:
    server = Ser2net(tmp_path)
    port = server.add(device(terminal[1]), "telnet,tcp")
    with server.run(), pytest.raises(WireError, match="does not speak RFC 2217") as refused:
        open_wire(parse_wire(f"rfc2217:127.0.0.1:{port}"))
    assert "telnet:" in refused.value.hint


class Peer:
    """Somebody who listens, and whose one connection the test has in its hand."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def accept(self) -> socket.socket:
        self.listener.settimeout(10)
        connection, _address = self.listener.accept()
        connection.settimeout(10)
        return connection


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.listener.close()


def test_a_break_by_telnet_is_iac_brk_on_the_network(peer: Peer) -> None:
    with contextlib.closing(open_wire(parse_wire(f"telnet:127.0.0.1:{peer.port}"))) as near, peer.accept() as far:
        near.send_break()
        near.write(b"g")
        sent = b""
        while not sent.endswith(bytes((IAC, BRK)) + b"g"):
            piece = far.recv(100)
            assert piece
            sent += piece


def test_telnet_commands_alone_are_no_data_and_no_end(peer: Peer) -> None:
    with contextlib.closing(open_wire(parse_wire(f"telnet:127.0.0.1:{peer.port}"))) as near, peer.accept() as far:
        far.sendall(bytes((IAC, DO, 31)))
        assert wait_readable([near], 10)
        assert near.read() is None
        far.sendall(b"text")
        assert read_all(near, 4) == b"text"
        far.close()
        assert wait_readable([near], 10)
        assert near.read() == b""


def _serve_com_port(peer: Peer, text: bytes, *, answer: bool = True) -> None:
    """Agree to RFC 2217, say ``text`` in between, and grant every setting, until the client goes."""
    with peer.accept() as far:
        _grant(far, text, answer=answer)


def _grant(far: socket.socket, text: bytes, *, answer: bool) -> None:
    far.sendall(bytes((IAC, DO, 44)) + text)
    seen = b""
    with contextlib.suppress(OSError):
        while piece := far.recv(1000):
            seen += piece
            while answer and (end := seen.find(bytes((IAC, SE)))) >= 0:
                start = seen.index(bytes((IAC, SB, 44)))
                command, value = seen[start + 3], seen[start + 4 : end]
                far.sendall(bytes((IAC, SB, 44, command + 100)) + value + bytes((IAC, SE)))
                seen = seen[end + 2 :]


def test_what_the_target_says_during_the_negotiation_is_not_lost(peer: Peer) -> None:
    thread = threading.Thread(target=lambda: _serve_com_port(peer, b"Linux version"), daemon=True)
    thread.start()
    with contextlib.closing(open_wire(parse_wire(f"rfc2217:127.0.0.1:{peer.port}"))) as near:
        assert read_all(near, 13) == b"Linux version"
    thread.join(10)


def test_an_rfc2217_server_that_never_grants_is_given_up_in_time(peer: Peer) -> None:
    thread = threading.Thread(target=lambda: _serve_com_port(peer, b"", answer=False), daemon=True)
    thread.start()
    with pytest.raises(WireTimeout, match=r"did not set its baud rate within 0\.3 s"):
        open_rfc2217(Rfc2217Wire("127.0.0.1", peer.port), 0.3)
    thread.join(10)


def test_a_break_by_rfc2217_is_held_for_a_while(peer: Peer) -> None:
    thread = threading.Thread(target=lambda: _serve_com_port(peer, b""), daemon=True)
    thread.start()
    with contextlib.closing(open_wire(parse_wire(f"rfc2217:127.0.0.1:{peer.port}"))) as near:
        began = time.monotonic()
        near.send_break()
        assert 0.2 < time.monotonic() - began < 2
    thread.join(10)


def test_nobody_there_is_an_error_at_once(peer: Peer, tmp_path: Path) -> None:
    peer.listener.close()
    for scheme in ("tcp", "telnet", "rfc2217"):
        with pytest.raises(WireError, match="Connection refused") as refused:
            open_wire(parse_wire(f"{scheme}:127.0.0.1:{peer.port}"))
        assert "Nothing listens there" in refused.value.hint
    with pytest.raises(WireError, match="No such file"):
        open_wire(parse_wire(f"unix:{tmp_path}/none.sock"))
    with pytest.raises(WireError, match="there is no device"):
        open_wire(parse_wire(f"serial:{tmp_path}/ttyUSB0"))


def test_a_host_that_is_unknown_is_named_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(NullmodemError, match=r"no-such-host\.invalid") as refused:
        open_wire(parse_wire("tcp:no-such-host.invalid:1"))
    assert isinstance(refused.value, UsageError | WireTimeout)
    assert isinstance(refused.value, WireTimeout) or "getent hosts no-such-host.invalid" in refused.value.hint
    assert time.monotonic() - began < 8


def test_what_is_no_device_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path in (file, "/dev/null", "/dev/zero"):  # of which others have some open
        with pytest.raises(UsageError, match=f"{path} is no serial line"):
            open_wire(parse_wire(f"serial:{path}"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(UsageError, match="is no serial line") as refused:
            open_wire(parse_wire(f"serial:{tmp_path / 'socket'}"))
    assert f"unix:{tmp_path / 'socket'}" in refused.value.hint


def test_a_device_that_may_not_be_opened_says_which_group_may(terminal: tuple[int, str], tmp_path: Path) -> None:
    script = (
        "import os, sys; os.setgid(65534); os.setuid(65534)\n"
        "from nullmodem.errors import WireError\n"
        "from nullmodem.wire.opening import open_wire\n"
        "from nullmodem.wire.spec import parse_wire\n"
        "try: open_wire(parse_wire(sys.argv[1]))\n"
        "except WireError as error: print(error)\n"
    )
    if os.getuid() != 0:
        pytest.skip("only root can become somebody who may not")
    os.chmod(terminal[1], 0o600)  # noqa: PTH101
    # Everything is imported before: the other user may not be able to read where it is.
    script = script.replace("import os, sys; os.setgid(65534); os.setuid(65534)\n", "import os, sys\n").replace(
        "try:", "os.setgid(65534); os.setuid(65534)\ntry:"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"serial:{terminal[1]}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "no permission to open" in done.stdout
    assert "dialout" in done.stdout


def test_a_device_that_another_program_holds_is_refused_and_the_program_named(terminal: tuple[int, str]) -> None:
    script = "import os, sys; os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, terminal[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(WireError, match=rf"in use by \S+ \(process {other.pid}\)"):
            open_wire(parse_wire(f"serial:{terminal[1]}"))
        other.communicate(timeout=10)


def test_a_device_that_is_locked_is_refused(terminal: tuple[int, str]) -> None:
    holder = os.open(terminal[1], os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(WireError, match="in use by another program"):
            open_wire(parse_wire(f"pty:{terminal[1]}"))
    finally:
        os.close(holder)


def test_a_device_that_goes_is_an_end_and_then_an_error(terminal: tuple[int, str]) -> None:
    stream = open_wire(parse_wire(f"serial:{terminal[1]}"))
    os.close(terminal[0])
    assert wait_readable([stream], 10)
    assert stream.read() == b""
    with pytest.raises(WireClosed, match="gone"):
        stream.write(b"$g#67")
    stream.close()
    stream.close()
    assert stream.fileno() == -1


class SerialServer:
    """The far end of RFC 2217, as a terminal server has it: grants everything, and keeps what it was told."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.told: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            connection, _address = self._listener.accept()
            with connection:
                rest = b""
                while data := connection.recv(4096):
                    rest = self._answer(rest + data, connection)

    def _answer(self, data: bytes, connection: socket.socket) -> bytes:
        """Telnet in its plainest: agree to everything, and repeat each command of the port's with 100 added."""
        while data.startswith(b"\xff"):
            if data[1:2] == b"\xfa":
                body, end, rest = data[2:].partition(b"\xff\xf0")
                if not end:
                    return data
                if body[:1] == b"\x2c":
                    self.told.append(body[1:])
                    connection.sendall(b"\xff\xfa\x2c" + bytes((body[1] + 100,)) + body[2:] + end)
                data = rest
            elif data[1:2] in (b"\xfb", b"\xfd"):
                connection.sendall(b"\xff" + (b"\xfd" if data[1:2] == b"\xfb" else b"\xfb") + data[2:3])
                data = data[3:]
            else:
                self.told.append(data[:2])
                data = data[2:]
        return data

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10)


def test_a_break_goes_through_a_real_ser2net_to_a_serial_server_behind_it(tmp_path: Path) -> None:
    """A pseudo terminal carries none, so what is behind ser2net is another server: there the BREAK arrives."""
    with contextlib.closing(SerialServer()) as behind:
        server = Ser2net(tmp_path)
        port = server.add(f"telnet(rfc2217),tcp,127.0.0.1,{behind.port}")
        with server.run(), contextlib.closing(open_wire(parse_wire(f"rfc2217:127.0.0.1:{port}"))) as line:
            assert b"\x01" + (115200).to_bytes(4, "big") in behind.told, "the rate is set there"
            line.send_break()
            until(lambda: any(is_break(word) for word in behind.told), "a BREAK at the server behind")


def is_break(word: bytes) -> bool:
    """IAC BRK, or SET-CONTROL with BREAK on."""
    return word in (b"\xff\xf3", b"\x05\x05")
