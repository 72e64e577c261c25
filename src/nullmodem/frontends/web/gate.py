# SPDX-License-Identifier: Apache-2.0
"""Who may see the page: whoever has the token, on this machine, and no page of somebody else's. Pure ASGI, no I/O.

A browser lets every page that it shows send requests to 127.0.0.1, and a name that somebody else answers for may be
made to mean 127.0.0.1 (DNS rebinding). So a request counts only with the exact Host, a socket only with the exact
Origin besides, and either only with a secret that comes from the one that was printed in the user's terminal.

There are two of those. A cookie lets the page's files be fetched; but cookies know no ports (RFC 6265 section 8.5), and
whatever else listens on 127.0.0.1 and is visited gets it. What opens the socket is another, which only the page's own
tab has: it comes behind the # of the address that the token leads to, which no browser sends to anybody.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_BYTES: Final = 32
HOST: Final = "127.0.0.1"

_CONTENT: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
POLICY: Final = (
    (b"content-security-policy", _CONTENT),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Headers of every answer: nothing but our own files, in nobody's frame, and kept nowhere."""


@dataclass(frozen=True, slots=True)
class Key:
    """Where a page is served, and the secret it takes to see it."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(TOKEN_BYTES), repr=False)

    @property
    def url(self) -> str:
        """What the user opens. The token is in no address any more then."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    @property
    def authorities(self) -> tuple[str, ...]:
        """What a browser may send as Host. A tunnel (``ssh -L``) has to keep the port."""
        return (f"{HOST}:{self.port}", f"localhost:{self.port}")

    @property
    def cookie(self) -> str:
        """The cookie's name; cookies know no ports, and several sessions may have a page."""
        return f"nullmodem-{self.port}"

    @property
    def pass_(self) -> str:
        """The cookie's value, with which the page's files can be fetched."""
        return self._derived(b"files")

    @property
    def tab(self) -> str:
        """What the page's tab keeps, and offers as a subprotocol to open the socket."""
        return self._derived(b"socket")

    def _derived(self, use: bytes) -> str:
        """A secret that tells nothing of the token, nor of another."""
        return hmac.digest(self.token.encode(), use, "sha256").hex()


def _same(offered: str, secret: str) -> bool:
    """Takes as long whether it is or not."""
    return secrets.compare_digest(offered.encode(), secret.encode())


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered, and what to do about it."""

    status: HTTPStatus
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


_WRONG_HOST: Final = Refusal(
    HTTPStatus.MISDIRECTED_REQUEST,
    "The request is for another host. Open the address that nullmodem printed; a tunnel has to keep its port.",
)
_WRONG_ORIGIN: Final = Refusal(HTTPStatus.FORBIDDEN, "The request comes from another page.")
_WRONG_METHOD: Final = Refusal(
    HTTPStatus.METHOD_NOT_ALLOWED, "A page is fetched with GET; what acts goes through its socket.",
    ((b"allow", b"GET, HEAD"),),
)  # fmt: skip
_NO_TOKEN: Final = Refusal(
    HTTPStatus.UNAUTHORIZED,
    "The token is missing or that of another session. Open the address that `nullmodem web` prints, from a new tab.",
)


_ONE_REQUEST: Final = (b"connection", b"close")
"""A connection that is kept could be held by who sends the next request byte by byte."""


class Gate:
    """Lets through what has the key; answers everything else itself."""

    def __init__(self, app: ASGIApp, key: Key) -> None:
        self._app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})  # before it is accepted: an answer of 403
            return
        if refusal is not None:
            await _answer(send, refusal.status, refusal.text, refusal.headers)
        elif "token" in _query(scope):
            await self._take_in(send)
        else:
            await self._app(scope, receive, _with_policy(send))

    def _refusal(self, scope: Scope) -> Refusal | None:
        socket = scope["type"] == "websocket"
        origin = _header(scope, b"origin")
        if _header(scope, b"host") not in self._key.authorities:
            return _WRONG_HOST
        if not socket and scope["method"] not in ("GET", "HEAD"):
            return _WRONG_METHOD
        # A browser says where a socket is from, always; with what is fetched it does so when that is another page.
        if origin not in self._origins and (socket or origin is not None):
            return _WRONG_ORIGIN
        offered = None if socket else _query(scope).get("token")
        known = self._has_cookie(scope) if offered is None else len(offered) == 1 and _same(offered[0], self._key.token)
        if socket and not any(_same(each, self._key.tab) for each in scope.get("subprotocols", ())):
            known = False
        return None if known else _NO_TOKEN

    @property
    def _origins(self) -> tuple[str, ...]:
        return tuple(f"http://{authority}" for authority in self._key.authorities)

    def _has_cookie(self, scope: Scope) -> bool:
        try:
            cookies = SimpleCookie(_header(scope, b"cookie") or "")
        except CookieError:
            return False
        offered = cookies.get(self._key.cookie)
        return offered is not None and _same(offered.value, self._key.pass_)

    async def _take_in(self, send: Send) -> None:
        """Trade the token for a cookie that scripts cannot read, and for the tab's secret.

        Lax and not Strict: a link that is followed from elsewhere, a file, say, is another site's doing, and Strict
        would keep the cookie from the very address that it leads to.
        """
        cookie = f"{self._key.cookie}={self._key.pass_}; Path=/; HttpOnly; SameSite=Lax"
        headers = ((b"location", f"/#{self._key.tab}".encode()), (b"set-cookie", cookie.encode()))
        await _answer(send, HTTPStatus.SEE_OTHER, "The page is at /.", headers)


def _header(scope: Scope, name: bytes) -> str | None:
    """A header that was sent once; None otherwise, for two Hosts are none."""
    values = [value for key, value in scope["headers"] if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _with_policy(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *POLICY, _ONE_REQUEST]}
        await send(message)

    return sent


async def _answer(send: Send, status: HTTPStatus, text: str, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    body = text.encode() + b"\n"
    described = ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()))
    started: Message = {"type": "http.response.start", "status": status.value, "headers": [*described, *headers]}
    await _with_policy(send)(started)
    await send({"type": "http.response.body", "body": body})
