# SPDX-License-Identifier: Apache-2.0
"""The wire's log: every packet on a line of its own, with whose doing it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nullmodem.errors import UsageError
from nullmodem.wire.log import OWN_WORK, WireLog

if TYPE_CHECKING:
    from pathlib import Path


def test_each_packet_has_its_time_way_payload_and_cause(tmp_path: Path) -> None:
    now = [100.0]
    log = WireLog(tmp_path / "log", clock=lambda: now[0])
    log.sent(b"?")

    def ask() -> str:
        now[0] += 0.25
        log.sent(b"g")
        log.received(b"00\t\xff")
        return "done"

    assert log.caused("gdb#1: g", ask) == "done"
    log.received(b"T05thread:1f;")
    assert log.caused("", lambda: log.sent(b"c")) is None
    log.close()
    log.sent(b"nobody hears this")
    log.close()
    lines = [line.split("\t") for line in (tmp_path / "log").read_text().splitlines()]
    assert lines == [
        ["seconds", "way", "payload", "cause"],
        ["0.000000", "->", "?", OWN_WORK],
        ["0.250000", "->", "g", "gdb#1: g"],
        ["0.250000", "<-", "00\\t\\xff", "gdb#1: g"],
        ["0.250000", "<-", "T05thread:1f;", "after gdb#1: g"],
        ["0.250000", "->", "c", OWN_WORK],
    ]


def test_a_cause_that_fails_is_over_all_the_same(tmp_path: Path) -> None:
    log = WireLog(tmp_path / "log")

    def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        log.caused("gdb#1: m0,8", fail)
    log.sent(b"c")
    log.close()
    assert (tmp_path / "log").read_text().endswith("\tc\tafter gdb#1: m0,8\n")


def test_without_a_file_nothing_is_written_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    WireLog().sent(b"g")
    with pytest.raises(UsageError, match="cannot write the wire's log"):
        WireLog(tmp_path / "missing" / "log")
