# SPDX-License-Identifier: Apache-2.0
"""The attributes of a launch or attach configuration: what there is, and what an editor sent of it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(Enum):
    """What an attribute's value is; the words stand in error messages."""

    TEXT = "a string"
    PATH = "a path, as a string"
    FLAG = "true or false"
    NUMBER = "a whole number"
    TEXTS = "a list of strings"
    PATHS = "a list of paths"
    MAP = "an object of strings"


class Request(Enum):
    LAUNCH = "launch"
    ATTACH = "attach"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. ``requests`` are those that take it; ``choices`` are all values there are, if that is so."""

    name: str
    kind: Kind
    summary: str
    default: Any = None
    requests: tuple[Request, ...] = (Request.LAUNCH, Request.ATTACH)
    choices: tuple[str, ...] = ()


_LAUNCH: Final = (Request.LAUNCH,)
_ATTACH: Final = (Request.ATTACH,)

ATTRIBUTES: Final = (
    Attribute(
        "module",
        Kind.PATH,
        "The module to build and load: a directory with a Kbuild or Makefile, a .c file, or a .ko.",
    ),
    Attribute("parameters", Kind.TEXTS, "Parameters to load the module with, each NAME=VALUE.", ()),
    Attribute(
        "stopOnEntry",
        Kind.FLAG,
        "Stop in the module's init; without a module, where the kernel was. With false, only breakpoints stop it.",
        default=True,
    ),
    Attribute(
        "exec",
        Kind.TEXT,
        "A command for the target's shell, run when the module has been loaded: what uses it.",
        "",
    ),
    Attribute("cwd", Kind.PATH, "Where relative paths begin; else the adapter's own directory."),
    Attribute("sourceMap", Kind.MAP, "Where sources are now: each path they were built under, and its new one.", {}),
    Attribute(
        "threads",
        Kind.TEXT,
        "What is shown as threads: the processors with their current tasks, or all tasks.",
        "cpus",
        choices=("cpus", "all"),
    ),
    Attribute("showConsole", Kind.FLAG, "Show the target's console in the debug console.", default=True),
    Attribute("gdb", Kind.PATH, "The gdb to use, 14.1 or newer; else the first one found that is."),
    Attribute("gdbCommands", Kind.TEXTS, "gdb commands to run before it connects.", ()),
    Attribute(
        "session", Kind.TEXT, "What to call the session; for attach without a target, the running session to join.", ""
    ),
    Attribute(
        "kernel",
        Kind.TEXT,
        "The target's kernel: a name from `nullmodem kernel list`, or a build tree.",
        "",
        requests=_LAUNCH,
    ),
    Attribute("cpus", Kind.NUMBER, "How many processors the machine has.", 1, _LAUNCH),
    Attribute("memory", Kind.NUMBER, "How much memory it has, in MiB.", 256, _LAUNCH),
    Attribute("kaslr", Kind.FLAG, "Whether the kernel chooses its addresses itself.", True, _LAUNCH),  # noqa: FBT003
    Attribute("append", Kind.TEXT, "More for the kernel's command line.", "", _LAUNCH),
    Attribute("target", Kind.TEXT, "A line to a kernel that runs, or a name in nullmodem.toml.", "", _ATTACH),
    Attribute("vmlinux", Kind.PATH, "The running kernel's vmlinux.", None, _ATTACH),
    Attribute("modules", Kind.PATHS, "Directories to look for modules' files in.", (), _ATTACH),
    Attribute("buildTree", Kind.PATH, "The kernel's build tree, against which modules are built.", None, _ATTACH),
    Attribute("targetConsole", Kind.TEXT, "The target's console: same, none, or a line of its own.", "", _ATTACH),
    Attribute("breakIn", Kind.TEXTS, "Ways to stop the running kernel, tried in this order.", (), _ATTACH),
    Attribute("debuginfod", Kind.FLAG, "Ask the servers in $DEBUGINFOD_URLS.", False, _ATTACH),  # noqa: FBT003
)
"""All there are, in the order in which they are documented."""

_OF_THE_EDITOR: Final = frozenset(
    {"name", "type", "request", "noDebug", "preLaunchTask", "postDebugTask", "internalConsoleOptions", "debugServer",
     "presentation", "serverReadyAction", "suppressMultipleSessionWarning", "port", "host", "modes", "command",
     "command-args", "command-cwd", "command-env", "ensure", "fn", "compile"}
)  # fmt: skip
"""What editors keep in a configuration for themselves (VS Code, nvim-dap, dape) and send along."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What was asked for. ``values`` has every attribute of the request; paths are absolute. ``remarks`` tell what
    was passed over.
    """

    request: Request
    values: Mapping[str, Any]
    remarks: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def parse_configuration(request: Request, given: Mapping[str, Any]) -> Configuration:
    """Raises UsageError, naming the attribute, for a value that is none."""
    known = {attribute.name: attribute for attribute in ATTRIBUTES if request in attribute.requests}
    start = _directory(given.get("cwd"))
    values = {name: _value(known[name], given.get(name), start) for name in known}
    remarks = tuple(_remark(request, name, known) for name in given if name not in known and not _is_foreign(name))
    if request is Request.ATTACH:
        _require_target(values)
    return Configuration(request, values, remarks)


def _directory(given: Any) -> Path:
    if not isinstance(given, str) or not given:
        return Path.cwd()
    directory = Path(given).expanduser().absolute()
    if not directory.is_dir():
        raise UsageError(f"'cwd': there is no directory {directory}")
    return directory


def _is_foreign(name: str) -> bool:
    return name in _OF_THE_EDITOR or name.startswith(("_", ":"))


def _value(attribute: Attribute, given: Any, start: Path) -> Any:
    if given is None:
        return attribute.default
    value = _typed(attribute.kind, given, start)
    if value is None:
        raise UsageError(f"{attribute.name!r} wants {attribute.kind.value}, not {str(given)[:80]!r}")
    if attribute.choices and value not in attribute.choices:
        raise UsageError(f"{attribute.name!r} is one of {', '.join(attribute.choices)}, not {str(given)[:80]!r}")
    return value


def _typed(kind: Kind, given: Any, start: Path) -> Any:
    """None for a value of another kind."""
    match kind, given:
        case (Kind.TEXT, str()) | (Kind.FLAG, bool()):
            return given
        case Kind.NUMBER, int() if not isinstance(given, bool):
            return given
        case Kind.PATH, str():
            return _path(given, start)
        case ((Kind.TEXTS | Kind.PATHS), list()) if all(isinstance(each, str) for each in given):
            return tuple(given if kind is Kind.TEXTS else (_path(each, start) for each in given))
        case Kind.MAP, dict() if all(isinstance(each, str) for each in given.values()):
            return given
    return None


def _path(text: str, start: Path) -> Path | None:
    return start / Path(text).expanduser() if text else None


def _require_target(values: Mapping[str, Any]) -> None:
    if values["target"] or not any(values[name] for name in ("vmlinux", "modules", "buildTree", "breakIn")):
        return
    raise UsageError(
        "the configuration describes a target and names none",
        hint="Give 'target', a line to it or a name in nullmodem.toml. Without, a running session is joined.",
    )


def _remark(request: Request, name: str, known: Mapping[str, Attribute]) -> str:
    other = next((each for each in ATTRIBUTES if each.name == name), None)
    if other is not None:
        return f"{name!r} is for {other.requests[0].value}, not for {request.value}"
    near = difflib.get_close_matches(name, known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"there is no attribute {name!r}{meant}"
