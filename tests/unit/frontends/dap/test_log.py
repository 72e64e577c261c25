# SPDX-License-Identifier: Apache-2.0
"""What is written down of a conversation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nullmodem.errors import UsageError
from nullmodem.frontends.dap.codec import encode
from nullmodem.frontends.dap.log import Log

if TYPE_CHECKING:
    from pathlib import Path

ASKED: dict[str, Any] = {"seq": 1, "type": "request", "command": "threads"}
ANSWERED: dict[str, Any] = {"seq": 1, "type": "response", "request_seq": 1}


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]


def test_both_ways_are_in_it_in_order_however_they_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "log"
    data = encode(ASKED)
    pieces, sent = iter([data[:9], data[9:], b""]), []
    with Log(file) as log:
        read, write = log.between(lambda: next(pieces), sent.append)
        assert read() + read() == data
        write(encode(ANSWERED))
        assert read() == b""
        log.between(lambda: b"", sent.append)[1](encode(ANSWERED))
    about, first, second, third = lines(file)
    assert about["recorded"].startswith("nullmodem ")
    assert (first["editor"], second["adapter"], third["adapter"]) == (ASKED, ANSWERED, ANSWERED)
    assert [each["conversation"] for each in (first, second, third)] == [1, 1, 2]
    assert 0 <= first["time"] <= second["time"] <= third["time"]
    assert sent == [encode(ANSWERED)] * 2


def test_what_is_no_message_is_in_it_too_up_to_where_none_can_be_told(tmp_path: Path) -> None:
    file = tmp_path / "log"
    data = b"Content-Length: 2\r\n\r\n{]GET / HTTP/1.1\r\n\r\n"
    with Log(file) as log:
        read, _write = log.between(lambda: data, lambda _data: None)
        assert read() == read() == data
    _about, strange, broken = lines(file)
    assert strange["editor"] == "{]"
    assert "GET / HTTP/1.1" in broken["broken"]


def test_it_is_its_owners_alone_and_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with Log(tmp_path / "log"):
        assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="cannot be written: Is a directory"):
        Log(tmp_path)
