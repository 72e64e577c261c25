# SPDX-License-Identifier: Apache-2.0
"""Replies, written and read, from stubs that are careful and stubs that are not."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import LocalProtocolError, RemoteProtocolError
from nullmodem.rsp.replies import (
    OK,
    UNSUPPORTED,
    ConsoleOutput,
    ErrorReply,
    Exited,
    StopEvent,
    StopReason,
    StopReply,
    Terminated,
    ThreadList,
    WatchKind,
    parse_stop_reply,
    xfer_chunk,
)

STOPS_BOTH_WAYS: list[tuple[StopReply | ConsoleOutput, bytes]] = [
    (StopReply(5), b"T05"),
    (StopReply(0, thread=0), b"T00thread:0;"),
    (StopReply(5, thread=1), b"T05thread:1;"),
    (StopReply(5, thread=-2), b"T05thread:fffffffe;"),
    (StopReply(0, thread=1, library=True), b"T00thread:1;library:;"),
    (StopReply(5, 1, ((16, bytes(8)), (7, b"\xff"))), b"T05thread:1;10:0000000000000000;07:ff;"),
    (StopReply(5, 1, reason=StopReason.SWBREAK), b"T05thread:1;swbreak:;"),
    (StopReply(5, 1, reason=StopReason.HWBREAK), b"T05thread:1;hwbreak:;"),
    (StopReply(5, 1, watch=(WatchKind.WRITE, 0xFFFF800000000000)), b"T05thread:1;watch:ffff800000000000;"),
    (StopReply(5, 1, watch=(WatchKind.READ, 0)), b"T05thread:1;rwatch:0;"),
    (StopReply(5, 1, watch=(WatchKind.ACCESS, 8)), b"T05thread:1;awatch:8;"),
    (ConsoleOutput(b"hi\n"), b"O68690a"),
    (ConsoleOutput(b""), b"O"),
]

STOPS_ONE_WAY: list[tuple[bytes, StopEvent]] = [
    (b"S05", StopReply(5)),
    (b"T05thread:01;", StopReply(5, 1)),  # as kgdb writes it
    (b"T05thread:p1.2a", StopReply(5, 0x2A)),
    (b"T05thread:01;core:1;fork:x;reason:trace;;", StopReply(5, 1)),  # keys of other stubs
    (b"T0506:00;", StopReply(5, None, ((6, b"\0"),))),
    (b"T05\xff:\xff;", StopReply(5)),
    (b"W00", Exited(0)),
    (b"W01", Exited(1)),
    (b"W2a;process:1", Exited(0x2A)),
    (b"X09", Terminated(9)),
    (b"X9;process:1", Terminated(9)),
]

NO_STOPS = [
    b"",
    b"OK",
    b"E22",
    b"F1,2",
    b"N",
    b"w0;1",
    b"t05",
    b"T",
    b"T5",
    b"Tzz",
    b"T05thread",
    b"T05thread:",
    b"T05thread:x;",
    b"T05thread:100000000;",
    b"T05thread:" + b"0" * 5000 + b"1;",
    b"T05thread:1;thread:2;",
    b"T0510:00;10:00;",
    b"T0510:00;0010:00;",
    b"T0510:xx;",
    b"T0510:0;",
    b"T05watch:;",
    b"T05watch:-1;",
    b"T05watch:10000000000000000;",
    b"S",
    b"S5",
    b"S055",
    b"W",
    b"Wzz",
    b"W000000001",
    b"X",
    b"Oz",
    b"O0",
]


@pytest.mark.parametrize(("stop", "payload"), STOPS_BOTH_WAYS)
def test_a_stop_is_written_and_read(stop: StopReply | ConsoleOutput, payload: bytes) -> None:
    assert stop.encode() == payload
    assert parse_stop_reply(payload) == stop


@pytest.mark.parametrize(("payload", "stop"), STOPS_ONE_WAY)
def test_other_forms_of_a_stop_are_read(payload: bytes, stop: StopEvent) -> None:
    assert parse_stop_reply(payload) == stop


@pytest.mark.parametrize("payload", NO_STOPS)
def test_what_is_no_stop_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_stop_reply(payload)
    assert str(caught.value).isprintable()


def test_a_stop_that_cannot_be_written_is_not() -> None:
    for stop in (StopReply(256), StopReply(5, 1 << 31), StopReply(5, watch=(WatchKind.WRITE, -1))):
        with pytest.raises(LocalProtocolError):
            stop.encode()
    with pytest.raises(LocalProtocolError):
        StopReply(5, registers=((-1, b""),)).encode()


KEYS = st.sampled_from(
    [b"thread:1;", b"library:;", b"10:00;", b"watch:10;", b"swbreak:;", b"core:0;", b"x", b";", b":"]
)


@given(
    st.one_of(
        st.binary(max_size=60),
        st.tuples(
            st.sampled_from([b"T05", b"S05", b"W00", b"X00", b"O"]), st.lists(KEYS, max_size=6).map(b"".join)
        ).map(b"".join),
    )
)
def test_any_reply_is_a_stop_or_a_protocol_error(payload: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        stop = parse_stop_reply(payload)
        if isinstance(stop, StopReply):
            assert parse_stop_reply(stop.encode()) == stop


@pytest.mark.parametrize(
    ("code", "payload"),
    [(1, b"E01"), (2, b"E02"), (14, b"E14"), (17, b"E17"), (22, b"E22"), (0, b"E00"), (110, b"Eb0"), (107, b"Ea7")],
)
def test_an_error_number_is_decimal_as_the_kernel_writes_it(code: int, payload: bytes) -> None:
    assert ErrorReply(code).encode() == payload
    assert ErrorReply.parse(payload) == ErrorReply(code)


def test_an_error_number_in_hex_is_read() -> None:
    assert ErrorReply.parse(b"E0f") == ErrorReply(15)


@pytest.mark.parametrize("code", [160, 9999, -1])
def test_an_error_number_that_does_not_fit_is_never_sent(code: int) -> None:
    with pytest.raises(LocalProtocolError):
        ErrorReply(code).encode()


def test_an_error_with_text_is_written_and_read_printable() -> None:
    assert ErrorReply(22, "no such thing").encode() == b"E.no such thing"
    assert ErrorReply(22, "a\x1b[0m\nä").encode() == b"E.a?[0m??"
    assert ErrorReply.parse(b"E.no\x1b\xff") == ErrorReply(0, "no??")


@pytest.mark.parametrize(
    "payload", [OK, UNSUPPORTED, b"E", b"E1", b"E222", b"E1g", b"e22", b"E22 ", b"EE000000", b"E2\n"]
)
def test_what_is_no_error_is_none(payload: bytes) -> None:
    assert ErrorReply.parse(payload) is None


@pytest.mark.parametrize(
    ("payload", "threads"),
    [
        (b"l", ThreadList((), end=True)),
        (b"m1", ThreadList((1,), end=False)),
        (b"mfffffffe,fffffffd,1,1388", ThreadList((-2, -3, 1, 5000), end=False)),
    ],
)
def test_a_thread_list_is_written_and_read(payload: bytes, threads: ThreadList) -> None:
    assert threads.encode() == payload
    assert ThreadList.parse(payload) == threads


@pytest.mark.parametrize("payload", [b"", b"m"])
def test_an_empty_thread_list_is_its_end(payload: bytes) -> None:
    assert ThreadList.parse(payload) == ThreadList((), end=True)


def test_ids_with_leading_zero_bytes_dropped_are_read() -> None:
    assert ThreadList.parse(b"m01,0100,p1.2").threads == (1, 256, 2)


@pytest.mark.parametrize(
    "payload", [b"E22", b"OK", b"m,", b"m1,", b"m1,,2", b"mzz", b"m-2", b"m100000000", b"l1", b"x1"]
)
def test_what_is_no_thread_list_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        ThreadList.parse(payload)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_a_document_is_put_together_from_its_chunks(document: bytes, length: int) -> None:
    read, more = b"", b"m"
    while more == b"m":
        chunk = xfer_chunk(document, len(read), length)
        more, read = chunk[:1], read + chunk[1:]
        assert 0 < len(chunk) <= length + 1
    assert more == b"l"
    assert read == document


def test_a_chunk_behind_the_end_is_refused() -> None:
    assert xfer_chunk(b"ab", 2, 10) == b"l"
    assert xfer_chunk(b"ab", 0, 0) == b"m"
    with pytest.raises(RemoteProtocolError, match="offset 3 is behind the end"):
        xfer_chunk(b"ab", 3, 10)
