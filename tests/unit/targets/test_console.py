# SPDX-License-Identifier: Apache-2.0
"""The console's line: history, waiting, typing, and a BREAK with nothing after it but its key."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import TargetError, TargetLost, WireTimeout
from nullmodem.targets.console import HISTORY, Console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Line:
    """A console and the UART's end of its line."""

    def __init__(self, log: Path, log_limit: int = 1 << 20) -> None:
        here, self.uart = socket.socketpair()
        self.uart.settimeout(10)
        self.log = log
        self.console = Console(here, log, log_limit=log_limit)

    def say(self, data: bytes) -> None:
        """Print ``data`` and return when the console has taken it."""
        position = self.console.position
        self.uart.sendall(data)
        while position < self.console.position + len(data) and self.console.position < position + len(data):
            self.console.follow(self.console.position, threading.Event())

    def close(self) -> None:
        self.console.close()
        self.uart.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path / "console.log")
    yield made
    made.close()


def test_what_is_printed_is_in_the_text_the_log_and_the_tail(line: Line) -> None:
    line.say(b"one\r\ntwo\r\nthree \xff\r\n")
    assert line.console.text() == "one\ntwo\nthree \ufffd\n"
    assert line.console.tail(2) == "two\nthree \ufffd"
    line.close()
    assert line.log.read_bytes() == b"one\r\ntwo\r\nthree \xff\r\n"


def test_text_since_a_position_is_only_what_came_after(line: Line) -> None:
    line.say(b"before")
    position = line.console.position
    line.say(b"after")
    assert line.console.text(position) == "after"


def test_memory_is_bounded_however_much_is_printed(line: Line) -> None:
    for _ in range(40):
        line.say(b"x" * (1 << 16))
    line.say(b"end")
    assert len(line.console.text()) == HISTORY
    assert line.console.text().endswith("xend")
    assert line.console.position == 40 * (1 << 16) + 3
    assert line.console.text(line.console.position - 3) == "end"


def test_the_log_is_bounded_too_and_keeps_what_is_recent(tmp_path: Path) -> None:
    line = Line(tmp_path / "console.log", log_limit=100)
    for letter in "abcdef":
        line.say(letter.encode() * 60)
    line.close()
    assert line.log.read_bytes() == b"e" * 60 + b"f" * 60
    assert (tmp_path / "console.log.1").read_bytes() == b"c" * 60 + b"d" * 60


def test_waiting_ends_when_the_text_is_there_even_in_pieces(line: Line) -> None:
    with ThreadPoolExecutor() as pool:
        found = pool.submit(line.console.wait, r"lo(gi)n:", 10)
        for piece in (b"boot\r\nl", b"og", b"in", b": "):
            line.say(piece)
        assert found.result(10)[1] == "gi"


def test_waiting_does_not_find_what_was_printed_before(line: Line) -> None:
    line.say(b"prompt# ")
    with pytest.raises(WireTimeout, match=r"did not print 'prompt' within 0.05 s; it ends with:\nprompt#"):
        line.console.wait("prompt", 0.05, since=line.console.position)


def test_waiting_ends_with_the_line(line: Line) -> None:
    with ThreadPoolExecutor() as pool:
        found = pool.submit(line.console.wait, "never", 10)
        line.uart.close()
        with pytest.raises(TargetLost, match="ended before its console printed 'never'"):
            found.result(10)


def test_listeners_hear_everything_until_they_leave(line: Line) -> None:
    heard: list[bytes] = []
    leave = line.console.subscribe(heard.append)
    line.say(b"one")
    line.say(b"two")
    leave()
    leave()
    line.say(b"three")
    line.close()
    assert b"".join(heard) == b"onetwo"


def test_a_listener_that_fails_is_dropped_and_the_others_hear_on(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[bytes] = []

    def fail(data: bytes) -> None:
        raise KeyError(data)

    line.console.subscribe(fail)
    line.console.subscribe(heard.append)
    line.say(b"one")
    line.say(b"two")
    line.close()
    assert b"".join(heard) == b"onetwo"
    assert len(caplog.records) == 1


def test_typing_reaches_the_uart(line: Line) -> None:
    line.console.write(b"ls\n")
    assert line.uart.recv(10) == b"ls\n"


def test_typing_at_a_target_that_does_not_read_is_an_error_not_a_wait(line: Line) -> None:
    with pytest.raises(TargetError, match="does not read its console"):
        line.console.write(b"x" * (16 << 20))


def test_typing_at_a_target_that_is_gone_is_an_error(line: Line) -> None:
    line.uart.close()
    with pytest.raises(TargetLost):
        line.console.write(b"x")


def test_a_break_and_its_key_have_nothing_between_them(line: Line) -> None:
    in_break, typist = threading.Event(), ThreadPoolExecutor()

    def send_break() -> None:
        # Somebody types while the BREAK is on its way: it must come after the key.
        typed.append(typist.submit(line.console.write, b"rm -rf\n"))
        in_break.set()
        line.uart.sendall(b"the console goes on printing")
        line.console.wait("goes on printing", 10)

    typed = []  # type: ignore[var-annotated]
    line.console.send_sysrq("g", send_break)
    assert in_break.is_set()
    typed[0].result(10)
    typist.shutdown()
    assert line.uart.recv(1) == b"g"
    assert line.uart.recv(100) == b"rm -rf\n"


def test_no_break_is_sent_while_typed_input_is_unread(line: Line) -> None:
    line.console.write(b"b")
    with pytest.raises(TargetError, match="not yet read by the target"):
        line.console.send_sysrq("g", lambda: pytest.fail("a BREAK was sent"))
    assert line.uart.recv(10) == b"b"
    line.console.send_sysrq("g", lambda: None)
    assert line.uart.recv(10) == b"g"


def test_closing_twice_is_closing_once_and_what_was_printed_stays(line: Line) -> None:
    line.say(b"text")
    line.console.close()
    line.console.close()
    assert line.console.text() == "text"


def test_nothing_can_be_typed_after_closing(line: Line) -> None:
    line.console.close()
    with pytest.raises(TargetLost):
        line.console.write(b"x")
    with pytest.raises(TargetLost):
        line.console.send_sysrq("g", lambda: None)
    with pytest.raises(TargetLost):
        line.console.wait("x", 10)


def test_what_is_announced_is_read_as_if_it_were_printed_and_commands_no_terminal(line: Line) -> None:
    line.say(b"one\r\n")
    line.console.announce("two \x1b[31m\n")
    assert line.console.text() == "one\n\nnullmodem: two ?[31m?\n"
    line.close()
    line.console.announce("three")
    assert line.log.read_bytes() == b"one\r\n\r\nnullmodem: two ?[31m?\r\n"
