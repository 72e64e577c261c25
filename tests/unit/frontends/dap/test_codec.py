# SPDX-License-Identifier: Apache-2.0
"""The protocol's framing: whatever an editor sends, and however it is cut, is a message or an error."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import RemoteProtocolError
from nullmodem.frontends.dap.codec import (
    HEADER_LIMIT,
    Decoder,
    Malformed,
    Request,
    encode,
    parse_message,
    parse_request,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.dictionaries(st.text(max_size=8), JSON, max_size=4)


def decoded(data: bytes, sizes: list[int]) -> list[bytes]:
    """What comes out when the bytes arrive in pieces of these sizes, and the rest at once."""
    decoder, bodies = Decoder(), []
    for size in [*sizes, len(data)]:
        decoder.feed(data[:size])
        data = data[size:]
        while (body := decoder.next()) is not None:
            bodies.append(body)
    return bodies


@given(st.lists(MESSAGES, max_size=4), st.lists(st.integers(1, 40), max_size=30))
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[dict[str, Any]], sizes: list[int]
) -> None:
    assert [parse_message(body) for body in decoded(b"".join(map(encode, messages)), sizes)] == messages


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=10))
def test_any_bytes_are_messages_or_the_end(data: bytes, sizes: list[int]) -> None:
    with contextlib.suppress(RemoteProtocolError):
        for body in decoded(data, sizes):
            assert isinstance(parse_request(body), (Request, Malformed))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"Content-Length: -1\r\n\r\n", "no Content-Length"),
        (b"Content-Length: 1e3\r\n\r\n", "no Content-Length"),
        (b"Content-Length: 9999999999\r\n\r\n", "no Content-Length"),
        (b"Content-Length: 999999999\r\n\r\n", "999999999 bytes"),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", "no single one"),
        (b"Content-Type: text\r\n\r\n", "no Content-Length"),
        (b"\r\n\r\n", "no Content-Length"),
        (b"x" * HEADER_LIMIT, "more than 4096 bytes"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "no header of the Debug Adapter Protocol: b'GET / HTTP/1.1'"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", "no header of the Debug Adapter Protocol: b'POST"),
        (b"Content-Length: 2\r\nOrigin: http://a.page\r\n\r\n{}", "no header of the Debug Adapter Protocol: b'Orig"),
    ],
)
def test_a_broken_frame_is_the_end_and_says_why(header: bytes, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason):
        decoded(header, [])


def test_a_header_in_other_letters_with_others_beside_it_is_one() -> None:
    framed = b"content-length:2\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n{}"
    assert decoded(framed, []) == [b"{}"]


def test_a_stream_may_end_between_messages_only() -> None:
    decoder = Decoder()
    assert decoder.is_idle
    decoder.feed(b"Content-Le")
    assert not decoder.is_idle
    decoder.feed(b"ngth: 4\r\n\r\n{}")
    assert decoder.next() is None
    assert not decoder.is_idle
    decoder.feed(b"  ")
    assert decoder.next() == b"{}  "
    assert decoder.is_idle


@pytest.mark.parametrize(
    ("body", "seq"),
    [
        (b"", None),
        (b"[]", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b'{"type": "event", "seq": 3}', 3),
        (b'{"type": "request", "seq": 3}', 3),
        (b'{"type": "request", "seq": -3, "command": "next"}', None),
        (b'{"type": "request", "seq": true, "command": "next"}', None),
        (b'{"type": "request", "seq": 1.0, "command": "next"}', None),
        (b'{"type": "request", "seq": 4, "command": ["next"]}', 4),
        (b'{"type": "request", "seq": 4, "command": "next", "arguments": [1]}', 4),
    ],
)
def test_what_is_no_request_has_a_reason_and_its_number_if_it_has_one(body: bytes, seq: int | None) -> None:
    parsed = parse_request(body)
    assert isinstance(parsed, Malformed)
    assert parsed.reason
    assert parsed.seq == seq


@pytest.mark.parametrize("arguments", ["", ', "arguments": null', ', "arguments": {}'])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    body = f'{{"type": "request", "seq": 7, "command": "configurationDone"{arguments}}}'
    assert parse_request(body.encode()) == Request(7, "configurationDone", {})


def test_text_that_cannot_be_encoded_leaves_as_an_escape() -> None:
    (body,) = decoded(encode({"text": "\ud800 ü"}), [])
    assert json.loads(body)["text"] == "\ud800 ü"
