# SPDX-License-Identifier: Apache-2.0
"""QEMU's control line, against a peer that speaks it."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from nullmodem.errors import TargetError, TargetLost, WireTimeout
from nullmodem.targets.qmp import Monitor

if TYPE_CHECKING:
    from collections.abc import Iterator

GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}


class Peer:
    """Greets, agrees on capabilities, and does what each command's name says."""

    def __init__(self, *, greet: bool = True, timeout: float = 10.0) -> None:
        here, self.socket = socket.socketpair()
        self.monitor = Monitor(here, timeout=timeout)
        self.arguments: object = None
        self.thread = threading.Thread(target=self._serve, args=(greet,))
        self.thread.start()

    def close(self) -> None:
        self.monitor.close()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()

    def _serve(self, greet: bool) -> None:
        if greet:
            self._say(GREETING)
        for request in self._requests():
            self.arguments = request.get("arguments")
            match request["execute"]:
                case "silence":
                    pass
                case "end":
                    self.socket.shutdown(socket.SHUT_RDWR)
                case "refuse":
                    error = {"class": "GenericError", "desc": "Chardev 'x' not found"}
                    self._say({"error": error, "id": request["id"]})
                case "qmp_capabilities":
                    self._say({"return": {}})
                case _:
                    self._say({"return": {"status": "running"}, "id": request["id"]})

    def _requests(self) -> Iterator[dict[str, Any]]:
        """Messages to QEMU need nothing between them."""
        text = ""
        while data := self.socket.recv(4096):
            text += data.decode()
            while text:
                try:
                    request, end = json.JSONDecoder().raw_decode(text)
                except ValueError:
                    break
                text = text[end:].lstrip()
                yield request

    def _say(self, message: object) -> None:
        self.socket.sendall(json.dumps(message).encode() + b"\r\n")


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    made.monitor.connect()
    yield made
    made.close()


def test_a_command_returns_what_it_returned(peer: Peer) -> None:
    assert peer.monitor.execute("query-status") == {"status": "running"}
    assert peer.monitor.execute("chardev-send-break", id="console", dry_run=True) == {"status": "running"}
    assert peer.arguments == {"id": "console", "dry-run": True}


def test_a_refusal_carries_qemus_own_words(peer: Peer) -> None:
    with pytest.raises(TargetError, match="refused to do refuse: Chardev 'x' not found"):
        peer.monitor.execute("refuse")
    assert peer.monitor.execute("query-status")


def test_silence_is_a_timeout_and_the_next_command_is_answered() -> None:
    peer = Peer(timeout=1.0)
    peer.monitor.connect()
    with pytest.raises(WireTimeout, match="did not do silence within"):
        peer.monitor.execute("silence")
    assert peer.monitor.execute("query-status")
    peer.close()


def test_the_lines_end_is_the_targets(peer: Peer) -> None:
    with pytest.raises(TargetLost):
        peer.monitor.execute("end")
    with pytest.raises(TargetLost):
        peer.monitor.execute("query-status")


def test_nothing_is_executed_after_closing(peer: Peer) -> None:
    peer.monitor.close()
    peer.monitor.close()
    with pytest.raises(TargetLost, match="after its end"):
        peer.monitor.execute("query-status")


def test_a_peer_that_does_not_greet_is_a_timeout() -> None:
    silent = Peer(greet=False, timeout=0.1)
    with pytest.raises(WireTimeout, match="did not greet us"):
        silent.monitor.connect()
    silent.close()


def test_a_monitor_that_never_connected_closes() -> None:
    here, there = socket.socketpair()
    Monitor(here).close()
    assert there.recv(1) == b""
    there.close()
