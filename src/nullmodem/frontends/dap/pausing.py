# SPDX-License-Identifier: Apache-2.0
"""Pause, which waits behind nothing: when the target runs it is stopped, when it stands already that is shown."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.frontends.dap.codec import Request
    from nullmodem.frontends.dap.debuggee import Debuggee
    from nullmodem.frontends.dap.editor import Editor


class Pausing:
    """``debuggee`` says what is debugged, if anything is."""

    def __init__(self, editor: Editor, debuggee: Callable[[], Debuggee | None]) -> None:
        self._editor = editor
        self._debuggee = debuggee
        self._done: set[int] = set()

    def at_once(self, request: Request) -> None:
        """As it comes, in the thread that reads."""
        if self._pause():
            self._done.add(request.seq)

    def in_turn(self, request: Request) -> None:
        """One that came while the target stood is meant for what was before it in the queue, which may let it run."""
        self._editor.respond(request)
        if request.seq not in self._done:
            self._pause()
        self._done.discard(request.seq)

    def _pause(self) -> bool:
        """False when there is nothing to do."""
        debuggee = self._debuggee()
        if debuggee is None:
            return False
        kept = debuggee.state.show()
        if kept is not None:
            self._editor.event("stopped", kept)
        elif debuggee.state.running:
            # In a thread: the next thing the editor says must not wait for it.
            threading.Thread(target=self._stop, args=(debuggee,), name="nullmodem-dap-pause", daemon=True).start()
        else:
            return False
        return True

    def _stop(self, debuggee: Debuggee) -> None:
        try:
            debuggee.state.interrupt(debuggee.gdb)
        except NullmodemError as error:
            self._editor.output(f"nullmodem: {error}\n", "stderr")
