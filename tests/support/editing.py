# SPDX-License-Identifier: Apache-2.0
"""An editor on a running session, for tests that take turns with it."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nullmodem.errors import StateError
from support.dap import Adapter
from support.gdb import wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.api.remote import RemoteMachine
    from support.cli import Cli

KINDS = ("setFunctionBreakpoints", "setDataBreakpoints", "setInstructionBreakpoints")


def line_of(file: Path, text: str) -> int:
    """The first line of a source that has this text in it."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@dataclass
class Desk:
    """A session, and an adapter that has joined it. ``modules`` are sources, by name."""

    cli: Cli
    remote: RemoteMachine
    modules: dict[str, Path]
    editor: Adapter
    _running: list[threading.Thread] = field(default_factory=list)

    @property
    def simple(self) -> Path:
        return self.modules["simple"] / "simple.c"

    def break_at(self, *texts: str, file: Path | None = None, **more: Any) -> list[Any]:
        """Breakpoints on the lines with these texts, instead of those there were in the file."""
        source = file or self.simple
        wanted = [{"line": line_of(source, text), **more} for text in texts]
        answer = self.editor.ask("setBreakpoints", source={"path": str(source)}, breakpoints=wanted)
        return list(answer["breakpoints"])

    def no_breakpoints(self) -> None:
        for name in KINDS:
            self.editor.ask(name, breakpoints=[])
        self.editor.ask("setExceptionBreakpoints", filters=["oops"])
        self.break_at()

    def start(self, what: Callable[[], object]) -> None:
        """Have something done with the session, by somebody else, that may be stopped in its middle."""
        thread = threading.Thread(target=what)
        thread.start()
        self._running.append(thread)

    def changed(self, number: int, *, verified: bool) -> Any:
        """Wait until a breakpoint is verified, or no longer; as it is shown then."""
        while True:
            shown = self.editor.event("breakpoint", reason="changed")["breakpoint"]
            if shown["id"] == number and shown["verified"] == verified:
                return shown

    def go_on(self) -> None:
        """Have the editor let the target run, unless it does, and wait until it is so: gdb answers before."""
        learning = self.remote.status().target.state == "running"  # or runs: no event tells that it goes on
        events = self.remote.watch()
        try:
            answer = self.editor.answer(self.editor.send("continue", threadId=1))
            if answer["success"]:
                while not learning and (event := events.next()) is not None and event.kind != "resumed":
                    pass
            else:
                assert answer["message"] == "notStopped", answer
        finally:
            events.close()
            events.dispose()

    def use(self) -> None:
        """Have something open, read and close the module's device."""
        self.start(self._use)

    def _use(self) -> None:
        """gdb steps a target off a breakpoint before it lets it go, and in between the target stands."""
        with contextlib.closing(self.remote.watch()) as events:
            while True:
                try:
                    self.remote.execute(["cat /dev/simple"], lambda _data: None)
                    break
                except StateError:
                    while (event := events.next()) is not None and event.kind != "resumed":
                        pass
                    if event is None:
                        raise
        events.dispose()

    def stop(self, **fields: Any) -> tuple[int, Any]:
        """Wait for a stop; its thread, and its body."""
        body = self.editor.stopped(**fields)
        return int(body["threadId"]), body

    def join(self) -> None:
        """Wait until all that was started is done."""
        for thread in self._running:
            thread.join(30)
            assert not thread.is_alive(), self.editor.shown
        self._running.clear()

    def quiet(self) -> None:
        """Everything as at first: the target runs, no breakpoint is set, no module is loaded."""
        self.no_breakpoints()
        self.go_on()
        self.join()
        for module in self.remote.modules():
            self.remote.unload(module.name)
        self.editor.forget()


def caught_up(editor: Adapter, remote: RemoteMachine) -> int:
    """Wait until an editor stands where the target does; the thread. A step over a call stops on its way, too, and
    whoever follows it may be shown that."""
    while True:
        thread = int(editor.stopped()["threadId"])
        answer = editor.answer(editor.send("stackTrace", threadId=thread, levels=1))
        stop = remote.status().target.stop
        if not answer["success"] or stop is None:
            continue
        if int(answer["body"]["stackFrames"][0]["instructionPointerReference"], 16) == int(stop.pc):
            return thread


def adapter(cli: Cli, *arguments: str, **options: Any) -> Adapter:
    """An adapter that finds the sessions of this program, and the gdb that has one."""
    return Adapter(cli.environment, "--gdb", wheel(), *arguments, **options)
