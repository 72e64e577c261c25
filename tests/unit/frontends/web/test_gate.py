# SPDX-License-Identifier: Apache-2.0
"""Who gets to the page, and who does not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.frontends.web.gate import POLICY, Gate, Key

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

KEY = Key(4711, "a" * 43)
OTHER = Key(4711, "b" * 43)
HOST = (b"host", b"127.0.0.1:4711")
ORIGIN = (b"origin", b"http://127.0.0.1:4711")
COOKIE = (b"cookie", f"theme=dark; {KEY.cookie}={KEY.pass_}".encode())

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass
class Answer:
    """What came back, and whether the page behind the gate saw the request."""

    messages: list[Message] = field(default_factory=list)
    reached: bool = False

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def text(self) -> str:
        return str(self.messages[1]["body"], "utf-8")


def request(
    headers: Headers, *, method: str = "GET", query: bytes = b"", kind: str = "http", offered: tuple[str, ...] = ()
) -> Answer:
    """``offered``: subprotocols of a socket."""
    answer = Answer()

    async def page(_scope: Scope, _receive: Receive, send: Send) -> None:
        answer.reached = True
        if kind == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
            await send({"type": "http.response.body", "body": b"page"})

    async def receive() -> Message:
        raise AssertionError("the gate reads no body")

    async def send(message: Message) -> None:
        answer.messages.append(message)

    scope: dict[str, Any] = {"type": kind, "headers": list(headers), "query_string": query, "path": "/"}
    if kind == "http":
        scope["method"] = method
    else:
        scope["subprotocols"] = list(offered)
    asyncio.run(Gate(page, KEY)(scope, receive, send))
    return answer


def test_a_key_is_long_and_not_shown() -> None:
    first, second = Key(1), Key(1)
    assert first.token != second.token
    assert len(first.token) * 6 >= 128
    assert first.token not in repr(first)


def test_the_token_is_traded_for_a_cookie_and_a_secret_of_the_tab() -> None:
    answer = request((HOST,), query=KEY.url.partition("?")[2].encode())
    assert (answer.status, answer.headers[b"location"], answer.reached) == (303, f"/#{KEY.tab}".encode(), False)
    cookie = answer.headers[b"set-cookie"].decode()
    assert cookie == f"{KEY.cookie}={KEY.pass_}; Path=/; HttpOnly; SameSite=Lax"
    given = (b"cookie", cookie.partition(";")[0].encode())
    assert request((HOST, given)).reached
    assert request((HOST, ORIGIN, given), kind="websocket", offered=("nullmodem", KEY.tab)).reached


def test_what_a_server_on_another_port_is_sent_is_worth_nothing_for_the_socket() -> None:
    """The cookie, which knows no ports."""
    assert len({KEY.token, KEY.pass_, KEY.tab, OTHER.tab}) == 4
    for offered in ((), ("nullmodem",), ("nullmodem", KEY.pass_), ("nullmodem", OTHER.tab), ("é",)):
        answer = request((HOST, ORIGIN, COOKIE), kind="websocket", offered=offered)
        assert not answer.reached
    assert request((HOST,), query=f"token={KEY.pass_}".encode()).status == 401


@pytest.mark.parametrize("host", [b"127.0.0.1:4711", b"localhost:4711"])
def test_a_browser_with_the_cookie_gets_the_page_under_the_policy(host: bytes) -> None:
    answer = request(((b"host", host), COOKIE))
    assert answer.reached
    assert answer.status == 200
    assert set(POLICY) <= set(answer.headers.items())


@pytest.mark.parametrize(
    "query", [b"", b"token=", f"token={OTHER.token}".encode(), f"token={KEY.token}&token={KEY.token}".encode(),
              b"token=%00%ff", "token=é".encode()],
)  # fmt: skip
def test_without_the_token_there_is_nothing(query: bytes) -> None:
    answer = request((HOST,), query=query)
    assert (answer.status, answer.reached) == (401, False)
    assert "nullmodem web" in answer.text
    assert set(POLICY) <= set(answer.headers.items())


@pytest.mark.parametrize(
    "cookie",
    [
        b"",
        b"x",
        f"{KEY.cookie}={OTHER.pass_}".encode(),
        f"{KEY.cookie}={KEY.token}".encode(),
        f"{KEY.cookie}={KEY.tab}".encode(),
        f"nullmodem-1={KEY.pass_}".encode(),
        b"\xff=\xff;;",
    ],
)
def test_a_wrong_cookie_is_none(cookie: bytes) -> None:
    assert request((HOST, (b"cookie", cookie))).status == 401


@pytest.mark.parametrize(
    "hosts",
    [(), (b"127.0.0.1",), (b"127.0.0.1:80",), (b"evil.example:4711",), (b"127.0.0.1:4711.evil.example",),
     (b"127.0.0.1:4711", b"127.0.0.1:4711"), (b"LOCALHOST.:4711",), (b"[::1]:4711",)],
)  # fmt: skip
@pytest.mark.parametrize("query", [b"", f"token={KEY.token}".encode()])
def test_a_name_that_is_made_to_mean_this_machine_gets_nothing(hosts: tuple[bytes, ...], query: bytes) -> None:
    answer = request((*((b"host", host) for host in hosts), COOKIE), query=query)
    assert (answer.status, answer.reached) == (421, False)
    assert b"set-cookie" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "CONNECT"])
def test_nothing_but_get_is_answered(method: str) -> None:
    answer = request((HOST, ORIGIN, COOKIE), method=method)
    assert (answer.status, answer.headers[b"allow"], answer.reached) == (405, b"GET, HEAD", False)


def test_a_page_of_somebody_elses_gets_nothing() -> None:
    assert request((HOST, COOKIE, (b"origin", b"https://evil.example"))).status == 403


def test_a_socket_is_the_own_pages() -> None:
    answer = request((HOST, ORIGIN, COOKIE), kind="websocket", offered=("nullmodem", KEY.tab))
    assert answer.reached
    assert answer.messages == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((HOST, COOKIE), id="no origin"),
        pytest.param((HOST, COOKIE, (b"origin", b"null")), id="a file"),
        pytest.param((HOST, COOKIE, (b"origin", b"https://127.0.0.1:4711")), id="another scheme"),
        pytest.param((HOST, COOKIE, (b"origin", b"http://127.0.0.1:4712")), id="another port"),
        pytest.param((HOST, ORIGIN), id="no cookie"),
        pytest.param((ORIGIN, COOKIE, (b"host", b"evil.example:4711")), id="another host"),
        pytest.param((HOST, ORIGIN, ORIGIN, COOKIE), id="two origins"),
    ],
)
def test_a_socket_of_anybody_else_is_closed_before_it_is_open(headers: Headers) -> None:
    query = f"token={KEY.token}".encode()
    answer = request(headers, kind="websocket", query=query, offered=("nullmodem", KEY.tab))
    assert not answer.reached
    assert answer.messages == [{"type": "websocket.close", "code": 1008}]


@given(
    st.lists(st.tuples(st.sampled_from([b"host", b"origin", b"cookie", b"x"]), st.binary(max_size=60)), max_size=5),
    st.binary(max_size=60),
)
def test_whatever_is_sent_is_answered_and_opens_nothing(headers: list[tuple[bytes, bytes]], query: bytes) -> None:
    answer = request(tuple(headers), query=query)
    assert not answer.reached
    assert answer.status in (401, 403, 421)
