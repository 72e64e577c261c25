# SPDX-License-Identifier: Apache-2.0
"""The side toward the kernel's stub, on a good line: who says what when, and what silence does."""

from __future__ import annotations

import pytest

from nullmodem.errors import LocalProtocolError, WireTimeout
from nullmodem.rsp.client import ClientConnection, ClientEvent, Damaged, Reply, Resend, StrayPacket, Text, leaves_trace
from nullmodem.rsp.framing import Damage, encode_packet
from unit.rsp.asking import T05, asked, given_up, pass_deadlines

NEVER_REPEATED = [
    b"c",
    b"s",
    b"C09",
    b"S05",
    b"k",
    b"R0",
    b"3",
    b"vCont;c",
    b"vKill;1",
    b"QStartNoAckMode",
    b"!",
]
# Acting too, and leaving a reply in the stub's ack slot that a - brings out.
TRACED = [
    b"D",
    b"M0,1:00",
    b"X0,1:a",
    b"G00",
    b"P10=00",
    b"Z0,10,1",
    b"z0,10,1",
    b"qRcmd,6869",
    b"qsThreadInfo",
]
REPEATED = [b"?", b"g", b"p10", b"m0,4", b"x0,4", b"Hg1", b"T1", b"qC", b"qfThreadInfo", b"qThreadExtraInfo,1"]


def test_the_ack_of_a_reply_travels_with_the_next_request() -> None:
    client = asked(b"g")
    assert client.outstanding == b"g"
    assert client.receive(b"+") == []
    assert client.acknowledged
    assert client.receive(b"$00#60") == [Reply(b"00")]
    assert client.data_to_send() == b""
    assert (client.outstanding, client.acknowledged) == (None, False)
    client.request(b"g")
    assert client.data_to_send() == b"+$g#67"


def test_the_ack_of_a_reply_can_be_sent_at_once() -> None:
    client = asked(b"g")
    client.receive(b"+$00#60")
    client.flush_ack()
    client.flush_ack()
    assert client.data_to_send() == b"+"
    client.request(b"g")
    assert client.data_to_send() == b"$g#67"


def test_an_empty_reply_is_a_reply() -> None:
    assert asked(b"vCont?").receive(b"+$#00") == [Reply(b"")]


def test_there_is_one_request_at_a_time_and_none_is_empty() -> None:
    client = asked(b"g")
    with pytest.raises(LocalProtocolError, match="'c' cannot be sent before 'g' is answered"):
        client.request(b"c")
    with pytest.raises(LocalProtocolError, match="empty"):
        ClientConnection().request(b"")


@pytest.mark.parametrize("payload", [*NEVER_REPEATED, *TRACED, *REPEATED])
def test_a_rejected_request_is_sent_again_whatever_it_asks_for(payload: bytes) -> None:
    client = asked(payload)
    assert client.receive(b"-") == [Resend()]
    assert client.data_to_send() == encode_packet(payload)


def test_rejections_are_answered_a_bounded_number_of_times() -> None:
    client = asked(b"Z0,10,1", tries=3)
    assert client.receive(b"-" * 100) == [Resend()] * 3
    assert client.data_to_send() == encode_packet(b"Z0,10,1") * 3


@pytest.mark.parametrize("payload", [*NEVER_REPEATED, *TRACED])
def test_silence_never_repeats_a_request_that_acts(payload: bytes) -> None:
    client = asked(payload)
    events: list[ClientEvent] = []
    with pytest.raises(WireTimeout) as caught:
        pass_deadlines(client, events)
    assert Resend() not in events
    assert set(client.data_to_send()) <= set(b"-")
    assert "sent 1 times, the stub did not acknowledge it" in str(caught.value)
    assert client.outstanding is None


def test_whose_reply_is_a_trace_of_having_acted_is_known() -> None:
    assert all(leaves_trace(payload) for payload in TRACED)
    assert not any(leaves_trace(payload) for payload in (*NEVER_REPEATED, b"g", b"m0,4"))


def test_an_answer_that_came_after_its_request_was_given_up_is_known_of() -> None:
    client = asked(b"M0,1:00")
    given_up(client)
    client.request(b"qC")
    assert not client.came_late
    client.receive(b"+$OK#9a")
    assert client.came_late


@pytest.mark.parametrize("payload", [b"OK", b"00", b"QC02", b"m01,02"])
def test_what_no_running_target_sends_is_text(payload: bytes) -> None:
    client = asked(b"c")
    client.receive(b"+")
    assert client.receive(encode_packet(payload)) == [Text(encode_packet(payload))]
    assert client.data_to_send() == b""
    assert client.receive(T05) == [Reply(b"T05thread:01;")]


