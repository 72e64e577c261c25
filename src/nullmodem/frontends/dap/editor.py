# SPDX-License-Identifier: Apache-2.0
"""What is said to the editor, from any thread: every message whole, and numbered."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, Final

from nullmodem.frontends.dap.codec import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.errors import NullmodemError
    from nullmodem.frontends.dap.codec import Arguments, Request

_RUNS: Final = "Cannot execute this command while the target is running"
"""What gdb says of a request that it should have known it cannot answer (remote.c putpkt_binary)."""


class Editor:
    """``write`` sends bytes, all of them. When it fails the editor has gone, and nothing is said any more."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._over = False
        self.gone = False

    def respond(self, request: Request, body: Arguments | None = None) -> None:
        self._answer(request, {"success": True, **({} if body is None else {"body": body})})

    def refuse(self, request: Request, message: str) -> None:
        """``message`` is for the user. The editor shows the one in ``error``; programs read the other."""
        shown = {"id": 1, "format": message.replace("{", "(").replace("}", ")"), "showUser": True}
        self._answer(request, {"success": False, "message": message, "body": {"error": shown}})

    def fail(self, request: Request, error: NullmodemError) -> None:
        self.refuse(request, str(error))

    def pass_on(self, request: Request, answer: dict[str, Any]) -> None:
        """Answer as gdb has."""
        if not answer.get("success"):
            message = str(answer.get("message", ""))
            if message.startswith(_RUNS):
                message = "notStopped"
            if message in ("notStopped", "cancelled"):  # words of the protocol, which editors know
                self._answer(request, {"success": False, "message": message})
            else:
                self.refuse(request, message or f"gdb gave no reason why {request.command} failed")
            return
        self._answer(request, {name: answer[name] for name in ("success", "body") if name in answer})

    def event(self, name: str, body: Arguments | None = None) -> None:
        self._say({"type": "event", "event": name, **({} if body is None else {"body": body})})

    def over(self) -> None:
        """Nothing is debugged any more. Said once: dape answers with a request to terminate."""
        with self._lock:
            said, self._over = self._over, True
        if not said:
            self.event("terminated")

    def output(self, text: str, category: str = "console") -> None:
        if text:
            self.event("output", {"category": category, "output": text})

    def _answer(self, request: Request, rest: dict[str, Any]) -> None:
        self._say({"type": "response", "request_seq": request.seq, "command": request.command, **rest})

    def _say(self, message: dict[str, Any]) -> None:
        with self._lock:
            if self.gone:
                return
            try:
                self._write(encode({"seq": next(self._numbers), **message}))
            except OSError:
                self.gone = True
