# SPDX-License-Identifier: Apache-2.0
"""A socket as a line: what it carries, and what happens when one end goes."""

from __future__ import annotations

import select
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import UsageError, WireClosed
from nullmodem.waiting import wait_readable
from nullmodem.wire.streams import ByteStream, SocketStream

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def line() -> Iterator[tuple[SocketStream, SocketStream]]:
    left, right = (SocketStream(end) for end in socket.socketpair())
    yield left, right
    left.close()
    right.close()


def test_a_socket_is_a_byte_stream(line: tuple[SocketStream, SocketStream]) -> None:
    assert isinstance(line[0], ByteStream)


def test_bytes_arrive_and_the_descriptor_tells(line: tuple[SocketStream, SocketStream]) -> None:
    left, right = line
    assert wait_readable([right], 0) == []
    left.write(b"$g#67")
    assert wait_readable([right]) == [right]
    assert right.read(2) == b"$g"
    assert right.read() == b"#67"


def test_all_of_a_large_write_arrives(line: tuple[SocketStream, SocketStream]) -> None:
    left, right = line
    data = bytes(range(256)) * 20_000
    writer = threading.Thread(target=left.write, args=(data,))
    writer.start()
    received = bytearray()
    while len(received) < len(data):
        received += right.read()
    writer.join()
    assert received == data


def test_no_bytes_may_be_written(line: tuple[SocketStream, SocketStream]) -> None:
    line[0].write(b"")


def test_the_end_is_read_as_empty_again_and_again(line: tuple[SocketStream, SocketStream]) -> None:
    left, right = line
    left.write(b"last")
    left.close()
    assert [right.read(), right.read(), right.read()] == [b"last", b"", b""]


def test_writing_to_a_closed_line_says_so(line: tuple[SocketStream, SocketStream]) -> None:
    left, right = line
    right.close()
    with pytest.raises(WireClosed, match="the line was closed while 4 bytes were sent"):
        left.write(b"gone")
    with pytest.raises(WireClosed):
        right.write(b"gone")


def test_closing_twice_is_closing_once(line: tuple[SocketStream, SocketStream]) -> None:
    left, _ = line
    left.close()
    left.close()
    assert left.fileno() == -1
    assert left.read() == b""


def test_a_plain_socket_has_no_break(line: tuple[SocketStream, SocketStream]) -> None:
    with pytest.raises(UsageError, match="BREAK") as caught:
        line[0].send_break()
    assert caught.value.hint


def test_a_connection_that_was_reset_reads_as_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    stream = SocketStream(near)
    assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with a reset
    far.close()
    assert stream.read() == b""
    stream.close()


def test_closing_waits_until_the_other_end_has_read_what_was_written_last() -> None:
    ours, theirs = socket.socketpair()
    stream = SocketStream(ours)
    stream.write(b"+")
    closing = threading.Thread(target=stream.close)
    closing.start()
    assert theirs.recv(10) == b"+"
    assert theirs.recv(10) == b""
    assert closing.is_alive(), "the other end has not hung up"
    theirs.close()
    closing.join()
    assert stream.fileno() == -1


def test_closing_after_an_answer_waits_for_nobody() -> None:
    ours, theirs = socket.socketpair()
    stream = SocketStream(ours)
    stream.write(b"+")
    theirs.sendall(b"x")
    assert stream.read() == b"x"
    stream.close()
    assert theirs.recv(10) == b"+"
    theirs.close()


def test_a_terminal_server_that_drops_what_is_on_its_way_when_its_client_hangs_up_has_had_the_last_word() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        connection, _address = listener.accept()
        with connection:
            poll = select.poll()
            poll.register(connection, select.POLLIN | select.POLLRDHUP)
            while not poll.poll()[0][1] & select.POLLRDHUP:
                heard.append(connection.recv(100))

    server = threading.Thread(target=serve)
    server.start()
    with listener:
        line = SocketStream(socket.create_connection(listener.getsockname()))
        line.write(b"+")
        line.close()
        server.join(10)
    assert heard == [b"+"]
