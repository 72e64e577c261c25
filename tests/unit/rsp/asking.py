# SPDX-License-Identifier: Apache-2.0
"""A client that has asked, and one that waits in vain."""

from __future__ import annotations

import pytest

from nullmodem.errors import WireTimeout
from nullmodem.rsp.client import ClientConnection, ClientEvent
from nullmodem.rsp.framing import encode_packet

T05 = encode_packet(b"T05thread:01;")


def asked(payload: bytes, **options: int) -> ClientConnection:
    """A connection that has just sent ``payload``."""
    client = ClientConnection(**options)
    client.request(payload)
    assert client.data_to_send() == encode_packet(payload)
    return client


def pass_deadlines(client: ClientConnection, events: list[ClientEvent]) -> None:
    """Let a hundred deadlines pass."""
    for _ in range(100):
        events += client.timeout()


def given_up(client: ClientConnection) -> None:
    """Let deadlines pass until the request is given up."""
    with pytest.raises(WireTimeout):
        pass_deadlines(client, [])
    client.data_to_send()
