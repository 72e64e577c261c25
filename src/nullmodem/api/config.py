# SPDX-License-Identifier: Apache-2.0
"""``nullmodem.toml``: targets by name, of a project and of a user.

::

    [targets.lab-board]
    wire = "rfc2217:lab:3001?baud=115200"     # as on the command line
    vmlinux = "build/vmlinux"                 # paths are relative to the file
    modules = ["drivers"]
    build-tree = "build"
    console = "same"                          # or "none", or a line of its own
    break-in = ["break", "shell", "ssh:root@board"]

The project's file is the nearest one in the working directory and those above it; the user's is
``$XDG_CONFIG_HOME/nullmodem/nullmodem.toml``. Where both have a target, the project's counts.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nullmodem.api.sessions import NAME
from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE: Final = "nullmodem.toml"
_SIZE_LIMIT: Final = 1 << 20
_TEXTS: Final = ("wire", "vmlinux", "build-tree", "console")
_LISTS: Final = ("modules", "break-in")
_ALLOWED: Final = ", ".join((*_TEXTS, *_LISTS))


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """A named target. Empty, or None, where the file says nothing; paths are absolute. ``source`` is the file."""

    name: str
    source: Path
    wire: str
    vmlinux: Path | None = None
    modules: tuple[Path, ...] = ()
    build_tree: Path | None = None
    console: str = ""
    break_in: tuple[str, ...] = ()


def configured_targets(directory: Path | None = None) -> dict[str, TargetConfig]:
    """Every target that the project around ``directory`` (the working one) and the user have named.

    Raises UsageError that names file, key and what is allowed.
    """
    found: dict[str, TargetConfig] = {}
    for path in (user_file(), project_file(directory or Path.cwd())):
        if path is not None and path.is_file():
            found |= _read(path)
    return found


def configured_target(name: str, directory: Path | None = None) -> TargetConfig:
    """Raises UsageError for a name that no file has, with those there are."""
    targets = configured_targets(directory)
    if name not in targets:
        known = f"Named targets: {', '.join(sorted(targets))}." if targets else f"No target is named in any {FILE}."
        raise UsageError(
            f"{name!r} is neither a line nor a target's name",
            hint=f"{known} A line is serial:PATH, tcp:HOST:PORT, telnet:HOST:PORT, rfc2217:HOST:PORT, unix:PATH or "
            "pty:PATH.",
        )
    return targets[name]


def user_file() -> Path:
    """Where the user's file is, if there is one."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(home) if home.startswith("/") else Path("~/.config").expanduser()
    return base / "nullmodem" / FILE


def project_file(directory: Path) -> Path | None:
    """The nearest file in ``directory`` and above it."""
    absolute = directory.absolute()
    return next((path for place in (absolute, *absolute.parents) if (path := place / FILE).is_file()), None)


def _read(path: Path) -> dict[str, TargetConfig]:
    try:
        with path.open("rb") as file:
            text = file.read(_SIZE_LIMIT + 1)
        if len(text) > _SIZE_LIMIT:
            raise UsageError(f"{path} is larger than {_SIZE_LIMIT} bytes")
        content = tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # besides what is no TOML: a number too long, tables nested too deep
        raise UsageError(f"{path} is not TOML: {error}") from error
    for key in content:
        if key != "targets":
            raise UsageError(f"{path}: {key!r} is unknown", hint="There is one table, [targets.NAME] for each target.")
    targets = content.get("targets", {})
    if not isinstance(targets, dict):
        raise UsageError(f"{path}: targets is not a table", hint="Write [targets.NAME] for each target.")
    return {name: _target(path, name, values) for name, values in targets.items()}


def _target(path: Path, name: str, values: Any) -> TargetConfig:
    where = f"{path}: targets.{name}"
    if not NAME.fullmatch(name):
        raise UsageError(f"{where}: a name has up to 40 letters, digits, '_', '-' and '.'")
    if not isinstance(values, dict):
        raise UsageError(f"{where} is not a table", hint=f"Its keys are: {_ALLOWED}.")
    for key, value in values.items():
        if key not in _TEXTS and key not in _LISTS:
            raise UsageError(f"{where}.{key} is unknown", hint=f"Keys are: {_ALLOWED}.")
        _check(f"{where}.{key}", value, is_list=key in _LISTS)
    if "wire" not in values:
        raise UsageError(f"{where} has no wire", hint='For example wire = "serial:/dev/ttyUSB0?baud=115200".')
    return TargetConfig(
        name=name,
        source=path,
        wire=values["wire"],
        vmlinux=_path(path, where, values, "vmlinux"),
        modules=tuple(_absolute(path, f"{where}.modules", text) for text in values.get("modules", ())),
        build_tree=_path(path, where, values, "build-tree"),
        console=values.get("console", ""),
        break_in=tuple(values.get("break-in", ())),
    )


def _check(where: str, value: Any, *, is_list: bool) -> None:
    if is_list:
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise UsageError(f"{where} is not a list of texts", hint='Write it as ["one", "two"].')
    elif not isinstance(value, str) or not value:
        raise UsageError(f"{where} is not a text", hint='Write it in quotes, "like this".')
    if any("\0" in text for text in value):
        raise UsageError(f"{where} holds a NUL character", hint="No path, line or command can have one.")


def _path(source: Path, where: str, values: Mapping[str, Any], key: str) -> Path | None:
    return _absolute(source, f"{where}.{key}", values[key]) if key in values else None


def _absolute(source: Path, where: str, text: str) -> Path:
    try:
        return source.parent / Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"{where}: {text!r}: {error}", hint="~ is your home directory, ~NAME that of a user."
        ) from error
