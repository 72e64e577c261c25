# SPDX-License-Identifier: Apache-2.0
"""Conversations that editors had with the adapter, and having them again.

A recording is what `nullmodem dap --log FILE` writes: one message a line, ``{"editor": ...}`` or ``{"adapter": ...}``,
in the order in which they were seen. What the target printed is then left out, as are times, and long lists and texts
are cut; ``@MODULE@`` stands for the directory of the module. To make one, have the editor start the adapter with that
option, in the configuration of `editors`, and go through what `test_dap_recorded` says.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from nullmodem.frontends.dap.codec import encode

if TYPE_CHECKING:
    from pathlib import Path

    from support.dap import Dap

_NUMBERS: Final = {"threadId": "thread", "frameId": "frame", "variablesReference": "variables"}
"""Fields whose number is the adapter's to choose, and what it numbers."""
_LISTS: Final = {"threads": "thread", "stackFrames": "frame"}
"""Lists in an answer whose members have such a number as their ``id``."""
_EXACT: Final = frozenset({
    "allThreadsContinued", "allThreadsStopped", "command", "event", "message", "name", "reason", "success", "verified",
})  # fmt: skip
"""Fields that are to be as they were; of others, the kind of value is."""


class Recorded:
    """A recording, played by an editor that sends what was sent then, when it has what it had then."""

    def __init__(self, file: Path, module: Path) -> None:
        first, *lines = file.read_text(encoding="utf-8").replace("@MODULE@", str(module)).splitlines()
        self.about: str = json.loads(first)["recorded"]
        self._lines = [json.loads(line) for line in lines]
        self._module = str(module)
        self._now: dict[tuple[str, int], int] = {}
        self._verified: dict[int, bool] = {}

    @property
    def said(self) -> int:
        """How many messages the editor sent."""
        return sum("editor" in line for line in self._lines)

    def play(self, editor: Dap, most: int | None = None) -> int:
        """Until the editor has sent ``most`` messages, if that is given. Raises AssertionError where an answer or an
        event is of another kind; how many were compared."""
        compared = sent = 0
        for line in self._lines:
            if "editor" in line:
                editor.write(encode(self._translated(line["editor"])))
                sent += 1
                if sent == most:
                    break
                continue
            then = line["adapter"]
            now = self._answered(editor, then) if then["type"] == "response" else self._happened(editor, then)
            if now is not None:
                self._compare(then, now, then.get("command") or then["event"])
                compared += 1
        return compared

    def _translated(self, request: dict[str, Any]) -> dict[str, Any]:
        arguments = request.get("arguments")
        if arguments is None:
            return request
        known = {
            name: self._now[kind, arguments[name]] for name, kind in _NUMBERS.items() if arguments.get(name) is not None
        }
        return {**request, "arguments": {**arguments, **known}}

    @staticmethod
    def _answered(editor: Dap, then: dict[str, Any]) -> dict[str, Any]:
        return editor.answer(then["request_seq"])

    def _happened(self, editor: Dap, then: dict[str, Any]) -> dict[str, Any] | None:
        """The event that is like that one. None for one that told nothing new of a breakpoint."""
        name, body = then["event"], then.get("body", {})
        wanted = body.get("breakpoint", {})
        if wanted and self._verified.get(wanted["id"], False) == wanted["verified"]:
            return None
        while True:
            now = editor.event(name)
            if wanted:
                self._verified[wanted["id"]] = wanted["verified"]
                if now["breakpoint"]["verified"] != wanted["verified"]:
                    continue
            if name != "module" or now["module"]["name"] == body["module"]["name"]:
                return {"type": "event", "event": name, "body": now}

    def _compare(self, then: Any, now: Any, where: str) -> None:
        assert type(then) is type(now), f"{where}: {then!r} then, {now!r} now"
        if isinstance(then, list):
            kind = _LISTS.get(where.rpartition(".")[2])
            assert bool(then) == bool(now), f"{where}: {then!r} then, {now!r} now"
            for index, (one, other) in enumerate(zip(then, now, strict=False)):
                if kind is not None:
                    self._now[kind, one["id"]] = other["id"]
                self._compare(one, other, f"{where}[{index}]")
        elif isinstance(then, dict):
            missing = set(then) - set(now)
            assert not missing, f"{where}: {missing} of {then!r} missing in {now!r}"
            here = str(then.get("source", {}).get("path", "")).startswith(self._module)
            for name, value in then.items():
                if name in _EXACT or (name == "line" and here):
                    assert now[name] == value, f"{where}.{name}: {value!r} then, {now[name]!r} now"
                if name in _NUMBERS:
                    self._now[_NUMBERS[name], value] = now[name]
                self._compare(value, now[name], f"{where}.{name}")
