# SPDX-License-Identifier: Apache-2.0
"""A stub's answers among text, while the target stands still."""

from __future__ import annotations

from nullmodem.rsp.framing import encode_packet
from nullmodem.wire.standing import StandingStub


def split(said: bytes) -> tuple[bytes, bytes]:
    """Text and packets of what comes after one request."""
    stub = StandingStub()
    stub.begin(b"$T05thread:01;#07")
    stub.asked()
    text, protocol = bytearray(), bytearray()
    for byte in said:
        stub.take(bytes([byte]), text, protocol)
    return bytes(text), bytes(protocol)


def test_what_kdb_prints_is_the_stub_s_up_to_its_answer() -> None:
    printed = encode_packet(b"O" + b"line\n".hex().encode()) * 3
    answer = encode_packet(b"OK")
    later = encode_packet(b"O414243")
    assert split(b"+" + printed + answer + later) == (later, b"+" + printed + answer)


def test_after_an_answer_no_packet_is_the_stub_s_but_the_same_again() -> None:
    answer = encode_packet(b"QC01")
    other = encode_packet(b"QC02")
    assert split(b"+" + answer + other + answer) == (other, b"+" + answer + answer)


def test_a_dollar_sign_in_text_without_an_end_is_not_kept_for_ever() -> None:
    endless = b"$" + b"x" * (1 << 16)
    text, protocol = split(b"\r\nit cost 5" + endless)
    assert len(text) > len(endless) // 2
    text, protocol = split(b"+" + endless)
    assert len(protocol) > len(endless) // 8, "whoever asked is told that it is damaged"
    assert len(text + protocol) > len(endless) // 2
