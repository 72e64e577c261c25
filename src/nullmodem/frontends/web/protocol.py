# SPDX-License-Identifier: Apache-2.0
"""What the page's socket speaks: JSON objects, each a typed record. Pure.

::

    page                                    session
                                            {"type": "hello", …}      forget everything: a fresh snapshot follows
                                            {"type": "state", …}  …   pushed as it happens: state, modules, breakpoints,
                                                                      console, timeline, wire
    {"id": 7, "do": "stack", "thread": 12}
                                            {"id": 7, "result": […]}  or {"id": 7, "error": {"message", "next"}}

Addresses are hexadecimal strings. Text of the target is data: the page shows it as text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from nullmodem.api.records import Address, to_json

LONGEST_MESSAGE: Final = 1 << 16
"""Bytes that a page may send at once."""
MOST_PENDING: Final = 32
"""Requests of one page that may wait for their answers; more are refused."""
MOST_UNREAD: Final = 8 * MOST_PENDING
"""Answers that a page may leave unread, refusals among them, before it is hung up on."""


# -- what both are made of ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where code is. ``file`` is empty and ``line`` 0 where no line is known, ``module`` in the kernel itself."""

    function: str
    module: str
    file: str
    line: int
    pc: Address


@dataclass(frozen=True, slots=True)
class StopView:
    """The stop that the target stands at."""

    number: int
    reason: str
    thread: int
    place: Place
    note: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline; one that comes again with the same ``seq`` replaces the first. ``kind`` is load,
    unload, stop, resume, console, oops, said or wire; ``time`` in seconds since 1970; ``stop`` the number of the stop
    it belongs to."""

    seq: int
    time: float
    kind: str
    text: str
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class BreakpointView:
    """A breakpoint of anybody's. ``id`` is 0 for one that is not this page's (``mine``), which cannot be removed.

    ``watches`` says which access to what data, of one that is no place in the code. ``hits`` is null where only its
    owner counts them.
    """

    id: int
    file: str
    line: int
    function: str
    module: str
    address: Address | None
    condition: str
    enabled: bool
    verified: bool
    hits: int | None
    owner: str
    mine: bool
    message: str = ""
    watches: str = ""


# -- pushed ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionView:
    name: str
    target: str
    kernel: str
    arch: str
    wire: str


@dataclass(frozen=True, slots=True)
class Hello:
    """``console`` is what was printed last."""

    session: SessionView
    history: tuple[Entry, ...]
    console: str


@dataclass(frozen=True, slots=True)
class StateView:
    """``state`` is running, stopped or lost; ``by`` has it run last, ``holder`` may have it run now, and nobody else.
    ``mine``: that is this page."""

    state: str
    stop: StopView | None
    by: str
    holder: str
    mine: bool


@dataclass(frozen=True, slots=True)
class SectionView:
    """``kind`` is text, rodata, data, init or other; ``freed``: the kernel has taken its memory back."""

    name: str
    start: Address
    size: int
    kind: str
    freed: bool


@dataclass(frozen=True, slots=True)
class ModuleView:
    """``stale``: the file that was found is another build, so its lines are not known.

    ``load`` tells one load of a module from another; it is empty where no file was found.
    """

    name: str
    state: str
    stale: bool
    sections: tuple[SectionView, ...]
    load: str = ""


@dataclass(frozen=True, slots=True)
class KernelView:
    start: Address
    end: Address


@dataclass(frozen=True, slots=True)
class Modules:
    """``known`` are the names of those that can be loaded."""

    modules: tuple[ModuleView, ...]
    kernel: KernelView
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Breakpoints:
    breakpoints: tuple[BreakpointView, ...]


@dataclass(frozen=True, slots=True)
class ConsoleText:
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    entry: Entry


@dataclass(frozen=True, slots=True)
class UseView:
    """What the wire was used for; ``saved`` are reads that needed no wire."""

    command: str
    bytes_out: int
    bytes_in: int
    trips: int
    saved: int


@dataclass(frozen=True, slots=True)
class Wire:
    """``last``: since the target was last set going; ``utilisation`` from 0 to 1, None for a line without a rate."""

    last: UseView
    total: UseView
    utilisation: float | None


Push = Hello | StateView | Modules | Breakpoints | ConsoleText | Timeline | Wire
_TYPES: Final[dict[type[Push], str]] = {
    Hello: "hello",
    StateView: "state",
    Modules: "modules",
    Breakpoints: "breakpoints",
    ConsoleText: "console",
    Timeline: "timeline",
    Wire: "wire",
}


def encode_push(push: Push) -> str:
    record = to_json(push)
    assert isinstance(record, dict)
    return _json({"type": _TYPES[type(push)], **record})


def _json(record: dict[str, object]) -> str:
    """Letters as they are: escaped, a console's text may be six times as long. Half a surrogate, which the name of a
    file can have, is no letter."""
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="replace").decode()


# -- answers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ThreadView:
    """``task`` is its name; ``state`` is stopped, or running for a processor that did not stop with the others."""

    id: int
    name: str
    cpu: int | None
    task: str
    pid: int | None
    state: str
    current: bool


@dataclass(frozen=True, slots=True)
class FrameView:
    level: int
    function: str
    module: str
    file: str
    line: int
    pc: Address
    inlined: bool


@dataclass(frozen=True, slots=True)
class Variable:
    """``ref`` is what to ask for its children with, as long as the stop lasts; None for one that has none."""

    name: str
    type: str
    value: str
    ref: int | None = None


@dataclass(frozen=True, slots=True)
class RegisterView:
    name: str
    value: Address


@dataclass(frozen=True, slots=True)
class Instruction:
    address: Address
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Source:
    path: str
    text: str
    lines_with_code: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NoSource:
    """``looked`` are the places where the file was looked for; instead there is code."""

    looked: tuple[str, ...]
    disassembly: tuple[Instruction, ...]
    missing: bool = True


@dataclass(frozen=True, slots=True)
class FileView:
    path: str
    module: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A module was loaded or unloaded, or the target has ``stopped`` on the way to it."""

    stopped: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """``holder`` had the target before."""

    holder: str


Answer = (
    tuple[ThreadView, ...]
    | tuple[FrameView, ...]
    | tuple[Variable, ...]
    | tuple[RegisterView, ...]
    | tuple[Instruction, ...]
    | tuple[FileView, ...]
    | Source
    | NoSource
    | BreakpointView
    | Changed
    | Taken
    | dict[str, object]
    | None
)


def encode_answer(id_: int, answer: Answer) -> str:
    result = answer if answer is None or isinstance(answer, dict) else to_json(answer)
    return _json({"id": id_, "result": result})


def encode_error(id_: int | None, message: str, following: str) -> str:
    return _json({"id": id_, "error": {"message": message, "next": following}})
