# SPDX-License-Identifier: Apache-2.0
"""The thread that owns a shared line: what comes out of its two ends, and how it ends."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import UsageError, WireClosed, WireTimeout
from nullmodem.rsp.framing import encode_packet
from nullmodem.waiting import wait_readable
from nullmodem.wire.shared import SharedLine
from nullmodem.wire.streams import ByteStream, SocketStream
from support.lines import until

if TYPE_CHECKING:
    from collections.abc import Iterator

STOP = encode_packet(b"T05thread:1f;")
SECONDS = 10.0


class BreakableStream(SocketStream):
    """A socket whose BREAK is the byte 0xFD."""

    def send_break(self) -> None:
        self.write(b"\xfd")


@pytest.fixture
def pair() -> Iterator[tuple[SharedLine, socket.socket]]:
    near, far = socket.socketpair()
    far.settimeout(SECONDS)
    line = SharedLine(BreakableStream(near))
    line.console.settimeout(SECONDS)
    with far:
        yield line, far
        line.close()
        line.console.close()
        line.protocol.close()


def read(stream: ByteStream, length: int) -> bytes:
    data = b""
    while len(data) < length:
        assert wait_readable([stream], SECONDS)
        piece = stream.read()
        assert piece
        data += piece
    return data


def receive(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = sock.recv(length - len(data))
        assert piece
        data += piece
    return data


def stop(line: SharedLine, far: socket.socket) -> None:
    """Bring the far end to a stop, as a stub does."""
    far.sendall(STOP)
    assert receive(far, 1) == b"-"
    far.sendall(STOP)
    assert read(line.protocol, len(STOP)) == STOP


def test_text_goes_to_the_console_and_packets_to_the_stubs_client(pair: tuple[SharedLine, socket.socket]) -> None:
    line, far = pair
    far.sendall(b"Linux version 6.1\r\n")
    assert receive(line.console, 19) == b"Linux version 6.1\r\n"
    stop(line, far)
    line.protocol.write(b"+$g#67")
    assert receive(far, 6) == b"+$g#67"
    far.sendall(b"+$00#60")
    assert read(line.protocol, 7) == b"+$00#60"


def test_what_the_debugger_wrote_before_it_is_asked_counts(pair: tuple[SharedLine, socket.socket]) -> None:
    line, far = pair
    for _ in range(100):
        stop(line, far)
        line.protocol.write(b"+$g#67")
        assert receive(far, 6) == b"+$g#67"
        far.sendall(b"+$00#60")
        assert read(line.protocol, 7) == b"+$00#60"  # in the middle of a turn of the line's thread
        line.protocol.write(b"+$c#63")
        assert not line.stands_still()
        assert receive(far, 6) == b"+$c#63"
        far.sendall(b"+\r\n")
        assert read(line.protocol, 1) == b"+"
        assert receive(line.console, 2) == b"\r\n"
    line.await_running()


def test_what_is_typed_goes_to_a_target_that_runs_and_waits_while_it_stands(
    pair: tuple[SharedLine, socket.socket],
) -> None:
    line, far = pair
    line.console.sendall(b"ls\r")
    assert receive(far, 3) == b"ls\r"
    assert not line.stands_still()
    stop(line, far)
    assert line.stands_still()
    line.console.sendall(b"typed")
    line.protocol.write(b"+$c#63")
    assert receive(far, 6) == b"+$c#63"
    assert not wait_readable([far], 0.05)
    far.sendall(b"+")
    assert receive(far, 5) == b"typed"


def test_a_break_and_its_key_go_out_together(pair: tuple[SharedLine, socket.socket]) -> None:
    line, far = pair
    line.press_sysrq(b"g")
    assert receive(far, 2) == b"\xfdg"
    line.protocol.send_break()
    assert receive(far, 1) == b"\xfd"


def test_a_break_waits_until_the_target_runs(pair: tuple[SharedLine, socket.socket]) -> None:
    line, far = pair
    stop(line, far)
    line.protocol.write(b"+$c#63")
    thread = threading.Thread(target=lambda: line.press_sysrq(b"g"))
    thread.start()
    assert receive(far, 6) == b"+$c#63"
    assert not wait_readable([far], 0.05)
    far.sendall(b"+")
    assert receive(far, 2) == b"\xfdg"
    thread.join()


def test_a_line_without_break_says_so() -> None:
    near, far = socket.socketpair()
    with far, contextlib.closing(SharedLine(SocketStream(near))) as line:
        with pytest.raises(UsageError, match="cannot carry a BREAK"):
            line.press_sysrq(b"g")
        far.sendall(b"still there\n")
        assert receive(line.console, 12) == b"still there\n"
        line.console.close()
        line.protocol.close()


class BreakingStream(SocketStream):
    """A device that goes away while BREAK is held."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.held = threading.Event()
        self.goes = threading.Event()

    def send_break(self) -> None:
        self.held.set()
        assert self.goes.wait(SECONDS)
        raise OSError(errno.EIO, "Input/output error")


def test_an_order_that_ends_the_line_and_those_behind_it_leave_nobody_waiting() -> None:
    near, far = socket.socketpair()
    stream = BreakingStream(near)
    with far, contextlib.closing(SharedLine(stream)) as line, ThreadPoolExecutor(2) as callers:
        first = callers.submit(line.send_break)
        assert stream.held.wait(SECONDS)
        second = callers.submit(line.note_break_in)
        until(lambda: len(line._orders) == 1, "the second order waits")
        stream.goes.set()
        with pytest.raises(WireClosed, match="Input/output error"):
            first.result(SECONDS)
        with pytest.raises(WireClosed):
            second.result(SECONDS)
        line.console.close()
        line.protocol.close()


