# SPDX-License-Identifier: Apache-2.0
"""The page's HTTP server: a thread of the session's process, on a port of the loopback interface that was free."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from nullmodem.errors import SessionError
from nullmodem.frontends.web.gate import Gate, Key
from nullmodem.frontends.web.hub import Hub
from nullmodem.frontends.web.protocol import LONGEST_MESSAGE
from nullmodem.frontends.web.site import page_files, site
from nullmodem.frontends.web.starting import listen
from nullmodem.frontends.web.visitors import Visitors

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Mapping

    from nullmodem.api.machine import Machine

REQUEST_SECONDS: Final = 10.0
"""For a whole request to come: who sends it byte by byte must not keep a connection for ever."""
PING_SECONDS: Final = 20.0
"""Between two questions whether a page is there, and for its answer: one that has died must not keep the target."""
MOST_CONNECTIONS: Final = 128
LONGEST_HEAD: Final = 16 << 10
START_SECONDS: Final = 30.0
END_SECONDS: Final = 5


class WebServer:
    """Serves one machine's page until closed. ``url`` has the secret it takes to see it."""

    def __init__(
        self,
        machine: Machine,
        *,
        port: int = 0,
        files: Mapping[str, bytes] | None = None,
        request_seconds: float = REQUEST_SECONDS,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        """``files`` are the page, the one that was built if it is not given; ``port`` 0 takes a free one.

        Raises UsageError when no page was built; SessionError when the port is in use, or none is to be had.
        """
        page = page_files() if files is None else files
        listener = listen(port)
        with contextlib.ExitStack() as made:
            made.callback(listener.close)
            self.key = Key(listener.getsockname()[1])
            self._hub = Hub(machine)
            made.callback(self._hub.close)
            visitors = Visitors(self._hub)
            made.callback(visitors.close)
            gate = Gate(site(visitors, page), self.key)
            self._server = _Server(_configuration(gate, request_seconds, ping_seconds))
            self._thread = threading.Thread(
                target=self._server.run, args=([listener],), name="nullmodem-web", daemon=True
            )
            self._thread.start()
            self._closing = made.pop_all()
        if not self._server.begun.wait(START_SECONDS):
            self.close()
            raise SessionError("the web view has not begun to serve")

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return self.key.url

    def close(self) -> None:
        """Hang up on every page. Safe to call twice."""
        self._server.should_exit = True
        self._thread.join()
        self._closing.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begun.set()


def _configuration(app: Gate, request_seconds: float, ping_seconds: float) -> uvicorn.Config:
    class Protocol(_Punctual):
        seconds = request_seconds

    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=Protocol,
        ws=_Unwaiting,
        ws_max_size=LONGEST_MESSAGE,
        ws_per_message_deflate=False,
        ws_ping_interval=ping_seconds,
        ws_ping_timeout=ping_seconds,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        timeout_graceful_shutdown=END_SECONDS,
    )


class _Unwaiting(WebSocketsSansIOProtocol):
    """A socket that is given up although its page does not read what is left. uvicorn waits until that has been sent,
    and before then the application is not told that a page has died."""

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self.loop.call_later(END_SECONDS, self.transport.abort)


class _Punctual(H11Protocol):
    """HTTP that hangs up on who is one too many, or has not sent a request in time. uvicorn answers the former, and
    looks for the latter between two requests only."""

    seconds = REQUEST_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()  # anybody on this machine can connect, and descriptors are the session's too
            return
        self._deadline = self.loop.call_later(self.seconds, self._overdue)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _overdue(self) -> None:
        has_request: object = self.cycle
        if has_request is None and self.transport.get_protocol() is self:
            self.transport.close()
