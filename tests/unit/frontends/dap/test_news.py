# SPDX-License-Identifier: Apache-2.0
"""What an editor is told of its breakpoints, whatever gdb calls them meanwhile."""

from __future__ import annotations

import json
from typing import Any

from nullmodem.frontends.dap.codec import Decoder
from nullmodem.frontends.dap.editor import Editor
from nullmodem.frontends.dap.news import News
from nullmodem.frontends.dap.run_state import RunState
from support.served import served_in_a_directory


def told(said: Decoder) -> list[dict[str, Any]]:
    """The events that have reached the editor, in order."""
    return [json.loads(body) for body in iter(said.next, None)]


def changed(number: int, gdbs: int | None, *, verified: bool) -> dict[str, Any]:
    shown = {"id": number, "gdbId": gdbs, "verified": verified, "message": "its module has gone"}
    return {"event": "breakpoint", "body": {"reason": "changed", "breakpoint": shown}}


def test_a_data_breakpoint_keeps_its_number_however_often_its_module_is_loaded_again() -> None:
    said = Decoder()
    first = {"id": 5, "verified": True, "message": ""}
    with served_in_a_directory() as served:
        news = News(Editor(said.feed), served.remote, RunState(), frozenset())
        news.begin()
        assert [each["id"] for each in news.breakpoints("data", [dict(first)])] == [5]
        news.event(changed(5, None, verified=False))
        news.event(changed(5, 9, verified=True))
        assert [each["id"] for each in news.breakpoints("data", [first | {"id": 9}])] == [5]  # they are all set again
        news.event(changed(9, None, verified=False))
        news.event(changed(9, 12, verified=True))
    assert [(each["event"], each["body"]["breakpoint"]["id"]) for each in told(said)] == [("breakpoint", 5)] * 4
