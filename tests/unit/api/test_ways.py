# SPDX-License-Identifier: Apache-2.0
"""Ways to break in as users write them."""

from __future__ import annotations

import pytest

from nullmodem.api.ways import WayName, make_ways, parse_ways
from nullmodem.errors import TargetError, UsageError


def test_every_way_can_be_written() -> None:
    texts = ("break", "shell", "ssh:root@board.lab", "qmp:/run/vm/qmp.sock,serial0")
    expected = (("break", ""), ("shell", ""), ("ssh", "root@board.lab"), ("qmp", "/run/vm/qmp.sock,serial0"))
    assert parse_ways(texts) == tuple(WayName(*words) for words in expected)


@pytest.mark.parametrize(
    "text", ["", "brk", "break:now", "ssh:", "ssh:-oProxyCommand=x", "ssh:a b", "qmp:relative", "nmi"]
)
def test_what_is_no_way_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(UsageError, match="no way to break in") as refused:
        parse_ways([text])
    assert "ssh:USER@HOST" in refused.value.hint


def test_a_way_that_needs_a_console_says_so_when_there_is_none() -> None:
    ways = make_ways(parse_ways(["break", "shell"]), None, None, None)
    with pytest.raises(TargetError) as failed:
        ways()
    assert failed.value.message.count("has no console of this target") == 2


def test_a_monitor_that_is_not_there_is_named() -> None:
    ways = make_ways(parse_ways(["qmp:/nowhere/qmp.sock"]), None, None, None)
    with pytest.raises(TargetError, match=r"/nowhere/qmp\.sock cannot be reached: No such file"):
        ways()
