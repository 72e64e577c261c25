# SPDX-License-Identifier: Apache-2.0
"""A recording: every byte of a line, with its time and direction. The format, and reading it. No clock, no line.

::

    {"format": "nullmodem-recording", "version": 1, "started": "2026-11-26T19:30:00Z", "arch": "x86_64", …}
    [0.000112, ">", "$?#3f"]
    [0.001347, "<", "+$S05#b8"]
    [4.200000, "!", "break"]

Lines of JSON. The first is the header; each other one says, in seconds since the start, what went to the target
(``>``), what came from it (``<``), or what else was done to the line (``!``). A character stands for the byte of its
number, U+0000 to U+00FF. A last line without its end was being written when the recorder died; it is left out.
"""

from __future__ import annotations

import enum
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FORMAT: Final = "nullmodem-recording"
VERSION: Final = 1
LINE_LIMIT: Final = 1 << 20
"""Characters in a line, at most: six for a byte that JSON escapes, and no entry is longer than one read."""


class Direction(enum.StrEnum):
    TO_TARGET = ">"
    FROM_TARGET = "<"
    EVENT = "!"


@dataclass(frozen=True, slots=True)
class Entry:
    """``seconds`` since the recording began. ``data`` of an event is its name."""

    seconds: float
    direction: Direction
    data: bytes

    def encode(self) -> str:
        """Return its line."""
        return f'[{self.seconds:.6f}, "{self.direction.value}", {json.dumps(self.data.decode("latin-1"))}]\n'


@dataclass(frozen=True, slots=True)
class Header:
    """``started`` in UTC as ISO 8601 has it; ``arch`` as `stub.arch` names processors; ``about``, whatever else a
    reader may want to know: which kernel, which wire, recorded by whom.
    """

    started: str
    arch: str
    about: dict[str, str] = field(default_factory=dict)

    def encode(self) -> str:
        """Return its line."""
        fixed = {"format": FORMAT, "version": VERSION, "started": self.started, "arch": self.arch}
        return json.dumps({**self.about, **fixed}) + "\n"


@dataclass(frozen=True, slots=True)
class Recording:
    """What was read from a file; ``cut`` tells that its last line was not whole."""

    header: Header
    entries: tuple[Entry, ...]
    cut: bool = False


def read_recording(path: Path) -> Recording:
    """Raises UsageError for a file that cannot be read or is no recording; it names the line."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return parse_recording(iter(lambda: file.readline(LINE_LIMIT), ""), str(path))
    except OSError as error:
        raise UsageError(f"cannot read the recording {path}: {error.strerror}") from error


def parse_recording(lines: Iterable[str], name: str) -> Recording:
    """Read a recording line by line; ``name`` stands for it in an error. Raises UsageError."""
    parsed = _Lines(name)
    entries = []
    header = None
    for line in parsed.whole(lines):
        if header is None:
            header = parsed.header(line)
        else:
            entries.append(parsed.entry(line))
    if header is None:
        raise parsed.wrong("it is empty")
    return Recording(header, tuple(entries), parsed.cut)


class _Lines:
    """Where in a file we are, to say so in an error."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0
        self.cut = False

    def wrong(self, reason: str) -> UsageError:
        where = f"line {self._number}: " if self._number else ""
        return UsageError(f"{self._name} is not a recording of nullmodem's: {where}{reason}")

    def whole(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._number += 1
            if line.endswith("\n"):
                yield line
            elif len(line) >= LINE_LIMIT:
                raise self.wrong(f"it has more than {LINE_LIMIT} characters")
            else:
                self.cut = True

    def header(self, line: str) -> Header:
        match self._json(line):
            case {"format": str(kind), "version": int(version)} if kind == FORMAT and version != VERSION:
                raise self.wrong(f"it is of version {version}, and this nullmodem reads version {VERSION}")
            case {"format": str(kind), "started": str(at), "arch": str(arch), **rest} if kind == FORMAT:
                return Header(at, arch, {str(key): value for key, value in rest.items() if isinstance(value, str)})
        raise self.wrong("it does not begin with a recording's header")

    def entry(self, line: str) -> Entry:
        match self._json(line):
            case [float() | int() as seconds, str(mark), str(text)] if mark in set(Direction):
                try:
                    return Entry(self._seconds(seconds), Direction(mark), text.encode("latin-1"))
                except UnicodeEncodeError:
                    raise self.wrong("it holds a character that is no byte") from None
        raise self.wrong("it is no entry")

    def _seconds(self, number: float) -> float:
        try:
            seconds = float(number)
        except OverflowError:  # an integer may have any number of digits
            seconds = math.inf
        if not (math.isfinite(seconds) and seconds >= 0):  # Python's JSON knows NaN and infinity
            raise self.wrong("its time is none")
        return seconds

    def _json(self, line: str) -> object:
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError):
            raise self.wrong("it is not JSON") from None
        return value
