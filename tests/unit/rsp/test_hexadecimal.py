# SPDX-License-Identifier: Apache-2.0
"""Numbers and hex data: what is taken, what is refused, and that nothing unbounded is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nullmodem.errors import LocalProtocolError, RemoteProtocolError
from nullmodem.rsp.hexadecimal import (
    encode_hex,
    encode_number,
    encode_range,
    parse_hex,
    parse_number,
    parse_range,
    show,
)

TOP = (1 << 64) - 1


@given(st.integers(0, TOP))
def test_a_number_of_64_bits_is_written_and_read(value: int) -> None:
    assert parse_number(encode_number(value), "it") == value


@pytest.mark.parametrize("value", [-1, 1 << 64, 1 << 1000])
def test_a_number_that_does_not_fit_is_never_sent(value: int) -> None:
    with pytest.raises(LocalProtocolError, match="unsigned 64-bit"):
        encode_number(value)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-1",
        b"+1",
        b" 1",
        b"1 ",
        b"0x1",
        b"1_0",
        b"g",
        b"0" * 17,
        b"0" * 5000 + b"1",
        b"f" * 17,
        b"\xd9\xa1",
        b"1\n",
    ],
)
def test_what_is_no_plain_hex_number_is_refused(text: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="an address must be 1 to 16 hex digits"):
        parse_number(text, "an address")


def test_digits_of_either_case_are_read() -> None:
    assert parse_number(b"0000ABCDabcd0000", "it") == 0xABCDABCD0000


@pytest.mark.parametrize("value", [(0, 0), (TOP, 1), (TOP, 0), (0, TOP), (1 << 63, 1 << 63)])
def test_a_range_up_to_the_end_of_the_address_space_is_written_and_read(value: tuple[int, int]) -> None:
    assert parse_range(encode_range(*value)) == value


@pytest.mark.parametrize("value", [(TOP, 2), (2, TOP), (TOP, TOP)])
def test_a_range_over_the_end_is_refused_both_ways(value: tuple[int, int]) -> None:
    with pytest.raises(LocalProtocolError, match="over the end"):
        encode_range(*value)
    with pytest.raises(RemoteProtocolError, match="over the end"):
        parse_range(b"%x,%x" % value)


def test_a_range_needs_its_comma() -> None:
    with pytest.raises(RemoteProtocolError, match="expected address,length"):
        parse_range(b"10")


@given(st.binary(max_size=100))
def test_data_is_written_and_read_in_lower_case(data: bytes) -> None:
    assert encode_hex(data) == encode_hex(data).lower()
    assert parse_hex(encode_hex(data), len(data)) == data
    assert parse_hex(encode_hex(data).upper()) == data


@pytest.mark.parametrize("text", [b"0", b"xx", b"xxxxxxxx", b"0g", b"0 00", b"00\n", b"-1", b"\xff\xff"])
def test_what_is_no_hex_data_is_refused(text: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="expected hex data"):
        parse_hex(text)


@pytest.mark.parametrize("text", [b"", b"00", b"000000"])
def test_hex_data_of_another_length_is_refused(text: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="expected 2 bytes"):
        parse_hex(text, 2)


def test_nonsense_is_shown_printable_and_short() -> None:
    assert show(b"a\x1b[0m") == "'a\\x1b[0m'"
    assert show(b"x" * 10_000) == "'" + "x" * 60 + "'... (10000 bytes)"
