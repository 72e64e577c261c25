# SPDX-License-Identifier: Apache-2.0
"""What the control socket speaks: JSON lines, each a typed record. Pure but for the stream it is read from.

::

    client                                    session
    {"request": "load", "arguments": {...}}
                                              {"progress": {...}}     any number, while something is built
                                              {"output": {...}}       any number, while a command prints
                                              {"note": {...}}         any number: something to tell the user
                                              {"event": {...}}        any number, to a client that watches
                                              {"result": {...}}       or {"error": {...}}; the last line

One connection carries one request. A client that closes it before the last line has lost interest: a build is given
up, a command is ended.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

from nullmodem.api.facts import LoadMapFacts, ModuleFacts, StopFacts, TargetFacts
from nullmodem.api.failures import Failure
from nullmodem.api.records import from_json, parse_object, to_json
from nullmodem.errors import RemoteProtocolError

VERSION: Final = 1
"""Of this protocol. A client refuses a session that speaks another."""

OUTPUT_CHUNK: Final = 1 << 16
"""Bytes of a command's output in one line, at most."""


# -- requests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GetStatus:
    """→ SessionStatus"""


@dataclass(frozen=True, slots=True)
class GetModules:
    """→ ModuleList"""


@dataclass(frozen=True, slots=True)
class GetLoadMap:
    """→ LoadMapFacts"""

    name: str


@dataclass(frozen=True, slots=True)
class Build:
    """Build what is at an absolute ``path`` and remember it. → Built"""

    path: str


@dataclass(frozen=True, slots=True)
class Load:
    """``through``: to the end, whatever stops come before it. → Done"""

    name: str
    parameters: tuple[str, ...] = ()
    through: bool = False


@dataclass(frozen=True, slots=True)
class Unload:
    """→ Done"""

    name: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class Reload:
    """→ Done"""

    name: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """→ StopFacts"""


@dataclass(frozen=True, slots=True)
class Continue:
    """→ Continued"""

    force: bool = False


@dataclass(frozen=True, slots=True)
class Execute:
    """Several words are given to the target's shell quoted, one word as it is. → Exited"""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskKdb:
    """Have the kernel's kdb run a command that looks at the stopped target; what it prints is output. → Exited"""

    command: str


@dataclass(frozen=True, slots=True)
class Record:
    """Record the line to a new ``file``, absolute, until the client closes its end. → Exited"""

    file: str


@dataclass(frozen=True, slots=True)
class ServeWeb:
    """Serve a page for a browser until the client closes its end; the first note is its address. → Exited

    ``port`` 0 is a free one.
    """

    port: int = 0


@dataclass(frozen=True, slots=True)
class Push:
    """``file`` is absolute; ``destination`` empty for the shared directory. → Pushed"""

    file: str
    destination: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """Tell what happens from now on, until the client goes or the session ends. → Ending"""


@dataclass(frozen=True, slots=True)
class End:
    """End the session. → Ending; the connection closes when it has ended."""


Request = (
    GetStatus
    | GetModules
    | GetLoadMap
    | Build
    | Load
    | Unload
    | Reload
    | Interrupt
    | Continue
    | Execute
    | Push
    | AskKdb
    | Record
    | ServeWeb
    | Watch
    | End
)

REQUESTS: Final[dict[str, type[Request]]] = {
    "status": GetStatus,
    "modules": GetModules,
    "loadmap": GetLoadMap,
    "build": Build,
    "load": Load,
    "unload": Unload,
    "reload": Reload,
    "interrupt": Interrupt,
    "continue": Continue,
    "exec": Execute,
    "push": Push,
    "kdb": AskKdb,
    "record": Record,
    "web": ServeWeb,
    "watch": Watch,
    "stop": End,
}
_NAMES: Final = {kind: name for name, kind in REQUESTS.items()}


