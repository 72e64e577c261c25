# SPDX-License-Identifier: Apache-2.0
"""The application that is served: the page's few files, from memory, and the socket that the page opens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from nullmodem.errors import NullmodemError, UsageError
from nullmodem.frontends.web.outbox import Outbox
from nullmodem.frontends.web.protocol import MOST_PENDING, MOST_UNREAD, encode_error
from nullmodem.frontends.web.requests import BadRequest, parse_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from nullmodem.frontends.web.visitor import Visitor
    from nullmodem.frontends.web.visitors import Visitors

PAGE: Final = Path(__file__).with_name("page")
MOST_PAGES: Final = 8
INDEX: Final = "index.html"
SUBPROTOCOL: Final = "nullmodem"
TOO_MANY: Final = 4429
ENDED: Final = 4410
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
_log = logging.getLogger(__name__)


def page_files(directory: Path = PAGE) -> Mapping[str, bytes]:
    """The page as it was built, by name. Raises UsageError when it was not."""
    found = {path.name: path.read_bytes() for path in directory.glob("*") if path.suffix in _TYPES}
    if INDEX not in found:
        raise UsageError("the page of the web view is not built", hint="In a source tree, `make setup` builds it.")
    return found


def site(visitors: Visitors, files: Mapping[str, bytes]) -> Starlette:
    """The application, for whoever was let in. ``files`` are all that can be fetched: no request leads to a path."""

    async def fetch(request: Request) -> Response:
        name = request.path_params["name"] or INDEX
        if name not in files:
            return Response("There is no such file.\n", 404, media_type="text/plain")
        return Response(files[name], media_type=_TYPES[Path(name).suffix])

    pages = _Pages(visitors)
    routes = [WebSocketRoute("/socket", pages.serve), Route("/{name:str}", fetch), Route("/", _index(fetch))]
    made = Starlette(routes=routes, middleware=[Middleware(GZipMiddleware, minimum_size=500)])
    made.router.redirect_slashes = False
    return made


def _index(fetch: Callable[[Request], object]) -> Callable[[Request], object]:
    async def index(request: Request) -> Response:
        request.path_params["name"] = INDEX
        answer = await fetch(request)  # type: ignore[misc]  # it is the coroutine above
        assert isinstance(answer, Response)
        return answer

    return index


class _Pages:
    """The sockets that are open."""

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors
        self._open = 0

    async def serve(self, websocket: WebSocket) -> None:
        """One page, until it goes."""
        # A browser that offers protocols takes no socket that has none of them.
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
        if self._open >= MOST_PAGES:
            await websocket.close(TOO_MANY, f"{MOST_PAGES} pages are open already")
            return
        self._open += 1
        try:
            await self._converse(websocket)
        finally:
            self._open -= 1

    async def _converse(self, websocket: WebSocket) -> None:
        loop, waiting = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(waiting.set)

        outbox = Outbox(wake)
        try:
            visitor = await self._visitors.come(outbox)
        except NullmodemError as error:
            await websocket.close(ENDED, error.message[:100])
            return
        except OSError as error:
            await websocket.close(TOO_MANY, f"there is no room for another page: {error.strerror or error}"[:100])
            return
        owed = _Owed()
        sender = asyncio.create_task(_send(websocket, outbox, waiting, visitor, owed))
        reader = asyncio.create_task(_receive(websocket, outbox, visitor, owed))
        try:
            await asyncio.wait([sender, reader], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Whatever ends this, the target must not stay stopped for a page that is no more.
            gone = self._visitors.go(visitor)
            for task in (sender, reader):
                task.cancel()
            await asyncio.gather(gone, sender, reader, return_exceptions=True)


@dataclass(slots=True)
class _Owed:
    """How many answers a page has not been sent yet, refusals among them."""

    answers: int = 0


async def _receive(websocket: WebSocket, outbox: Outbox, visitor: Visitor, owed: _Owed) -> None:
    """Never stop reading: what says that the page is alive comes the same way as what it asks."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if owed.answers >= MOST_UNREAD:
                return  # without a word, which would have to wait behind the answers
            crowded, owed.answers = owed.answers >= MOST_PENDING, owed.answers + 1
            try:
                id_, request = parse_request(message.get("text") or message.get("bytes") or "")
            except BadRequest as error:
                outbox.answer(encode_error(error.id, error.message, "Reload the page."))
                continue
            if crowded:
                says = f"too many requests: {MOST_PENDING} wait for their answers"
                outbox.answer(encode_error(id_, says, "Ask again when those have come."))
                continue
            visitor.ask(id_, request)


async def _send(websocket: WebSocket, outbox: Outbox, waiting: asyncio.Event, visitor: Visitor, owed: _Owed) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await waiting.wait()
            waiting.clear()
            while (message := outbox.take()) is not None:
                is_answer, text = message
                await websocket.send_text(text)
                if is_answer:
                    owed.answers -= 1
            if outbox.is_stale:
                outbox.begin_anew()
                await asyncio.to_thread(visitor.snapshot)
