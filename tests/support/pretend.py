# SPDX-License-Identifier: Apache-2.0
"""A machine that is not there: it has the verbs, keeps a diary of them, and does what a test has told it to."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nullmodem.api.commands import RunningCommand
from nullmodem.api.status import Status
from nullmodem.errors import LeaseError, StateError, UsageError
from nullmodem.kbuild import BuiltModule, Progress, Stage
from nullmodem.kernel.hooks import ModuleState
from nullmodem.kernel.load_map import LoadedSection
from nullmodem.kernel.modules import LoadedModule
from nullmodem.kernel.regions import ModuleRegion, RegionKind
from nullmodem.session.cache import CacheStatistics
from nullmodem.session.events import EventBus
from nullmodem.session.model import Client, Module, ModuleProblem, Said, State, Stop, Stopped, StopReason
from nullmodem.symbols.module_file import ModuleSection
from nullmodem.symbols.ranges import AddressRange
from nullmodem.targets.target import ExecResult
from nullmodem.wire.meter import Use, WireCost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TEXT = 0xFFFFFFFFC0002000
STOP = Stop(7, StopReason.BREAKPOINT, 5, 200, TEXT)

USED = Use(WireCost(300, 4000, 20), WireCost(30, 400, 2), WireCost(150, 2000, 10), 0.25, 115200)
"""What a pretended session's wire was used for."""


def module(name: str, problem: ModuleProblem = ModuleProblem.NONE) -> Module:
    """A loaded module with two sections, one of them gone; without any when there is a problem with its file."""
    region = ModuleRegion(RegionKind.TEXT, AddressRange(TEXT, TEXT + 0x1000))
    loaded = LoadedModule(name, TEXT + 0x5000, ModuleState.LIVE, b"id", None, (region,), 0, 0, 0)
    if problem is not ModuleProblem.NONE:
        return Module(loaded, problem=problem, explanation=f"rebuild {name}")
    text = ModuleSection(1, ".text", 0x100, 16, True, True, False, False)  # noqa: FBT003
    init = ModuleSection(2, ".init.text", 0x20, 1, True, True, False, False)  # noqa: FBT003
    return Module(loaded, sections=(LoadedSection(text, TEXT, True), LoadedSection(init, 8, False)))  # noqa: FBT003


class Live:
    """The session of the machine that is not there."""

    def __init__(self) -> None:
        self.events = EventBus()
        self.state = State.RUNNING
        self.stop: Stop | None = None
        self.loaded: tuple[Module, ...] = (module("simple"), module("stale", ModuleProblem.MISMATCH))
        self.attached: tuple[Client, ...] = (Client("gdb#1", "gdb", waiting=True, holds_lease=True),)
        self.subscribe = self.events.subscribe
        self.unattended: list[str] = []

    @property
    def is_stopped(self) -> bool:
        return self.state is State.STOPPED

    @property
    def is_running(self) -> bool:
        return self.state is State.RUNNING

    def describe(self, address: int) -> str:
        return f"simple:simple_init+{address - TEXT:#x}" if address != TEXT else "simple:simple_init"

    def modules(self) -> tuple[Module, ...]:
        return self.loaded

    def module(self, name: str) -> Module:
        for each in self.loaded:
            if each.name == name:
                return each
        msg = f"no module {name!r} is loaded"
        raise UsageError(msg, hint="Loaded modules: simple, stale.")

    def run_kdb(self, command: str) -> str:
        if not self.is_stopped:
            msg = "cannot run a kdb command: the target is running"
            raise StateError(msg, state="running", hint="Interrupt it first.")
        return f"{command}: kdb says\n" if command != "nothing" else ""

    def say(self, text: str) -> None:
        self.events.publish(Said(text))

    def somebody_knows(self) -> None:
        self.unattended.append("known")

    def leave_unattended(self) -> None:
        self.unattended.append("left")

    def halt(self) -> None:
        """The target stops, and everybody hears of it."""
        self.state, self.stop = State.STOPPED, STOP
        self.events.publish(Stopped(STOP))

    def status(self) -> Status:
        where = self.describe(self.stop.pc) if self.stop and self.is_stopped else ""
        return Status(
            self.state, self.stop, where, 0, self.attached, len(self.loaded), 2, 0x1000000, "/k/vmlinux",
            USED, CacheStatistics(9, 1, 900, 100), self.events.said,
        )  # fmt: skip


@dataclass
class Machine:
    """``act`` stands for what a command does: it gets the name of the verb and where output goes, and returns the
    exit status. ``error`` is raised by every verb that would do something.
    """

    live: Live = field(default_factory=Live)
    act: Callable[[str, Callable[[bytes], None]], int] = lambda _verb, _out: 0
    error: Exception | None = None
    known: tuple[str, ...] = ("simple",)
    well: bool = True
    asked: threading.Event = field(default_factory=threading.Event)
    diary: list[tuple[object, ...]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def _note(self, *what: object) -> None:
        self.diary.append(what)
        if self.error is not None:
            raise self.error

    def _command(self, verb: str, on_output: Callable[[bytes], None] = lambda _data: None) -> RunningCommand:
        def execute() -> ExecResult:
            return ExecResult(verb, self.act(verb, on_output), b"")

        return RunningCommand(self.live, execute, cancel=self.cancelled.set)  # type: ignore[arg-type]

    def holder(self) -> str:
        return "gdb"

    def build(self, path: Path, progress: Callable[[Progress], None]) -> BuiltModule:
        self._note("build", path)
        progress(Progress(Stage.MODULE, None, None, "CC [M]  simple.o"))
        return BuiltModule(path / "simple.ko", "simple", path, (), (), path)

    def load(self, name: str, parameters: Sequence[str], tell: Callable[[str], None]) -> RunningCommand:
        self._note("load", name, tuple(parameters))
        tell("copying")
        return self._command("load")

    def unload(self, name: str, *, force: bool) -> RunningCommand:
        self._note("unload", name, force)
        return self._command("unload")

    def reload(self, name: str, progress: Callable[[Progress], None], tell: Callable[[str], None]) -> RunningCommand:
        self._note("reload", name)
        tell("copying")
        progress(Progress(Stage.MODULE, 0.5, 2.0, "LD [M]  simple.ko"))
        return self._command("reload")

    def answers(self, seconds: float) -> bool:
        self._note("answers", seconds)
        self.asked.set()
        return self.well

    def interrupt(self) -> Stop:
        self._note("interrupt")
        self.live.halt()
        return STOP

    def continue_target(self, *, force: bool) -> str:
        self._note("continue", force)
        if not force:
            msg = "cannot continue: gdb holds the target"
            raise LeaseError(msg, holder="gdb", hint="Continue it there, or take it away with --force.")
        self.live.state = State.RUNNING
        return "gdb"

    def execute(self, command: str | Sequence[str], on_output: Callable[[bytes], None]) -> RunningCommand:
        self._note("execute", command)
        if self.live.is_stopped:
            msg = "cannot run a command: the target is stopped, held by gdb"
            raise StateError(msg, state="stopped", hint="Continue it there, or with `nullmodem continue`.")
        return self._command("execute", on_output)

    def push(self, file: Path, destination: str | None, tell: Callable[[str], None]) -> str:
        self._note("push", file, destination)
        tell("copying")
        return f"{destination or '/host'}/{file.name}"


__all__ = ["STOP", "TEXT", "Live", "Machine", "module"]
