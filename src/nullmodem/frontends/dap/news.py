# SPDX-License-Identifier: Apache-2.0
"""gdb's events, as the editor gets them: stops with their reasons, modules with their addresses, text without noise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from nullmodem.errors import NullmodemError
from nullmodem.frontends.dap.modules import Places, enriched, module_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nullmodem.api.facts import StopFacts
    from nullmodem.api.remote import RemoteMachine
    from nullmodem.frontends.dap.editor import Editor
    from nullmodem.frontends.dap.run_state import RunState

# What gdb prints beside the events that say the same.
_NOISE: Final = re.compile(
    r"No source file named|[Bb]reakpoint \d+ at |Temporarily disabling breakpoints for unloaded"
    r"|Breakpoint \d+ \(.*\) pending\.|Function \".*\" not defined\.|Catchpoint \d+ \(load\)"
    r"|(Hardware|Temporary).*(watchpoint|breakpoint) \d+|Reading symbols from|\[New Thread|\[Switching to"
    r"|\[Thread .* exited|\[Remote target|Note: breakpoint"
)
_EXCEPTIONS: Final = {"warn": "WARN", "load": "Module load"}


class News:
    """``remote`` is asked about modules and stops. All methods but `event` may be called from any thread."""

    def __init__(self, editor: Editor, remote: RemoteMachine, state: RunState, own: frozenset[str]) -> None:
        self._editor = editor
        self._remote = remote
        self._state = state
        self._own = own
        self._held: list[tuple[str, dict[str, Any]]] | None = []
        self._places = Places()
        self._shown: dict[int, dict[str, Any]] = {}
        self._sets: dict[str, set[int]] = {}
        self._known_as: dict[int, int] = {}
        self.entry: int | None = None
        self.hidden: set[int] = set()
        self.exceptions: Mapping[int, str] = {}
        self.fault: StopFacts | None = None

    def begin(self) -> None:
        """The editor is ready: tell it what was held back, and everything from now on."""
        held, self._held = self._held or [], None
        for name, body in held:
            self._editor.event(name, body)

    def expect_entry(self, number: int) -> None:
        """The next stop at this breakpoint of gdb's, which the editor does not know, is the module's entry."""
        self.entry = number
        self.hidden.add(number)

    def event(self, message: dict[str, Any]) -> None:
        """In the thread that reads from gdb, which must not ask gdb anything."""
        body = message.get("body")
        body = body if isinstance(body, dict) else {}
        match message["event"]:
            case "stopped":
                if self._state.stopped(body):
                    self._tell("stopped", self.stop(body))
            case "continued":
                self._state.resumed()
                self._tell("continued", body)
            case "output":
                self._output(body)
            case "module":
                self._tell("module", self._module(body))
                if body.get("reason") == "removed":
                    self._breakpoints_gone()
            case "breakpoint":
                self._breakpoint(body)
            case "thread" | "process" as name:
                self._tell(name, body)
            case _:
                pass  # when the session begins and ends is not gdb's to say

    def _tell(self, name: str, body: dict[str, Any]) -> None:
        if self._held is not None:
            if name == "module":
                self._held.append((name, body))
            return
        self._editor.event(name, body)

    def _output(self, body: dict[str, Any]) -> None:
        text = str(body.get("output", ""))
        if body.get("category") == "console":  # a log point, whose text has no end of its own
            self._editor.output(text if text.endswith("\n") else text + "\n")
        elif text.strip() and not _NOISE.search(text):
            self._editor.output(text)

    def _module(self, body: dict[str, Any]) -> dict[str, Any]:
        module = body.get("module")
        if not isinstance(module, dict):
            return body
        if body.get("reason") == "removed":
            self._places.leave(str(module.get("id")))
            return {**body, "module": {**module, "name": module_name(str(module.get("name"))) or module.get("name")}}
        shown = self.module(module)
        self._places.enter(str(module.get("id")), shown)
        return {**body, "module": shown}

    def module(self, module: dict[str, Any]) -> dict[str, Any]:
        return enriched(module, self._remote, self._own)

    def _breakpoint(self, body: dict[str, Any]) -> None:
        shown = body.get("breakpoint")
        if not isinstance(shown, dict) or shown.get("id") in self.hidden:
            return
        if body.get("reason") == "removed":
            self._shown.pop(shown.get("id", 0), None)
            self._tell("breakpoint", body)
        else:
            self._tell("breakpoint", {**body, "breakpoint": self.breakpoint(shown)})

    def breakpoints(self, place: str, made: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those that were set for a place, instead of those that were set for it before."""
        made = list(made)
        numbers = {self._known_as.get(each["id"], each["id"]) for each in made if "id" in each}
        for gone in self._sets.get(place, set()) - numbers:
            self._shown.pop(gone, None)
        self._sets[place] = numbers
        return [self.breakpoint(each) for each in made]

    def breakpoint(self, shown: dict[str, Any]) -> dict[str, Any]:
        """One of gdb's. It calls those verified, too, that stand in a module which has gone.

        One that was put back has another number at gdb, ``gdbId``, than the editor knows it by.
        """
        number = shown.pop("gdbId", None)
        if "id" in shown:
            known = self._known_as.get(shown["id"], shown["id"])  # one that was put back before, perhaps
            if number is not None:
                self._known_as[number] = known
            shown = {**shown, "id": known}
        if "id" in shown:
            self._shown[shown["id"]] = shown
        if shown.get("verified") and self._places.is_gone(shown.get("instructionReference")):
            shown = {**shown, "verified": False}
        if shown.get("verified") or shown.get("message"):
            return shown
        return {**shown, "message": "No loaded module has this place; it is set when one comes that has it."}

    def _breakpoints_gone(self) -> None:
        for each in list(self._shown.values()):
            if each.get("verified") and self._places.is_gone(each.get("instructionReference")):
                self._shown[each["id"]] = {**each, "verified": False}
                self._tell("breakpoint", {"reason": "changed", "breakpoint": self.breakpoint(each)})

    # -- stops ---------------------------------------------------------------------------------------------------

    def stop(self, body: dict[str, Any]) -> dict[str, Any]:
        """A stop with its reason as the kernel has it."""
        hits = (self._known_as.get(each, each) for each in body.get("hitBreakpointIds", ()))
        hit = [each for each in hits if each not in self.hidden]
        shown = {**body, "hitBreakpointIds": hit}
        if self.entry is not None and self.entry in body.get("hitBreakpointIds", ()):
            self.entry = None
            return {**shown, "reason": "entry", "description": "Stopped in the module's init"}
        self.fault = None
        for each in hit:
            if each in self.exceptions:
                name = _EXCEPTIONS[self.exceptions[each]]
                return {**shown, "reason": "exception", "description": f"Stopped on {name}", "text": name}
        if body.get("reason") in ("signal", "stopped"):
            return {**shown, **self._signal()}
        return shown

    def _signal(self) -> dict[str, Any]:
        """gdb knows a signal's number; the session knows what it was."""
        try:
            stop = self._remote.status().target.stop
        except NullmodemError:
            stop = None
        if stop is None:
            return {}
        match stop.reason:
            case "fault":
                self.fault = stop
                text = f"signal {stop.signal} at {stop.where}"
                return {"reason": "exception", "description": "Stopped on a fault", "text": text}
            case "breakpoint" | "hardware breakpoint" | "watchpoint" | "step":
                return {"reason": "pause", "description": "Stopped by another debugger"}
            case "breakpoint in the code":
                return {"reason": "breakpoint", "description": "Stopped at a breakpoint in the code"}
        return {"reason": "pause", "description": f"Stopped: {stop.reason}"}
