# SPDX-License-Identifier: Apache-2.0
"""What has happened in a session since somebody looks, and what was seen at each of its stops. Pure but for the clock.

Nothing is read for it: of a stop is kept what a page has asked for while the target stood there.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Final

from nullmodem.api.oops import find_troubles
from nullmodem.api.records import to_json
from nullmodem.errors import UsageError
from nullmodem.frontends.web.protocol import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nullmodem.frontends.web.protocol import FrameView, StopView, Variable

MOST_ENTRIES: Final = 10_000
MOST_TEXT: Final = 1 << 21
"""Characters of all entries."""
MOST_STOPS: Final = 500
MOST_VARIABLES: Final = 2_000
"""Kept of one stop."""
MERGED_LINES: Final = 20
"""Lines of the console in one entry."""
LONGEST_LINE: Final = 400
DEEPEST: Final = 50
"""Variables in one another that are kept: a list may be endless."""


class Timeline:
    """Entries, the last 10,000 of them. Used from any thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._count = self._size = 0
        self._rest = ""
        self._lines = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        with self._lock:
            return tuple(self._entries)

    def add(self, kind: str, text: str, stop: int | None = None) -> Entry:
        """Something new."""
        with self._lock:
            self._lines = 0
            return self._add(kind, text, stop)

    def printed(self, text: str) -> list[Entry]:
        """Whole lines of what the console has printed: entries that are new, or replace the last one."""
        with self._lock:
            *lines, self._rest = (self._rest + text.replace("\r", "")).split("\n")
            self._rest = self._rest[-LONGEST_LINE:]
            changed: OrderedDict[int, Entry] = OrderedDict()
            for line in lines:
                if entry := self._line(line[:LONGEST_LINE]):
                    changed[entry.seq] = entry
            return list(changed.values())

    def _line(self, line: str) -> Entry | None:
        if not line.strip():
            return None
        troubles = find_troubles(line)
        if troubles:
            self._lines = 0
            return self._add("oops", troubles[0].headline, None)
        if 0 < self._lines < MERGED_LINES:
            last = self._entries[-1]
            self._entries[-1] = Entry(last.seq, last.time, last.kind, f"{last.text}\n{line}", last.stop)
            self._lines += 1
            self._size += len(line) + 1
            return self._entries[-1]
        self._lines = 1
        return self._add("console", line, None)

    def _add(self, kind: str, text: str, stop: int | None) -> Entry:
        self._count += 1
        entry = Entry(self._count, self._clock(), kind, text, stop)
        self._entries.append(entry)
        self._size += len(text)
        while len(self._entries) > MOST_ENTRIES or self._size > MOST_TEXT:
            self._size -= len(self._entries.popleft().text)
        return entry


class Seen:
    """What pages have been shown at each stop, the last 500 of them. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: OrderedDict[int, _SeenStop] = OrderedDict()

    def stopped(self, view: StopView) -> None:
        """A stop begins."""
        with self._lock:
            if view.number not in self._stops:
                self._stops[view.number] = _SeenStop(view)
                while len(self._stops) > MOST_STOPS:
                    self._stops.popitem(last=False)

    def stack(self, stop: int, frames: Sequence[FrameView]) -> None:
        """Somebody was shown the stack of the thread that stopped."""
        with self._lock:
            if stop in self._stops:
                self._stops[stop].stack = [to_json(frame) for frame in frames]

    def variables(self, stop: int, level: int, page: int, variables: Sequence[Variable]) -> None:
        """Somebody was shown the variables of a frame."""
        with self._lock:
            if stop in self._stops:
                seen = self._stops[stop]
                seen.locals[str(level)] = seen.keep(page, variables, 1, seen.locals.get(str(level), ()))

    def children(self, stop: int, page: int, ref: int, variables: Sequence[Variable]) -> None:
        """Somebody has unfolded a variable, in his numbers."""
        with self._lock:
            seen = self._stops.get(stop)
            if seen is None or (page, ref) not in seen.nodes:
                return
            node, depth = seen.nodes[page, ref]
            if depth < DEEPEST:
                node["children"] = seen.keep(page, variables, depth + 1, node.get("children", ()))

    def of(self, stop: int) -> dict[str, object]:
        """All that. Raises UsageError for a stop of which nothing is known (any more)."""
        with self._lock:
            seen = self._stops.get(stop)
            if seen is None:
                hint = f"The last {MOST_STOPS} stops are kept that a page was open at."
                raise UsageError(f"nothing is kept of stop {stop}", hint=hint)
            return seen.record()


class _SeenStop:
    """One stop. A variable is kept without its number, which means nothing later."""

    def __init__(self, view: StopView) -> None:
        self._view = view
        self.stack: list[object] = []
        self.locals: dict[str, list[dict[str, Any]]] = {}
        self.nodes: dict[tuple[int, int], tuple[dict[str, Any], int]] = {}
        self._left = MOST_VARIABLES

    def keep(
        self, page: int, variables: Sequence[Variable], depth: int, before: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """``before`` are those that are kept already of what is asked for again, with what was unfolded in them."""
        kept: list[dict[str, Any]] = []
        for number, variable in enumerate(variables):
            if number < len(before) and before[number]["name"] == variable.name:
                node = before[number]
            elif self._left:
                node = {}
                self._left -= 1
            else:
                break
            node |= {"name": variable.name, "type": variable.type, "value": variable.value, "ref": None}
            if variable.ref is not None:
                self.nodes[page, variable.ref] = node, depth
            kept.append(node)
        return kept

    def record(self) -> dict[str, object]:
        view = to_json(self._view)
        assert isinstance(view, dict)
        return {
            **view,
            "stack": list(self.stack),
            "locals": {level: _copy(each) for level, each in self.locals.items()},
        }


def _copy(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Unfolded as far as it was, so that what is sent does not change meanwhile."""
    return [{**n, "children": _copy(n["children"])} if "children" in n else dict(n) for n in nodes]
