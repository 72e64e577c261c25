# SPDX-License-Identifier: Apache-2.0
"""The nouns of a session: states, stops, modules as clients see them. Frozen, so they may cross threads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.kernel.load_map import LoadedSection
    from nullmodem.kernel.modules import LoadedModule
    from nullmodem.symbols.module_file import ModuleFile
    from nullmodem.symbols.ranges import AddressRange


class State(Enum):
    """What the target does, as far as the session knows."""

    DISCONNECTED = "disconnected"
    RUNNING = "running"
    STOPPED = "stopped"
    LOST = "lost"


class StopReason(Enum):
    """Why the target stands still."""

    ATTACHED = "attached"
    BREAKPOINT = "breakpoint"
    HARDWARE_BREAKPOINT = "hardware breakpoint"
    WATCHPOINT = "watchpoint"
    STEP = "step"
    INTERRUPT = "interrupt"
    MODULE_LOAD = "module load"
    TRAP = "breakpoint in the code"
    FAULT = "fault"
    TROUBLE = "trouble in the session"


class Access(Enum):
    """What a watchpoint waits for."""

    WRITE = "watch"
    READ = "rwatch"
    ACCESS = "awatch"


@dataclass(frozen=True, slots=True)
class Watched:
    """The data that was touched: the address as the client asked for it."""

    access: Access
    address: int


@dataclass(frozen=True, slots=True)
class Stop:
    """One visible stop. ``number`` rises by one with each; a client that has seen 7 and is shown 9 has missed one.

    ``signal`` is gdb's number (5 SIGTRAP, 2 SIGINT, 11 SIGSEGV). ``thread`` is a pid, or the id of a CPU's idle task
    (see `session.threads`). ``note`` is one line for the user, or empty.
    """

    number: int
    reason: StopReason
    signal: int
    thread: int
    pc: int
    watched: Watched | None = None
    module: str = ""
    note: str = ""

    def is_fault_at(self, pc: int) -> bool:
        """Whether the target stopped for a fault, and that at ``pc``."""
        return self.reason is StopReason.FAULT and self.pc == pc


@dataclass(frozen=True, slots=True)
class Thread:
    """One entry of the thread view. ``cpu`` is None for a task that runs on none. ``stands`` is false for a processor
    that did not stop with the others."""

    id: int
    name: str
    cpu: int | None = None
    pid: int | None = None
    stands: bool = True


class ModuleProblem(Enum):
    """Why a loaded module has no symbols here."""

    NONE = ""
    NO_FILE = "no file found"
    MISMATCH = "the file is another build"
    BROKEN = "the file cannot be used"
    MISPLACED = "the file does not fit the addresses"


@dataclass(frozen=True, slots=True)
class Module:
    """One load of a module: what the kernel says, and the file it was verified against.

    ``instance`` is the private copy of the file that gdb reads; its path is new with every load, because gdb tells
    libraries apart by name alone. ``freed`` is the memory its init sections had, once the kernel has taken it back.
    """

    loaded: LoadedModule
    file: ModuleFile | None = None
    instance: Path | None = None
    sections: tuple[LoadedSection, ...] = ()
    freed: tuple[AddressRange, ...] = ()
    problem: ModuleProblem = ModuleProblem.NONE
    explanation: str = ""

    @property
    def name(self) -> str:
        return self.loaded.name

    def in_memory(self, section: LoadedSection) -> bool:
        """Whether one of `sections` is in memory now; those of init are not once the kernel has taken theirs back."""
        return section.present and not any(section.address in freed for freed in self.freed)

    def describe(self, address: int) -> str:
        """``module:function+0x12``, or with the section's name where no symbol covers the address."""
        for section in self.sections:
            if not section.present or address not in section.range:
                continue
            offset = address - section.address
            symbol = self.file.symbol_at(section.section.name, offset) if self.file else None
            if symbol is not None:
                offset -= symbol.offset
            name = symbol.name if symbol is not None else section.section.name
            return f"{self.name}:{name}+{offset:#x}" if offset else f"{self.name}:{name}"
        return f"{self.name}:{address:#x}"


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody attached to the session: ``name`` says who in an error message, ``seen_stop`` is the number of the last
    stop that it was told of."""

    id: str
    name: str
    waiting: bool = False
    holds_lease: bool = False
    seen_stop: int = 0


class ResumeKind(Enum):
    CONTINUE = "continue"
    STEP = "step"
    RANGE = "range"


@dataclass(frozen=True, slots=True)
class Resume:
    """How a client wants the target to go on. ``start`` and ``end`` bound a range step: it ends outside [start, end).

    ``deliver`` passes the fault that stopped the kernel on to it (gdb's ``C`` with a signal): the kernel oopses.
    ``alone``: the other threads are to stand still during a step. On kgdb they do not; but what they run into is shown
    only when the step has been.
    """

    kind: ResumeKind = ResumeKind.CONTINUE
    start: int = 0
    end: int = 0
    thread: int | None = None
    deliver: bool = False
    alone: bool = False


class Policy(Enum):
    """What becomes of a stopped target whose last client vanishes, or that stops with nobody to see it."""

    RELEASE = "release"
    HOLD = "hold"


class Answer(Enum):
    """What a client that asked to resume has to do next."""

    WAIT = "wait"
    MISSED_STOP = "missed stop"
    MODULES = "modules"


@dataclass(frozen=True, slots=True)
class Resumption:
    """Answer to `Session.resume`. ``after`` is the number of the last stop the client knows of."""

    answer: Answer
    after: int
    stop: Stop | None = None
    held_by: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Event: the target stands still for everyone to see."""

    stop: Stop


@dataclass(frozen=True, slots=True)
class Resumed:
    """Event: the target has gone on from where it stood, for the ``number``-th time."""

    number: int


@dataclass(frozen=True, slots=True)
class ModulesChanged:
    """Event: the list of modules is another. The target waits until the clients that were waiting resume again."""

    generation: int
    stop: Stop


@dataclass(frozen=True, slots=True)
class ModuleLife:
    """Event: a module has come, is live or has gone. The target waits for nobody who hears it from this alone."""

    modules: tuple[Module, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """Event: one line the session has to say to whoever listens."""

    text: str


@dataclass(frozen=True, slots=True)
class Printed:
    """Event: text that a client's breakpoint printed, for that client alone."""

    client: str
    text: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Event: the wire or the machine is gone; nothing works any more."""

    reason: str


Event = Stopped | Resumed | ModulesChanged | ModuleLife | Said | Printed | Lost
