# SPDX-License-Identifier: Apache-2.0
"""A page's end of the web view: a browser without a browser, on a session that is served for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from nullmodem.api.machine import Machine
from nullmodem.errors import TargetStands
from nullmodem.frontends.web.gate import Key
from nullmodem.frontends.web.server import WebServer
from nullmodem.targets.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nullmodem.api.live import LiveSession
    from nullmodem.targets.target import TargetExit

SECONDS = 20.0
FILES = {"index.html": b"<!doctype html><title>page</title>" + b" " * 2000, "page.js": b"'use strict';" + b" " * 2000}


class FakeTarget:
    """A machine as far as a page sees it: its console, whose other end the test has."""

    ends_with_session = True
    alive = True

    def __init__(self, directory: Path) -> None:
        ours, self.line = socket.socketpair()
        self.line.settimeout(SECONDS)
        self.refusal = ""
        self.console = Console(ours, directory / "console.log", refuses=lambda: self.refusal)

    def on_exit(self, callback: Callable[[TargetExit], None]) -> None:
        """It does not end by itself."""

    def announce(self, text: str) -> None:
        self.console.announce(text)

    def close(self) -> None:
        self.line.close()
        self.console.close()


class Page:
    """One page with an open socket. Messages are taken in order; those that nobody asked for are kept."""

    def __init__(self, key: Key, **options: Any) -> None:
        headers = {"Cookie": f"{key.cookie}={key.pass_}"}
        settings: dict[str, Any] = {
            "additional_headers": headers,
            "origin": f"http://{key.authorities[0]}",
            "subprotocols": ["nullmodem", key.tab],
            "max_size": None,
            "max_queue": None,
            "proxy": None,
            "compression": None,
        }
        self._opened = connect(f"ws://{key.authorities[0]}/socket", **(settings | options))
        self.socket = self._opened.__enter__()
        self.pushed: list[dict[str, Any]] = []
        self.shown: dict[str, Any] = {}
        self._count = 0

    def send(self, do: str, **arguments: Any) -> int:
        self._count += 1
        self.socket.send(json.dumps({"id": self._count, "do": do, **arguments}))
        return self._count

    def answer(self, id_: int | None) -> dict[str, Any]:
        while True:
            message = self.receive()
            if "type" not in message:
                assert message["id"] == id_, message
                return message
            self.pushed.append(message)

    def ask(self, do: str, **arguments: Any) -> Any:
        """The result of a request."""
        answer = self.answer(self.send(do, **arguments))
        assert "result" in answer, answer
        return answer["result"]

    def refused(self, do: str, **arguments: Any) -> str:
        """The error of a request."""
        error = self.answer(self.send(do, **arguments))["error"]
        return f"{error['message']}\n{error['next']}"

    def until(self, type_: str, **wanted: Any) -> dict[str, Any]:
        """The next push of this type whose fields are as ``wanted``; what came before is dropped."""
        while True:
            message = self.pushed.pop(0) if self.pushed else self.receive()
            if message.get("type") == type_ and all(message[name] == value for name, value in wanted.items()):
                return message

    def when(self, wanted: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """What the page shows, the last push of each type, as soon as that is as ``wanted``."""
        self.pushed.clear()
        while not wanted(self.shown):
            self.receive()
        return self.shown

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(SECONDS))
        if "type" in message:
            self.shown[message["type"]] = message
        return message

    def close(self) -> None:
        self._opened.__exit__(None, None, None)

    def vanish(self) -> None:
        """As a browser that is killed. Returns when the server has hung up: data that websockets is sent after it has
        failed to send is an error to it."""
        self.socket.socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.socket.recv(SECONDS)
        self.close()


def key_of(url: str) -> Key:
    """What an address that was printed has in it."""
    found = urlsplit(url.strip())
    assert found.port is not None
    return Key(found.port, found.query.removeprefix("token="))


def fetch(server: WebServer, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    """What the server answers, read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.key.port, timeout=SECONDS)
    with contextlib.closing(connection):
        cookie = {"Cookie": f"{server.key.cookie}={server.key.pass_}"}
        connection.request(method, path, headers={**cookie, **headers})
        response = connection.getresponse()
        response.read()
        return response


class Web:
    """A session's machine, served."""

    def __init__(self, live: LiveSession, directory: Path, **options: Any) -> None:
        self.target = FakeTarget(directory)
        self.machine = Machine("fake", live, self.target, None, directory)  # type: ignore[arg-type]
        self.server = WebServer(self.machine, **{"files": FILES, **options})
        self._pages: list[Page] = []

    def page(self, **options: Any) -> Page:
        page = Page(self.server.key, **options)
        self._pages.append(page)
        return page

    def stand_still(self) -> None:
        """Nothing may be typed from here on."""
        self.target.refusal = TargetStands("the target is stopped").message

    def close(self) -> None:
        for page in self._pages:
            page.close()
        self.server.close()
        self.machine.close()


@contextlib.contextmanager
def web_on(live: LiveSession, directory: Path, **options: Any) -> Iterator[Web]:
    """A page server on a session."""
    web = Web(live, directory, **options)
    try:
        yield web
    finally:
        web.close()
