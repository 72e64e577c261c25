# SPDX-License-Identifier: Apache-2.0
"""What a page server is sent by others than its page: refused, and the session is as it was."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nullmodem.frontends.web.protocol import MOST_PENDING
from nullmodem.frontends.web.server import MOST_CONNECTIONS
from support.pages import SECONDS, fetch, web_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.pages import Web
    from support.rig import Rig


@pytest.fixture(autouse=True)
def the_target_is_left_alone(rig: Rig, web: Web) -> Any:
    before = rig.live.cost
    yield
    assert rig.fake.running
    assert rig.session.table.wanted == frozenset()
    assert (rig.live.cost - before).round_trips == 0


def raw(web: Web, request: bytes) -> bytes:
    """Everything that is answered to these bytes."""
    with socket.create_connection(("127.0.0.1", web.server.key.port), SECONDS) as connection:
        connection.sendall(request)
        received = b""
        while data := connection.recv(1 << 16):
            received += data
        return received


FOREIGN = [
    "localhost.evil:{}", "127.0.0.1.nip.io:{}", "0177.0.0.1:{}", "2130706433:{}", "0x7f.1:{}", "localhost6:{}",
    "127.0.0.1.:{}", "localhost.:{}", "[::1%25lo]:{}", "127.0.0.1", "127.0.0.1:80", "evil", "",
]  # fmt: skip


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_sees_nothing(web: Web, host: str) -> None:
    name = host.format(web.server.key.port)
    head = f"GET / HTTP/1.1\r\nHost: {name}\r\nCookie: {web.server.key.cookie}={web.server.key.pass_}\r\n"
    answer = raw(web, f"{head}Connection: close\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 421 ", b"HTTP/1.1 400 "))
    assert b"<title>" not in answer


def test_two_hosts_are_none(web: Web) -> None:
    key = web.server.key
    hosts = f"Host: {key.authorities[0]}\r\nHost: evil\r\n"
    answer = raw(web, f"GET / HTTP/1.1\r\n{hosts}Cookie: {key.cookie}={key.pass_}\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 421 ", b"HTTP/1.1 400 "))


@pytest.mark.parametrize("origin", [None, "null", "http://evil", "https://127.0.0.1:{}", "http://127.0.0.1"])
def test_a_socket_of_another_page_is_refused(web: Web, origin: str | None) -> None:
    given = origin.format(web.server.key.port) if origin is not None else None
    with pytest.raises(InvalidStatus, match="403"):
        web.page(origin=given)


def test_a_socket_without_the_secret_is_refused(web: Web) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        web.page(additional_headers={"Cookie": f"{web.server.key.cookie}=guess"})
    with pytest.raises(InvalidStatus, match="403"):
        web.page(subprotocols=["nullmodem", web.server.key.pass_])
    page = web.page()
    assert page.socket.subprotocol == "nullmodem"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_is_done_by_a_request(web: Web, method: str) -> None:
    for path in ("/", "/socket", "/continue"):
        assert fetch(web.server, path, method).status == 405


PATHS = [
    "/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/..%2f..%2fetc%2fpasswd", "/index.html/..",
    "/page.js%00", "/.", "/socket/", "/nothing",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out_of_the_page(web: Web, path: str) -> None:
    assert fetch(web.server, path).status == 404


def test_the_page_is_packed_and_its_types_are_told(web: Web) -> None:
    page = fetch(web.server, "/", **{"Accept-Encoding": "gzip"})
    assert (page.status, page.headers["content-encoding"]) == (200, "gzip")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert int(page.headers["content-length"]) < 1000
    assert fetch(web.server, "/page.js").headers["content-type"] == "text/javascript; charset=utf-8"
    for name in ("content-security-policy", "x-content-type-options", "referrer-policy", "cache-control"):
        assert page.headers[name]


FILES = ["/etc/passwd", "../../../etc/passwd", "/dev/zero", "/proc/self/environ", "", "\x00", "a" * 5000, "passwd"]


@pytest.mark.parametrize("file", FILES)
def test_no_file_is_shown_that_debug_information_does_not_name(web: Web, file: str) -> None:
    assert "no debug information names" in web.page().refused("source", file=file)


MESSAGES = [
    "", "nonsense", "[]", "7", "null", '"x"', "{}", '{"id": 1}', '{"do": "threads"}', '{"id": "1", "do": "threads"}',
    '{"id": -1, "do": "threads"}', '{"id": true, "do": "threads"}', '{"id": 1.0, "do": "threads"}',
    '{"id": 1e400, "do": "threads"}', '{"id": NaN, "do": "threads"}', '{"id": 9007199254740992, "do": "threads"}',
    '{"id": 1, "do": "nothing"}', '{"id": 1, "do": ["threads"]}', '{"id": 1, "do": "stack"}',
    '{"id": 1, "do": "stack", "thread": "1"}', '{"id": 1, "do": "stack", "thread": 1, "more": 2}',
    '{"id": 1, "do": "stack", "thread": 18446744073709551616}', '{"id": 1, "do": "__class__"}', "[" * 30_000,
    '{"id": 1, "do": "break_at", "file": "a.c", "function": "f"}', '{"id": 1, "do": "break_at"}',
    '{"id": 1, "do": "break_at", "function": "no such"}', '{"id": 1, "do": "load", "name": "../x"}',
    '{"id": 1, "do": "children", "ref": -5}', '{"id": 1, "do": "recorded", "stop": -1}',
    b"\xff\xfe",
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES)
def test_what_is_no_request_is_answered_with_an_error_and_harms_nothing(web: Web, message: str | bytes) -> None:
    page = web.page()
    page.socket.send(message)
    while "error" not in (answer := page.receive()):
        pass
    assert answer["error"]["message"]
    assert answer["id"] in (None, 1)
    assert page.ask("files") == []


@pytest.mark.parametrize(
    "condition",
    ["__import__('os')", "().__class__", "x.__class__", "f(1)", "[1 for _ in x]", "lambda: 1", "9 ** 9 ** 9", "'a' * 9",
     "1 << 10 ** 9", "x.prog_", "(y := 1)", "f'{x}'", "x +", "(" * 300, "a" * 500],
)  # fmt: skip
def test_a_condition_compares_and_does_no_more(web: Web, condition: str) -> None:
    assert "condition" in web.page().refused("break_at", function="do_init_module", condition=condition)


def test_a_message_that_is_too_long_ends_its_socket_alone(web: Web) -> None:
    page, other = web.page(), web.page()
    page.socket.send(json.dumps({"id": 1, "do": "type", "text": "x" * (1 << 17)}))
    with pytest.raises(ConnectionClosed) as closed:
        page.answer(1)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert other.ask("files") == []


def test_a_message_may_come_in_pieces(web: Web) -> None:
    page = web.page()
    page.socket.send(iter('{"id": 5, "do": "files"}'))
    assert page.answer(5)["result"] == []


def test_who_sends_a_request_byte_by_byte_is_hung_up_on(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "slow").mkdir()
    with web_on(rig.live, tmp_path / "slow", request_seconds=0.3) as web:
        address = "127.0.0.1", web.server.key.port
        slow = [socket.create_connection(address, SECONDS) for _ in range(20)]
        for connection in slow:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        page = web.page()
        assert page.ask("files") == []
        for connection in slow:
            assert connection.recv(1) == b""
            connection.close()
        assert page.ask("files") == []  # which has been here for longer


def test_who_is_one_too_many_is_hung_up_on(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    with web_on(rig.live, tmp_path / "many", request_seconds=10 * SECONDS) as web, contextlib.ExitStack() as stack:
        address = "127.0.0.1", web.server.key.port
        page = web.page()
        assert page.ask("files") == []
        for _ in range(MOST_CONNECTIONS - 1):
            stack.enter_context(socket.create_connection(address, SECONDS))
        for _ in range(20):
            with socket.create_connection(address, SECONDS) as late, contextlib.suppress(ConnectionResetError):
                assert late.recv(1) == b""
        assert page.ask("files") == []


def test_a_connection_is_for_one_request(web: Web) -> None:
    for path in ("/", "/page.js", "/none"):
        assert fetch(web.server, path).getheader("connection") == "close"
    assert fetch(web.server, "/", Cookie="").getheader("connection") == "close"


def test_a_page_that_has_died_does_not_keep_the_target(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "dead").mkdir()
    with web_on(rig.live, tmp_path / "dead", ping_seconds=0.3) as web:
        key = web.server.key
        with socket.create_connection(("127.0.0.1", key.port), SECONDS) as dead:
            dead.sendall(
                f"GET /socket HTTP/1.1\r\nHost: {key.authorities[0]}\r\nOrigin: http://{key.authorities[0]}\r\n"
                f"Cookie: {key.cookie}={key.pass_}\r\nSec-WebSocket-Protocol: nullmodem, {key.tab}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            assert dead.recv(12) == b"HTTP/1.1 101"
            while dead.recv(1 << 16):
                pass
        web.page().ask("files")
    assert rig.live.clients() == ()


def test_a_head_without_end_is_refused(web: Web) -> None:
    with socket.create_connection(("127.0.0.1", web.server.key.port), SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (1 << 16))
        assert connection.recv(12) == b"HTTP/1.1 400"


@contextlib.contextmanager
def engine_busy(rig: Rig) -> Iterator[None]:
    """Nothing that needs the session is answered meanwhile."""
    busy, free = threading.Event(), threading.Event()
    engine = threading.Thread(target=lambda: rig.live.look_into(lambda _session: (busy.set(), free.wait(SECONDS))))
    engine.start()
    try:
        assert busy.wait(SECONDS)
        yield
    finally:
        free.set()
        engine.join()


def test_who_asks_faster_than_it_is_answered_is_refused_and_stays(rig: Rig, web: Web) -> None:
    page = web.page()
    page.until("breakpoints")
    with engine_busy(rig):
        first = [page.send("files") for _ in range(MOST_PENDING)]
        assert page.answer(page.send("files"))["error"] == {
            "message": "too many requests: 32 wait for their answers", "next": "Ask again when those have come.",
        }  # fmt: skip
        assert page.socket.ping().wait(SECONDS), "it is heard all the while"
    for id_ in first:
        assert "result" in page.answer(id_)
    assert page.ask("files") == []


def printed(message: dict[str, Any]) -> str:
    """What a message shows of the console: a machine that is busy may have a quick page, too, begin anew."""
    return str(message.get("console") or message.get("text") or "")


def test_a_page_that_does_not_read_is_told_anew_and_holds_up_nobody(web: Web) -> None:
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", web.server.key.port))
    slow, quick = web.page(sock=small, max_queue=1), web.page()
    assert slow.receive()["type"] == "hello"
    text = "x" * (1 << 16)
    for _ in range(300):
        web.target.line.sendall(text.encode())
    web.target.line.sendall(b"end")
    while not printed(quick.receive()).endswith("end"):
        pass
    anew, received, last = 0, 0, ""
    while not last.endswith("end"):
        message = slow.receive()
        anew += message["type"] == "hello"
        last = printed(message)
        received += len(last)
    assert anew > 0
    assert received < 290 << 16
    slow.vanish()


def test_so_many_pages_and_no_more(web: Web) -> None:
    pages = [web.page() for _ in range(8)]
    for page in pages:
        page.ask("files")
    with pytest.raises(ConnectionClosed) as closed:
        web.page().receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4429
    pages[0].vanish()
    assert pages[1].ask("files") == []


def test_the_end_of_the_server_is_told_to_its_pages(web: Web) -> None:
    page = web.page()
    page.ask("files")
    web.server.close()
    with pytest.raises(ConnectionClosed) as closed:
        page.answer(1 << 40)  # of no question: whatever comes until the end
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012  # for which the page does not try again
