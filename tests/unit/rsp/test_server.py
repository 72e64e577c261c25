# SPDX-License-Identifier: Apache-2.0
"""The side that gdb talks to: acks, repeats, no-ack mode, and where its patience ends."""

from __future__ import annotations

import pytest

from nullmodem.errors import RemoteProtocolError
from nullmodem.rsp.framing import Interrupt
from nullmodem.rsp.server import ServerConnection


def test_a_request_is_acknowledged_and_its_reply_follows() -> None:
    server = ServerConnection()
    assert server.receive(b"$g#67") == [b"g"]
    server.send(b"00")
    assert server.data_to_send() == b"+$00#60"
    assert server.data_to_send() == b""
    assert server.receive(b"+") == []
    assert server.data_to_send() == b""


def test_an_interrupt_comes_between_requests_and_never_out_of_one() -> None:
    server = ServerConnection()
    assert server.receive(b"\x03$X0,1:\x03#22\x03") == [Interrupt(), b"X0,1:\x03", Interrupt()]


def test_noise_and_notifications_are_no_requests() -> None:
    server = ServerConnection()
    assert server.receive(b"noise%x#78+-") == []
    assert server.data_to_send() == b""


def test_a_damaged_request_is_rejected_and_its_repetition_taken() -> None:
    server = ServerConnection()
    assert server.receive(b"$g#00") == []
    assert server.data_to_send() == b"-"
    assert server.receive(b"$g#67") == [b"g"]
    assert server.data_to_send() == b"+"


def test_a_rejected_reply_is_sent_again_and_an_accepted_one_never() -> None:
    server = ServerConnection()
    server.send(b"OK")
    server.data_to_send()
    server.receive(b"--")
    assert server.data_to_send() == b"$OK#9a$OK#9a"
    server.receive(b"+-")
    assert server.data_to_send() == b""


def test_a_client_that_rejects_for_ever_is_given_up() -> None:
    server = ServerConnection(tries=3)
    server.send(b"OK")
    server.receive(b"---")
    with pytest.raises(RemoteProtocolError, match="rejected the same packet 4 times"):
        server.receive(b"-")


def test_each_reply_has_its_own_tries() -> None:
    server = ServerConnection(tries=1)
    for _ in range(3):
        server.send(b"OK")
        server.receive(b"-")


def test_a_client_that_sends_only_damaged_packets_is_given_up() -> None:
    server = ServerConnection(tries=3)
    server.receive(b"$g#00" * 3)
    server.receive(b"$g#67")
    server.receive(b"$g#00" * 3)
    with pytest.raises(RemoteProtocolError, match="4 packets from the client in a row"):
        server.receive(b"$g#00")


def test_an_overlong_request_is_rejected() -> None:
    server = ServerConnection(max_payload=16)
    assert server.receive(b"$" + b"m" * 100 + b"#00$g#67") == [b"g"]
    assert server.data_to_send() == b"-+"


@pytest.mark.parametrize("proof", [b"+", b"$g#67"], ids=["ack", "next request"])
def test_no_ack_mode_begins_when_its_ok_was_read(proof: bytes) -> None:
    server = ServerConnection()
    server.receive(b"$QStartNoAckMode#b0")
    server.start_no_ack()
    server.receive(b"+")  # of the reply before: proves nothing
    server.send(b"OK")
    assert server.data_to_send() == b"+$OK#9a"
    assert not server.no_ack
    server.receive(b"-")
    assert server.data_to_send() == b"$OK#9a"
    server.receive(proof)
    assert server.no_ack
    server.data_to_send()
    assert server.receive(b"+-$g#67") == [b"g"]
    server.send(b"00")
    assert server.data_to_send() == b"$00#60"
    assert server.receive(b"-") == []
    assert server.data_to_send() == b""


def test_no_ack_mode_can_be_granted_again() -> None:
    server = ServerConnection()
    server.start_no_ack()
    server.send(b"OK")
    server.receive(b"+")
    server.start_no_ack()
    assert server.no_ack


def test_requests_that_came_together_with_the_one_for_no_ack_mode_are_acknowledged() -> None:
    server = ServerConnection()
    assert server.receive(b"$QStartNoAckMode#b0$g#67") == [b"QStartNoAckMode", b"g"]
    server.start_no_ack()
    server.send(b"OK")
    assert server.data_to_send() == b"++$OK#9a"


def test_damage_after_acks_have_ended_ends_the_connection() -> None:
    server = ServerConnection()
    server.start_no_ack()
    server.send(b"OK")
    server.receive(b"+")
    with pytest.raises(RemoteProtocolError, match="its checksum does not match; none may be lost"):
        server.receive(b"$g#00")