@pytest.mark.parametrize("payload", REPEATED)
def test_silence_repeats_a_request_that_only_asks_a_bounded_number_of_times(payload: bytes) -> None:
    client = asked(payload, tries=3)
    for _ in range(3):
        assert client.timeout() == [Resend()]
        assert client.data_to_send() == encode_packet(payload)
    with pytest.raises(WireTimeout, match="sent 4 times"):
        client.timeout()


def test_a_stop_that_crosses_a_question_is_stray_and_the_question_is_asked_again() -> None:
    client = asked(b"g")
    assert client.receive(T05) == [StrayPacket(b"T05thread:01;")]
    assert client.receive(b"-") == [Resend()]
    assert client.receive(b"+$00#60") == [Reply(b"00")]


def test_a_stop_that_crosses_a_question_about_the_stop_answers_it() -> None:
    assert asked(b"?").receive(T05) == [Reply(b"T05thread:01;")]


def test_a_stop_nobody_asked_for_is_stray_once_and_acknowledged() -> None:
    client = ClientConnection()
    assert client.receive(T05 + T05) == [StrayPacket(b"T05thread:01;")]
    client.flush_ack()
    assert client.data_to_send() == b"+"
    assert client.receive(T05) == [StrayPacket(b"T05thread:01;")]


def test_the_target_runs_when_continue_is_acknowledged_and_owes_nothing_then() -> None:
    client = asked(b"c")
    assert not client.acknowledged
    client.receive(b"+")
    assert client.acknowledged
    assert client.timeout() == []
    assert client.data_to_send() == b""
    assert client.receive(T05) == [Reply(b"T05thread:01;")]


def test_a_refused_continue_is_answered_at_once() -> None:
    assert asked(b"c").receive(b"+$E22#a9") == [Reply(b"E22")]


def test_console_text_while_the_target_runs_is_text_and_is_not_answered() -> None:
    client = asked(b"c")
    assert client.receive(b"+it costs $5\n+-\x03 100%\n") == [
        Text(b"it costs "),
        Damaged(b"$5", Damage.NOT_TEXT),
        Text(b"\n+-\x03 100%\n"),
    ]
    assert client.data_to_send() == b""


def test_bytes_while_nothing_is_asked_are_text() -> None:
    client = ClientConnection()
    assert client.receive(b"a+b-c\x03") == [Text(b"a+b-c\x03")]
    assert client.receive(b"$5\n") == [Damaged(b"$5", Damage.NOT_TEXT), Text(b"\n")]
    assert client.data_to_send() == b""


def test_output_of_a_command_is_acknowledged_at_once() -> None:
    client = asked(b"qRcmd,6869")
    assert client.receive(b"+" + encode_packet(b"O6869")) == [StrayPacket(b"O6869")]
    assert client.data_to_send() == b"+"
    assert client.receive(encode_packet(b"O6869")) == [StrayPacket(b"O6869")]
    assert client.data_to_send() == b"+"
    assert client.receive(b"$OK#9a") == [Reply(b"OK")]
    assert client.data_to_send() == b""


@pytest.mark.parametrize("payload", [b"D", b"R0"])
def test_a_reply_on_whose_ack_the_stub_acts_is_acknowledged_at_once(payload: bytes) -> None:
    client = asked(payload)
    assert client.receive(b"+$OK#9a") == [Reply(b"OK")]
    assert client.data_to_send() == b"+"


@pytest.mark.parametrize("payload", [b"k", b"3", b"C15"])
def test_a_request_without_a_reply_is_over_when_acknowledged(payload: bytes) -> None:
    client = asked(payload)
    assert client.receive(b"+") == []
    assert client.outstanding is None


def test_an_echo_of_our_own_packet_is_text() -> None:
    client = asked(b"?")
    assert client.receive(b"+$?#3f") == [Text(b"$?#3f")]
    assert not client.acknowledged
    assert client.receive(b"+$S05#b8") == [Reply(b"S05")]


def test_a_minus_after_the_ack_of_a_deed_is_text() -> None:
    client = asked(b"Z0,10,1")
    assert client.receive(b"+-") == [Text(b"-")]
    assert client.data_to_send() == b""


def test_binary_replies_are_taken_where_the_stub_may_send_them() -> None:
    client = ClientConnection(text_only=False)
    client.request(b"x0,3")
    assert client.receive(b"+" + encode_packet(b"b\x00$\xff")) == [Reply(b"b\x00$\xff")]
