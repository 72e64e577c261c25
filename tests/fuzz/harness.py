# SPDX-License-Identifier: Apache-2.0
# Invariant: whatever bytes arrive, they are parsed, or RemoteProtocolError is raised, and never another error; the
# result is the same whole and byte by byte; memory stays bounded by the decoder's bound, however the bytes expand;
# and what is sent in answer is acks and the requests that were asked for, nothing else.
"""One input through everything of ``nullmodem.rsp`` that reads bytes: ``check(data)`` raises when the invariant breaks.

Any fuzzer can drive it (``python tests/fuzz/harness.py < input``); ``test_rsp.py`` does so from a seed.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError, RemoteProtocolError, WireTimeout
from nullmodem.rsp.client import ClientConnection, ClientEvent, Text
from nullmodem.rsp.framing import Decoder, Frame, Interrupt, Junk, Packet, encode_packet
from nullmodem.rsp.replies import ErrorReply, StopReply, ThreadList, parse_hex, parse_stop_reply
from nullmodem.rsp.requests import Unknown, parse_request
from nullmodem.rsp.server import ServerConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_PAYLOAD = 256
ASKED = (b"g", b"m0,4", b"c", b"Z0,10,1", b"qRcmd,6869", b"?", b"k")


def check(data: bytes) -> None:
    """Raise AssertionError, or whatever leaked, when ``data`` breaks the invariant."""
    for notifications, text_only in ((True, False), (False, True)):
        frames = _check_decoder(data, notifications=notifications, text_only=text_only)
        for frame in frames:
            if isinstance(frame, Packet):
                _check_payload(frame.payload)
    _check_payload(data[:MAX_PAYLOAD])
    _check_server(data)
    for request in (None, *ASKED):
        _check_client(data, request)


def _pieces(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


def _check_decoder(data: bytes, *, notifications: bool, text_only: bool) -> list[Frame]:
    results = []
    for pieces in ([data], _pieces(data)):
        decoder = Decoder(max_payload=MAX_PAYLOAD, notifications=notifications, text_only=text_only)
        frames: list[Frame] = []
        for piece in pieces:
            for frame in decoder.feed(piece):
                if frames and isinstance(frame, Junk) and isinstance(frames[-1], Junk):
                    frames[-1] = Junk(frames[-1].data + frame.data)
                else:
                    frames.append(frame)
        rest = decoder.abandon()
        results.append(frames if rest is None else [*frames, rest])
    assert results[0] == results[1]
    for frame in results[0]:
        size = len(getattr(frame, "payload", b"")) or len(getattr(frame, "raw", b"")) // 2
        assert size <= MAX_PAYLOAD + 2
    return results[0]


def _check_payload(payload: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        request = parse_request(payload)
        if not isinstance(request, Unknown):
            assert parse_request(request.encode()) == request
    with contextlib.suppress(RemoteProtocolError):
        stop = parse_stop_reply(payload)
        if isinstance(stop, StopReply):
            assert parse_stop_reply(stop.encode()) == stop
    readers: tuple[Callable[[bytes], object], ...] = (ThreadList.parse, ErrorReply.parse, parse_hex)
    for read in readers:
        with contextlib.suppress(RemoteProtocolError):
            read(payload)


def _check_server(data: bytes) -> None:
    results = []
    for pieces in ([data], _pieces(data)):
        server = ServerConnection(max_payload=MAX_PAYLOAD, tries=1000)
        received: list[bytes | Interrupt] = []
        for piece in pieces:
            received += server.receive(piece)
        sent = server.data_to_send()
        assert set(sent) <= set(b"+-")
        results.append((received, sent))
    assert results[0] == results[1]
    with contextlib.suppress(RemoteProtocolError):
        strict = ServerConnection(max_payload=MAX_PAYLOAD)
        strict.start_no_ack()
        strict.send(b"OK")
        strict.receive(b"+" + data)


def _check_client(data: bytes, request: bytes | None) -> None:
    results = [_run_client(pieces, request) for pieces in ([data], _pieces(data))]
    assert results[0] == results[1]


def _run_client(pieces: Sequence[bytes], request: bytes | None) -> tuple[list[ClientEvent], bytes, str]:
    """Feed a client, let its deadlines pass, and return its events, what it sent, and how it ended."""
    client = ClientConnection(max_payload=MAX_PAYLOAD)
    if request is not None:
        client.request(request)
    events: list[ClientEvent] = []
    for piece in pieces:
        _join(events, client.receive(piece))
    end = ""
    try:
        for _ in range(20):
            _join(events, client.timeout())
        assert client.outstanding is None or client.acknowledged
    except WireTimeout as error:
        end = str(error)
    sent = client.data_to_send()
    if request is not None:
        encoded = encode_packet(request)
        assert sent.count(encoded) <= 9
        assert set(sent.replace(encoded, b"")) <= set(b"+-")
    else:
        assert set(sent) <= set(b"+-")
    return events, sent, end


def _join(events: list[ClientEvent], more: Sequence[ClientEvent]) -> None:
    for event in more:
        if events and isinstance(event, Text) and isinstance(events[-1], Text):
            events[-1] = Text(events[-1].data + event.data)
        else:
            events.append(event)


if __name__ == "__main__":
    try:
        check(sys.stdin.buffer.read())
    except NullmodemError as leaked:
        raise SystemExit(f"leaked: {leaked!r}") from leaked
