# SPDX-License-Identifier: Apache-2.0
"""The side toward the kernel's stub, on a bad line: what is lost, damaged, late or twice, one exchange at a time."""

from __future__ import annotations

import pytest

from nullmodem.errors import WireTimeout
from nullmodem.rsp.client import ClientConnection, Damaged, Reply, Resend, StrayPacket, Text
from nullmodem.rsp.framing import Damage, encode_packet
from unit.rsp.asking import T05, asked, given_up


@pytest.mark.parametrize("payload", [b"g", b"Z0,10,1", b"D", b"R0"])
def test_a_lost_reply_is_asked_for_again_and_the_deed_not_repeated(payload: bytes) -> None:
    client = asked(payload)
    client.receive(b"+")
    assert client.timeout() == []
    assert client.data_to_send() == b"-"
    assert client.receive(b"$OK#9a") == [Reply(b"OK")]


def test_an_acknowledged_reply_that_stays_lost_is_given_up() -> None:
    client = asked(b"Z0,10,1")
    client.receive(b"+")
    client.timeout()
    with pytest.raises(WireTimeout, match="the stub took it"):
        client.timeout()


def test_a_question_whose_answer_stays_lost_is_asked_again() -> None:
    client = asked(b"g")
    client.receive(b"+")
    assert client.timeout() == []
    assert client.timeout() == [Resend()]
    assert client.data_to_send() == b"-$g#67"


def test_a_half_reply_is_dropped_and_asked_for_again() -> None:
    client = asked(b"Z0,10,1")
    client.receive(b"+$O")
    assert client.partial
    assert client.timeout() == [Damaged(b"$O", Damage.ABANDONED)]
    assert client.data_to_send() == b"-"
    assert client.receive(b"$OK#9a") == [Reply(b"OK")]


def test_a_half_packet_that_nobody_asked_for_is_asked_for_again() -> None:
    client = ClientConnection()
    assert client.receive(b"$T05thr") == []
    assert client.timeout() == [Damaged(b"$T05thr", Damage.ABANDONED)]
    assert client.data_to_send() == b"-"
    assert client.timeout() == []
    assert client.data_to_send() == b""


def test_a_damaged_reply_is_rejected_a_bounded_number_of_times() -> None:
    client = asked(b"Z0,10,1", tries=2)
    damaged = Damaged(b"$OK#00", Damage.CHECKSUM)
    assert client.receive(b"+" + b"$OK#00" * 5) == [damaged] * 5
    assert client.data_to_send() == b"--"
    assert client.receive(b"$OK#9a") == [Reply(b"OK")]


@pytest.mark.parametrize(("raw", "wanted"), [(b"$a}#de", b"-"), (b"$O\0K", b"-"), (b"$O$", b"")])
def test_only_a_packet_that_ended_or_cannot_be_text_is_rejected(raw: bytes, wanted: bytes) -> None:
    client = asked(b"g")
    client.receive(b"+" + raw)
    assert client.data_to_send() == wanted


def test_a_reply_whose_ack_was_lost_is_a_reply() -> None:
    client = asked(b"g")
    assert client.receive(b"$00#60") == [Reply(b"00")]


def test_a_reply_repeated_for_noise_in_the_ack_slot_is_dropped() -> None:
    client = asked(b"g")
    assert client.receive(b"+$00#60") == [Reply(b"00")]
    assert client.receive(b"$00#60") == []
    client.request(b"m0,1")
    client.data_to_send()
    assert client.receive(b"$00#60") == []  # it crossed the request
    assert client.receive(b"-") == [Resend()]  # the stub took its $ for an ack
    assert client.receive(b"+$00#60") == [Reply(b"00")]


def test_an_equal_reply_whose_ack_was_lost_is_had_by_asking_again() -> None:
    client = asked(b"Z0,10,1")
    client.receive(b"+$OK#9a")
    client.request(b"Z0,20,1")
    client.data_to_send()
    assert client.receive(b"$OK#9a") == []
    assert client.timeout() == []
    assert client.data_to_send() == b"-"
    assert client.receive(b"$OK#9a") == [Reply(b"OK", doubtful=True)], (
        "or the request was lost, and this is the last one"
    )


def test_a_refusal_to_run_is_none_that_may_be_the_last_answer_once_more() -> None:
    client = asked(b"Z0,10,1")
    client.receive(b"+$E17#ad")
    client.request(b"c")
    client.data_to_send()
    assert client.receive(b"$E17#ad") == []
    assert client.timeout() == []
    assert client.data_to_send() == b"-"
    assert client.receive(b"$E17#ad") == []


def test_a_stop_equal_to_the_last_whose_ack_was_lost_is_had_by_asking_again() -> None:
    client = asked(b"c")
    client.receive(b"+" + T05)
    client.request(b"c")
    client.data_to_send()
    assert client.receive(T05) == []
    assert client.timeout() == []
    assert client.data_to_send() == b"-"
    assert client.receive(T05) == [Reply(b"T05thread:01;")]