def test_the_end_of_the_line_is_the_end_of_both(pair: tuple[SharedLine, socket.socket]) -> None:
    line, far = pair
    far.shutdown(socket.SHUT_RDWR)
    assert line.console.recv(1) == b""
    assert wait_readable([line.protocol], SECONDS)
    assert line.protocol.read() == b""
    with pytest.raises(WireClosed):
        line.press_sysrq(b"g")


def test_a_debuggers_last_word_is_not_lost_when_it_closes(pair: tuple[SharedLine, socket.socket]) -> None:
    line, far = pair
    stop(line, far)
    line.protocol.write(b"+$D#44")
    assert receive(far, 6) == b"+$D#44"
    far.sendall(b"+$OK#9a")
    assert read(line.protocol, 7) == b"+$OK#9a"
    line.protocol.write(b"+")
    line.close()
    assert receive(far, 1) == b"+"
    assert far.recv(1) == b""


def test_it_leaves_no_thread() -> None:
    near, far = socket.socketpair()
    line = SharedLine(SocketStream(near))
    line.close()
    line.close()
    for end in (far, line.console):
        end.close()
    line.protocol.close()
    assert [thread.name for thread in threading.enumerate() if thread.name == "nullmodem-line"] == []


def test_a_line_that_is_console_alone_has_no_packets() -> None:
    near, far = socket.socketpair()
    with far, contextlib.closing(SharedLine(SocketStream(near), has_stub=False)) as line:
        far.sendall(STOP)
        line.console.settimeout(SECONDS)
        assert receive(line.console, len(STOP)) == STOP
        line.console.close()
        line.protocol.close()


def test_a_line_that_lasts_keeps_its_console_while_its_stream_is_away() -> None:
    near, far = socket.socketpair()
    gone = threading.Event()
    line = SharedLine(SocketStream(near), gone=gone.set)
    line.console.settimeout(SECONDS)
    old = line.protocol
    far.sendall(b"text $T05th")  # what may become a packet is held back
    assert receive(line.console, 5) == b"text "
    far.close()
    assert gone.wait(SECONDS)
    assert receive(line.console, 6) == b"$T05th", "the line's end shows that it is text"
    assert wait_readable([old], SECONDS)
    assert old.read() == b""
    assert line.is_away
    with pytest.raises(WireClosed, match="the line is gone"):
        line.send_break()
    line.console.sendall(b"typed")
    near, far = socket.socketpair()
    far.settimeout(SECONDS)
    with far:
        protocol = line.carry_on(SocketStream(near), standing=False)
        assert protocol is line.protocol
        assert not line.is_away
        assert receive(far, 7) == b"-\x7ftyped", "a stub repeats its stop for it, and a terminal shows nothing"
        stop(line, far)
        line.hang_up()
    line.console.close()


class StalledStream(SocketStream):
    """A device whose flow control lets nothing through."""

    def write(self, data: bytes) -> None:
        raise WireTimeout(f"it takes nothing: {len(data)} bytes were not sent")

    def send_break(self) -> None:
        """It needs no leave for that."""


@pytest.mark.parametrize("by", ["debugger", "terminal", "key"])
def test_a_line_that_takes_nothing_for_long_has_gone_and_is_carried_on_on_another(by: str) -> None:
    near, far = socket.socketpair()
    gone = threading.Event()
    line = SharedLine(StalledStream(near), gone=gone.set)
    line.console.settimeout(SECONDS)
    match by:
        case "debugger":
            line.protocol.write(b"$qC#b4")
        case "terminal":
            line.console.sendall(b"ls\r")
        case _:
            with pytest.raises(WireClosed, match="takes nothing"):
                line.press_sysrq(b"g")
    assert gone.wait(SECONDS)
    assert far.recv(1) == b"", "it is closed"
    far.close()
    near, far = socket.socketpair()
    far.settimeout(SECONDS)
    with far:
        line.carry_on(SocketStream(near), standing=False)
        assert receive(far, 2) == b"-\x7f"
        far.sendall(b"still there\n")
        assert receive(line.console, 12) == b"still there\n"
        line.hang_up()
    line.console.close()


def test_a_line_that_takes_nothing_from_its_beginning_is_away_and_another_may_come() -> None:
    near, far = socket.socketpair()
    line = SharedLine(SocketStream(near), gone=lambda: None)
    line.part()
    far.close()
    near, far = socket.socketpair()
    stalled = StalledStream(near)
    with pytest.raises(WireClosed, match="takes nothing"):
        line.carry_on(stalled, standing=False)
    stalled.close()  # as whoever has opened it does
    far.close()
    assert line.is_away
    near, far = socket.socketpair()
    far.settimeout(SECONDS)
    with far:
        line.carry_on(SocketStream(near), standing=False)
        assert receive(far, 2) == b"-\x7f"
        line.hang_up()
    line.console.close()


def test_a_stop_that_was_not_heard_before_the_line_went_is_had_from_the_next() -> None:
    near, far = socket.socketpair()
    line = SharedLine(SocketStream(near), gone=lambda: None)
    far.close()
    near, far = socket.socketpair()
    far.settimeout(SECONDS)
    with far:
        line.carry_on(SocketStream(near), standing=False)
        assert receive(far, 2) == b"-\x7f"
        far.sendall(STOP + STOP)  # once for each
        assert receive(far, 1) == b"-"
        far.sendall(STOP)
        assert read(line.protocol, len(STOP)) == STOP
        assert line.stands_still()
        line.hang_up()
    line.console.close()
