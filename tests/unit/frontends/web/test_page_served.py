# SPDX-License-Identifier: Apache-2.0
"""`nullmodem web` as far as it is a request to a running session: when a page is served, and when no more."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.control import ControlServer, Service
from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import RunningSession
from nullmodem.errors import UsageError
from nullmodem.frontends.web.site import page_files
from nullmodem.frontends.web.starting import require_web
from support.pretend import Machine
from support.served import RECORD, SECONDS, served_in_a_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "http://127.0.0.1:1/?token=t"


class Door:
    """A session whose page is not there; it knows whether it is open."""

    def __init__(self, directory: Path) -> None:
        self.opened, self.closed = threading.Event(), threading.Event()
        self.port = -1
        session = RunningSession("simple", directory, RECORD)
        self.server = ControlServer()
        self.server.listen(session.control_socket)
        service = Service(session, Machine(), (), lambda: None, directory / "log", page=self.page)  # type: ignore[arg-type]
        self.server.serve(service)
        self.remote = RemoteMachine(session)

    @contextlib.contextmanager
    def page(self, port: int) -> Iterator[str]:
        self.port = port
        self.opened.set()
        try:
            yield URL
        finally:
            self.closed.set()


@pytest.fixture
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    door = Door(tmp_path_factory.mktemp("d"))
    yield door
    door.server.close()


def test_a_page_is_served_until_who_asked_for_it_ends(door: Door) -> None:
    reader, writer = os.pipe()
    told: list[str] = []

    def begun(url: str) -> None:
        told.append(url)
        assert door.opened.is_set()
        assert not door.closed.is_set()
        os.write(writer, b"x")

    try:
        assert door.remote.serve_web(reader, begun, 40123)
    finally:
        os.close(reader)
        os.close(writer)
    assert (told, door.port) == ([URL], 40123)
    assert door.closed.wait(SECONDS)


def test_a_page_is_served_no_longer_than_who_asked_for_it_lives(door: Door) -> None:
    with door.remote._connect(None) as connection:
        connection.sendall(b'{"request": "web", "arguments": {}}\n')  # as a nullmodem that knows no port asks
        assert URL.encode() in connection.recv(1 << 10)
    assert door.closed.wait(SECONDS)


def test_the_end_of_the_session_is_the_pages_and_no_failure(door: Door) -> None:
    reader, writer = os.pipe()
    closing: list[threading.Thread] = []

    def begun(_url: str) -> None:
        closing.append(threading.Thread(target=door.server.close))
        closing[0].start()

    try:
        assert not door.remote.serve_web(reader, begun)
    finally:
        os.close(reader)
        os.close(writer)
        closing[0].join()
    assert door.closed.wait(SECONDS)


def test_a_session_without_a_page_says_so() -> None:
    reader, writer = os.pipe()
    try:
        with served_in_a_directory() as served, pytest.raises(UsageError, match="no page for browsers"):
            served.remote.serve_web(reader, lambda _url: None)
    finally:
        os.close(reader)
        os.close(writer)


def test_what_is_missing_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    require_web()
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UsageError, match="not installed: uvicorn") as missing:
        require_web()
    assert "nullmodem[web]" in missing.value.hint
    with pytest.raises(UsageError, match="is not built"):
        page_files(tmp_path)
