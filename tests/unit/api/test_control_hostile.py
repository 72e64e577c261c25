# SPDX-License-Identifier: Apache-2.0
"""Nonsense on the control socket, from either end: one error, and everybody else is served as before."""

from __future__ import annotations

import contextlib
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.api import control_protocol as protocol
from nullmodem.api import failures
from nullmodem.api.line_reader import LINE_LIMIT, LineReader
from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import RunningSession
from nullmodem.waiting import wait_readable
from support.descriptors import room_for
from support.served import RECORD, SECONDS, Served, in_thread


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"hello\n", "not JSON"),
        (b"{}\n", "a request has a name and arguments"),
        (b'{"request": "reboot", "arguments": {}}\n', "there is no request 'reboot'"),
        (b'{"request": "push", "arguments": {"file": "relative"}}\n', "is not an absolute path"),
        (b'{"request": "build", "arguments": {"path": "/a\\u0000b"}}\n', "is not an absolute path"),
        (b'{"request": "exec", "arguments": {"words": []}}\n', "there is no command to run"),
        (b"x" * (LINE_LIMIT + 1), "a line of more than"),
    ],
)
def test_nonsense_is_answered_and_does_not_end_the_session(served: Served, line: bytes, complaint: str) -> None:
    with served.connect() as connection:
        connection.sendall(line)
        answer = LineReader(connection).read()
        assert answer is not None
        failure = protocol.parse_message(answer, protocol.Exited)
    assert isinstance(failure, failures.Failure)
    assert failure.kind == "RemoteProtocolError"
    assert complaint in failure.message
    assert served.machine.diary == []
    assert served.remote.status().name == "simple"


@given(st.binary(max_size=64).map(lambda line: line.replace(b"\n", b"")))
def test_any_line_is_answered_with_one_error(shared: Served, line: bytes) -> None:
    with shared.connect() as connection:
        connection.sendall(line + b"\n")
        reader = LineReader(connection)
        answer = reader.read()
        assert answer is not None
        assert isinstance(protocol.parse_message(answer, protocol.Exited), failures.Failure)
        assert reader.read() is None


def test_a_client_for_whom_there_is_no_descriptor_is_served_when_there_is_one(served: Served) -> None:
    with contextlib.ExitStack() as stack:
        # For the first one the kernel has a descriptor ready, which accept(2) takes before it waits; it keeps that.
        clients = [stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX))) for _ in range(3)]
        with room_for(0):
            for client in clients:
                client.settimeout(SECONDS)
                client.connect(str(served.session.control_socket))
            for client in clients[1:]:
                client.sendall(protocol.encode_request(protocol.GetModules()))
            assert not wait_readable(clients[1:], 0.3)
        for client in clients[1:]:
            assert LineReader(client).read() is not None
    assert served.remote.status().name == "simple"


def test_clients_that_say_nothing_keep_nobody_from_being_served(served: Served) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(served.connect()).sendall(b'{"request"')
        assert served.remote.status().name == "simple"


@pytest.mark.parametrize("line", [b"{}\n", b"hello\n", b'{"result": {"code": "x"}}\n', b'{"error": {"kind": "E"}}\n'])
def test_a_session_that_talks_nonsense_is_one_error_here(tmp_path: Path, line: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        session = RunningSession("simple", Path(directory), RECORD)
        listener.bind(str(session.control_socket))
        listener.listen()
        thread, results = in_thread(lambda: RemoteMachine(session).execute(["x"], lambda _data: None))
        with listener.accept()[0] as connection:
            connection.sendall(line)
            thread.join(SECONDS)
    assert type(results[0]).__name__ == "RemoteProtocolError"
