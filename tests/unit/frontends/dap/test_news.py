# SPDX-License-Identifier: Apache-2.0
"""What an editor is told of its breakpoints, whatever gdb calls them meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from nullmodem.frontends.dap.news import News


class Told:
    """An editor's end: the events, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def event(self, name: str, body: dict[str, Any]) -> None:
        self.events.append((name, body))


def news_for(told: Told) -> News:
    news = News(told, None, SimpleNamespace(stopped=lambda _body: True), frozenset())  # type: ignore[arg-type]
    news.begin()
    return news


def changed(number: int, gdbs: int | None, *, verified: bool) -> dict[str, Any]:
    shown = {"id": number, "gdbId": gdbs, "verified": verified, "message": "its module has gone"}
    return {"event": "breakpoint", "body": {"reason": "changed", "breakpoint": shown}}


def test_a_data_breakpoint_keeps_its_number_however_often_its_module_is_loaded_again() -> None:
    told = Told()
    news = news_for(told)
    first = {"id": 5, "verified": True, "message": ""}
    assert [each["id"] for each in news.breakpoints("data", [dict(first)])] == [5]
    news.event(changed(5, None, verified=False))
    news.event(changed(5, 9, verified=True))
    assert [each["id"] for each in news.breakpoints("data", [first | {"id": 9}])] == [5]  # they are all set again
    news.event(changed(9, None, verified=False))
    news.event(changed(9, 12, verified=True))
    assert [body["breakpoint"]["id"] for _name, body in told.events] == [5, 5, 5, 5]
