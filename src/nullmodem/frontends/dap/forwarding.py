# SPDX-License-Identifier: Apache-2.0
"""Requests that are gdb's to answer, and which of all requests the editor has no more use for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from nullmodem.frontends.dap.cancelling import Cancelling

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.frontends.dap.codec import Request
    from nullmodem.frontends.dap.editor import Editor
    from nullmodem.frontends.dap.gdb_adapter import GdbAdapter

RUN: Final = frozenset({"continue", "next", "stepIn", "stepOut"})
BREAKPOINTS: Final = frozenset(
    {"setBreakpoints", "setFunctionBreakpoints", "setExceptionBreakpoints", "setDataBreakpoints",
     "setInstructionBreakpoints"}
)  # fmt: skip
LOOK: Final = frozenset(
    {"stackTrace", "scopes", "variables", "setVariable", "setExpression", "source", "readMemory",
     "writeMemory", "disassemble", "dataBreakpointInfo", "completions", "loadedSources", "breakpointLocations"}
)  # fmt: skip
"""The requests that have the target run, that set breakpoints, and that look at a target that stands."""


class Forwarding:
    """Requests are forwarded one at a time; `cancel` may be called from another thread."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor
        self._cancelling = Cancelling()

    def forward(
        self,
        gdb: GdbAdapter,
        request: Request,
        change: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        deliver: Callable[[dict[str, Any]], None] | None = None,
    ) -> bool:
        """Have gdb answer; returns when it has, and whether it did what was asked. ``change`` makes another body of the
        answer's; ``deliver`` gets the answer instead of the editor."""
        done = threading.Event()
        good = False

        def answered(message: dict[str, Any]) -> None:
            nonlocal good
            good = bool(message.get("success"))
            if good and change is not None:
                body = message.get("body")
                message = {**message, "body": change(body if isinstance(body, dict) else {})}
            if deliver is not None:
                deliver(message)
            else:
                self._editor.pass_on(request, message)
            done.set()

        number = gdb.send(request.command, request.arguments, answered)
        if not done.is_set():
            self._cancelling.given_to_gdb(request.seq, number)
        done.wait()
        self._cancelling.answered(request.seq)
        return good

    def cancel(self, number: object, gdb: GdbAdapter | None) -> None:
        """Cancel a request by its number: one that waits is not begun, gdb is told of the one it works on."""
        at_gdb = self._cancelling.cancel(number) if isinstance(number, int) else None
        if at_gdb is not None and gdb is not None:
            gdb.send("cancel", {"requestId": at_gdb}, lambda _answer: None)

    def is_cancelled(self, request: Request) -> bool:
        """Whether one that begins now was cancelled before."""
        return self._cancelling.is_cancelled(request.seq)
