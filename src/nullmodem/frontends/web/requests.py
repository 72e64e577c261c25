# SPDX-License-Identifier: Apache-2.0
"""What a page may ask for, and what it said where it is none of that. Pure; everything from outside is checked here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nullmodem.api.records import from_json, parse_object
from nullmodem.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Threads:
    """→ tuple of ThreadView. ``tasks``: those that sleep, too, which costs the wire a lot."""

    tasks: bool = False


@dataclass(frozen=True, slots=True)
class Stack:
    """→ tuple of FrameView"""

    thread: int


@dataclass(frozen=True, slots=True)
class Locals:
    """→ tuple of Variable"""

    thread: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class Children:
    """→ tuple of Variable"""

    ref: int


@dataclass(frozen=True, slots=True)
class Registers:
    """→ tuple of RegisterView"""

    thread: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class GetSource:
    """→ Source or NoSource. ``file`` is one that debug information names, and no other."""

    file: str


@dataclass(frozen=True, slots=True)
class Disassembly:
    """→ tuple of Instruction: the function of a frame"""

    thread: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class Files:
    """→ tuple of FileView"""


@dataclass(frozen=True, slots=True)
class BreakAt:
    """A line of a file, or a function. ``condition``: an expression of the code's names; ``pending``: a module that is
    not known yet may have the place. → BreakpointView"""

    file: str = ""
    line: int = 0
    function: str = ""
    condition: str = ""
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """→ null"""

    breakpoint: int


@dataclass(frozen=True, slots=True)
class Continue:
    """→ null"""


@dataclass(frozen=True, slots=True)
class Next:
    """→ null, when the step is over"""


@dataclass(frozen=True, slots=True)
class Step:
    """→ null, when the step is over"""


@dataclass(frozen=True, slots=True)
class Finish:
    """→ null, when the frame has returned"""


@dataclass(frozen=True, slots=True)
class Pause:
    """→ null, when the target was asked to stop"""


@dataclass(frozen=True, slots=True)
class Take:
    """Take the target from who holds it. → Taken"""


@dataclass(frozen=True, slots=True)
class Type:
    """Type on the target's console, as it is. → null"""

    text: str


@dataclass(frozen=True, slots=True)
class Load:
    """→ Changed"""

    name: str


@dataclass(frozen=True, slots=True)
class Unload:
    """→ Changed"""

    name: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was seen at a stop. → an object: number, reason, thread, place, stack, locals by level"""

    stop: int


Request = (
    Threads
    | Stack
    | Locals
    | Children
    | Registers
    | GetSource
    | Disassembly
    | Files
    | BreakAt
    | Remove
    | Continue
    | Next
    | Step
    | Finish
    | Pause
    | Take
    | Type
    | Load
    | Unload
    | Recorded
)

REQUESTS: Final[dict[str, type[Request]]] = {
    "threads": Threads,
    "stack": Stack,
    "locals": Locals,
    "children": Children,
    "registers": Registers,
    "source": GetSource,
    "disassembly": Disassembly,
    "files": Files,
    "break_at": BreakAt,
    "remove": Remove,
    "continue": Continue,
    "next": Next,
    "step": Step,
    "finish": Finish,
    "pause": Pause,
    "take": Take,
    "type": Type,
    "load": Load,
    "unload": Unload,
    "recorded": Recorded,
}


class BadRequest(Exception):
    """It is no request; ``id`` is what it calls itself, as far as that can be told."""

    def __init__(self, message: str, id_: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.id = id_


def parse_request(text: str | bytes) -> tuple[int, Request]:
    """A request and its number. Raises BadRequest for anything that is not exactly one."""
    id_: int | None = None
    try:
        record = parse_object(text)
        id_ = _number(record.pop("id", None))
        return id_, from_json(_kind(record.pop("do", None)), record)
    except RemoteProtocolError as error:
        raise BadRequest(error.message, id_) from None


def _number(given: object) -> int:
    if type(given) is not int or not 0 <= given < 1 << 53:
        raise RemoteProtocolError("a request has an id, a number below 2**53")
    return given


def _kind(name: object) -> type[Request]:
    if not isinstance(name, str) or name not in REQUESTS:
        raise RemoteProtocolError(f"there is no request {str(name)[:40]!r}")
    return REQUESTS[name]
