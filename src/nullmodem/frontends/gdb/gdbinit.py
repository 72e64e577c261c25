# SPDX-License-Identifier: Apache-2.0
"""A `.gdbinit` with the command `rmt`, for people who start gdb themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_SPEED = 115200


@dataclass(frozen=True, slots=True)
class Remote:
    """What `rmt` connects to. ``target`` is what gdb's `target remote` takes; ``speed`` is 0 where a line has none;
    ``file`` is the kernel's symbols, or empty; ``about`` says in a few words what it is.
    """

    target: str
    about: str
    speed: int = 0
    file: str = ""


def parse_remote(text: str, speed: int = DEFAULT_SPEED) -> Remote:
    """A serial device, or HOST:PORT. Raises UsageError for anything else."""
    if any(character.isspace() or not character.isprintable() for character in text):
        raise UsageError(f"{text!r} cannot be given to gdb", hint="A device or HOST:PORT has no blanks in it.")
    if text.startswith("/"):
        return Remote(text, f"the kernel's debugger on {text}", speed)
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise UsageError(f"{text!r} is neither a serial device nor HOST:PORT", hint="For example: /dev/ttyUSB0")
    return Remote(text, f"the kernel's debugger at {text}")


def render(remote: Remote) -> str:
    """The file's text."""
    lines = [f"# Made by `nullmodem gdbinit`. Defines `rmt`, which connects gdb to {remote.about}."]
    if remote.file:
        lines.append(f"file {_quoted(remote.file)}")
    lines.append("define rmt")
    if remote.speed:
        lines.append(f"  set serial baud {remote.speed}")
    lines += [f"  target remote {remote.target}", "end", "document rmt", f"Connect to {remote.about}."]
    if remote.speed:
        lines.append(f"The target must be stopped in kgdb: `gdbstart -s {remote.speed} -t TTY` on it does that.")
    return "\n".join([*lines, "end", ""])


def _quoted(file: str) -> str:
    """As gdb splits words (gdb_buildargv of libiberty): a backslash takes the meaning of the character behind it."""
    return "".join("\\" + character if character in " \t'\"\\" else character for character in file)


def write(path: Path, text: str, *, force: bool) -> None:
    """Write the file. Raises UsageError when there is one already, unless ``force``, or when it cannot be written."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists already", hint="--force overwrites it; --output names another.") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
