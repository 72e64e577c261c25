# SPDX-License-Identifier: Apache-2.0
"""Telnet as bytes: data untouched however it is cut, and only what we know is agreed to."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from nullmodem.wire.telnet import Agreed, Option, Subnegotiation, TelnetCodec

IAC, DONT, DO, WONT, WILL, SB, SE, BRK = 255, 254, 253, 252, 251, 250, 240, 243
BOTH_BINARY = bytes((IAC, DO, 0, IAC, WILL, 0))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The pieces of ``data`` between the ``places``, which are taken modulo its length."""
    marks = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(marks)]


def feed(codec: TelnetCodec, pieces: list[bytes]) -> tuple[bytes, list[object]]:
    """Everything the pieces mean."""
    plain, events = b"", []
    for piece in pieces:
        data, more = codec.receive(piece)
        plain += data
        events += more
    return plain, events


@given(st.binary(max_size=200), st.lists(st.integers(0, 500), max_size=10))
def test_data_arrives_as_it_was_sent_however_it_is_cut(data: bytes, places: list[int]) -> None:
    codec = TelnetCodec()
    codec.receive(BOTH_BINARY)
    codec.data_to_send()
    codec.send(data)
    plain, events = feed(codec, cut(codec.data_to_send(), places))
    assert plain == data
    assert events == []


@given(st.binary(max_size=100), st.binary(max_size=50), st.lists(st.integers(0, 500), max_size=10))
def test_a_subnegotiation_between_data_is_found_however_it_is_cut(data: bytes, body: bytes, places: list[int]) -> None:
    codec = TelnetCodec()
    codec.receive(BOTH_BINARY)
    codec.data_to_send()
    codec.send(data)
    codec.subnegotiate(b"\x2c" + body)
    codec.send(data)
    plain, events = feed(codec, cut(codec.data_to_send(), places))
    assert plain == data + data
    assert events == [Subnegotiation(b"\x2c" + body)]


@given(st.binary(max_size=300))
def test_no_bytes_break_it_and_it_answers_no_answer_for_ever(data: bytes) -> None:
    codec = TelnetCodec(com_port=True)
    codec.receive(data)
    codec.data_to_send()
    codec.receive(data)
    first = codec.data_to_send()
    codec.receive(data)
    assert len(codec.data_to_send()) <= max(len(first), len(data))


def test_a_break_is_iac_brk() -> None:
    codec = TelnetCodec()
    codec.data_to_send()
    codec.send_break()
    assert codec.data_to_send() == bytes((IAC, BRK))


def test_without_binary_a_carriage_return_has_a_nul_behind_it() -> None:
    codec = TelnetCodec()
    codec.receive(bytes((IAC, DONT, 0, IAC, WONT, 0)))
    codec.data_to_send()
    codec.send(b"a\rb")
    assert codec.data_to_send() == b"a\r\0b"
    assert feed(codec, [b"x\r", b"\0y\r\nz\0"])[0] == b"x\ry\r\nz\0"


def test_only_known_options_are_agreed_to() -> None:
    codec = TelnetCodec()
    codec.receive(BOTH_BINARY)
    codec.data_to_send()
    _, events = codec.receive(bytes((IAC, DO, 31, IAC, WILL, 24, IAC, WILL, Option.ECHO, IAC, DO, Option.COM_PORT)))
    expected = (IAC, WONT, 31, IAC, DONT, 24, IAC, DO, Option.ECHO, IAC, WONT, Option.COM_PORT)
    assert codec.data_to_send() == bytes(expected)
    assert events == []


def test_the_server_says_whether_it_has_the_serial_port_option() -> None:
    for verb, yes in ((DO, True), (DONT, False)):
        codec = TelnetCodec(com_port=True)
        assert bytes((IAC, WILL, Option.COM_PORT)) in codec.data_to_send()
        _, events = codec.receive(bytes((IAC, verb, Option.COM_PORT)))
        assert events == [Agreed(Option.COM_PORT, ours=True, yes=yes)]