def test_a_repetition_is_dropped_when_a_slow_stub_was_asked_twice() -> None:
    client = asked(b"g")
    assert client.timeout() == [Resend()]
    assert client.receive(b"+$00#60") == [Reply(b"00")]
    assert client.receive(b"-") == []  # the second one's dollar was taken for an ack
    client.request(b"m0,1")
    client.data_to_send()
    assert client.receive(b"+$00#60") == [Reply(b"00")]


def test_the_answer_to_a_second_copy_is_not_taken_for_the_next_requests() -> None:
    client = asked(b"g")
    client.timeout()
    client.receive(b"+$00#60")
    client.request(b"m0,1")
    client.data_to_send()
    assert client.receive(b"+$00#60") == []
    assert not client.acknowledged
    assert client.receive(b"+$cc#c6") == [Reply(b"cc")]


def test_the_late_answer_to_a_request_given_up_is_not_taken_for_the_next_requests() -> None:
    client = asked(b"R0")
    given_up(client)
    client.request(b"m0,1")
    client.data_to_send()
    assert client.receive(b"+$OK#9a-") == [Resend()]
    assert client.receive(b"+$cc#c6") == [Reply(b"cc")]


def test_the_late_answer_to_a_request_given_up_is_stray_when_nothing_else_was_asked() -> None:
    client = asked(b"Z0,10,1")
    given_up(client)
    assert client.receive(b"+$OK#9a") == [Text(b"+"), StrayPacket(b"OK")]


def test_a_stop_is_no_late_answer_to_a_question() -> None:
    client = asked(b"g")
    given_up(client)
    client.request(b"c")
    assert client.receive(b"+" + T05) == [Reply(b"T05thread:01;")]


def test_a_late_answer_to_one_question_about_the_stop_answers_the_next() -> None:
    client = asked(b"?")
    client.give_up()
    client.request(b"?")
    client.data_to_send()
    assert client.receive(b"+$S05#b8") == [Reply(b"S05")]


def test_giving_up_twice_is_giving_up_once() -> None:
    client = asked(b"g")
    client.give_up()
    client.give_up()
    assert client.outstanding is None


def test_half_a_stop_is_asked_for_again() -> None:
    client = asked(b"c")
    client.receive(b"+$T05thr")
    assert client.partial
    assert client.timeout() == [Damaged(b"$T05thr", Damage.ABANDONED)]
    assert client.data_to_send() == b"-"
    assert client.receive(T05) == [Reply(b"T05thread:01;")]


def test_a_dollar_in_the_ack_slot_of_a_lost_reply_repeats_the_question() -> None:
    client = asked(b"g")
    client.receive(b"+")
    assert client.receive(b"-") == [Resend()]


def test_two_timeouts_in_the_middle_of_two_packets_ask_twice() -> None:
    client = asked(b"Z0,10,1")
    client.receive(b"+$O")
    client.timeout()
    client.receive(b"$OK")
    client.timeout()
    assert client.data_to_send() == b"--"
    assert client.receive(b"$OK#9a") == [Reply(b"OK")]


def test_a_packet_longer_than_the_stub_can_send_is_damage() -> None:
    client = ClientConnection(max_payload=16)
    (damaged,) = client.receive(b"$" + b"0" * 1000)
    assert isinstance(damaged, Damaged)
    assert damaged.reason is Damage.OVERLONG
    assert client.data_to_send() == b""


@pytest.mark.parametrize("payload", [b"g", b"m0,4", b"p10", b"qThreadExtraInfo,1"])
def test_an_empty_answer_where_data_is_due_is_believed_when_it_comes_twice(payload: bytes) -> None:
    client = asked(payload)
    assert client.receive(b"+$#00") == []
    assert client.data_to_send() == b"-"
    assert client.receive(b"$#00") == [Reply(b"")]


def test_a_hash_that_noise_put_before_data_does_not_make_it_empty() -> None:
    client = asked(b"m0,4")
    assert client.receive(b"+$#00001122#e6") == [Text(b"001122#e6")]
    assert client.data_to_send() == b"-"
    assert client.receive(encode_packet(b"00001122")) == [Reply(b"00001122")]


@pytest.mark.parametrize("broken", [b"T05thread:01;#07", b"$T05th\x12ead:01;#07", b"$T05\x14hread:01;#07"])
def test_a_stop_so_damaged_that_it_passes_for_text_is_asked_for_again(broken: bytes) -> None:
    client = asked(b"c")
    client.receive(b"+")
    for byte in broken:
        client.receive(bytes((byte,)))
    assert client.partial
    client.timeout()
    assert not client.partial
    assert client.data_to_send() == b"-"
    assert client.receive(T05) == [Reply(b"T05thread:01;")]


def test_text_before_the_target_runs_is_no_damaged_stop() -> None:
    client = ClientConnection()
    client.receive(b"thread:")
    client.request(b"c")
    client.receive(b"+:")
    assert not client.partial