# -- answers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """The session, and the target it holds. ``module`` is empty when none was named at its start; ``known`` are the
    modules that can be loaded by name, ``gdb`` is what may follow `target remote`.
    """

    name: str
    pid: int
    started: float
    kernel: str
    release: str
    module: str
    known: tuple[str, ...]
    gdb: tuple[str, ...]
    console: str
    target: TargetFacts


@dataclass(frozen=True, slots=True)
class ModuleList:
    modules: tuple[ModuleFacts, ...]


@dataclass(frozen=True, slots=True)
class Built:
    name: str
    file: str


@dataclass(frozen=True, slots=True)
class Done:
    """A command that loads or unloads ``module`` is over, or the target ``stopped`` in the middle of it: it goes on
    when the target does. ``holder`` is the debugger that holds the stop, or empty.
    """

    module: str
    stopped: StopFacts | None = None
    holder: str = ""


@dataclass(frozen=True, slots=True)
class Continued:
    """``ran``: it ran already. ``taken_from`` is the debugger that held the stop, or empty."""

    ran: bool
    taken_from: str = ""


@dataclass(frozen=True, slots=True)
class Exited:
    """A command ended. ``code`` is its exit status, 0 to 255."""

    code: int


@dataclass(frozen=True, slots=True)
class Pushed:
    """Where the file is on the target."""

    path: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The session ends; ``pid`` was its process."""

    pid: int


Result = SessionStatus | ModuleList | LoadMapFacts | Built | Done | StopFacts | Continued | Exited | Pushed | Ending


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """A build goes on; the fields are those of kbuild's Progress."""

    stage: str
    fraction: float | None
    seconds_left: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class OutputPart:
    """A piece of what a command prints."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """One line for the user, while he waits."""

    text: str


class Happened(Enum):
    """``WATCHING`` comes first: whatever happens after it is told."""

    WATCHING = "watching"
    STOPPED = "stopped"
    RESUMED = "resumed"
    MODULES = "modules"
    SAID = "said"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """``kind`` is a `Happened`'s value, ``text`` what was said or why it is lost, ``resumes`` as in `TargetFacts`."""

    kind: str
    stop: StopFacts | None = None
    resumes: int = 0
    text: str = ""


# -- lines -----------------------------------------------------------------------------------------------------------

T = TypeVar("T")


def encode_request(request: Request) -> bytes:
    return _line({"request": _NAMES[type(request)], "arguments": to_json(request)})


def parse_request(line: bytes) -> Request:
    """Raises RemoteProtocolError for anything that is not exactly a request."""
    match parse_object(line):
        case {"request": str(name), "arguments": arguments, **others} if not others:
            if name not in REQUESTS:
                raise RemoteProtocolError(f"there is no request {name[:40]!r}")
            return from_json(REQUESTS[name], arguments)
    raise RemoteProtocolError("a request has a name and arguments, and nothing else")


Message = BuildProgress | OutputPart | Note | SessionEvent | Failure | Result


def encode_message(message: Message) -> bytes:
    match message:
        case BuildProgress():
            name = "progress"
        case OutputPart():
            name = "output"
        case Note():
            name = "note"
        case SessionEvent():
            name = "event"
        case Failure():
            name = "error"
        case _:
            name = "result"
    return _line({name: to_json(message)})


def parse_message(line: bytes, result: type[T]) -> BuildProgress | OutputPart | Note | SessionEvent | Failure | T:
    """A line from the session, whose last one is a ``result``. Raises RemoteProtocolError."""
    match list(parse_object(line).items()):
        case [("progress", value)]:
            return from_json(BuildProgress, value)
        case [("output", value)]:
            return from_json(OutputPart, value)
        case [("note", value)]:
            return from_json(Note, value)
        case [("event", value)]:
            return from_json(SessionEvent, value)
        case [("error", value)]:
            return from_json(Failure, value)
        case [("result", value)]:
            return from_json(result, value)
    msg = "a message is one of progress, output, note, event, error and result"
    raise RemoteProtocolError(msg)


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
