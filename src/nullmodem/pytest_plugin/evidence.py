# SPDX-License-Identifier: Apache-2.0
"""What a failed test's report says of the kernel, gathered while that stands where it failed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.api.facts import load_map_facts
from nullmodem.api.oops import decoder_of_session, show_decoded, shown_path
from nullmodem.api.text import load_map_text
from nullmodem.errors import NullmodemError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nullmodem.api.oops import Trouble
    from nullmodem.frontends.python.frame import Frame
    from nullmodem.frontends.python.stop import Stop
    from nullmodem.pytest_plugin.lab import Bench
    from nullmodem.session.model import Module

Section = tuple[str, str]

FRAMES: Final = 20
VARIABLE_LINES: Final = 24
AROUND: Final = 2
"""Source lines shown before and behind the one a frame stands at."""

_LONGEST_CONSOLE: Final = 400
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._-]+")


def stack(stop: Stop) -> Section:
    """Where the target stands and why, each frame with its variables and source."""
    title = "kernel stack at the failure"
    try:
        frames = list(stop.stack)
        shown = [_frame(frame) for frame in frames[:FRAMES]]
        if len(frames) > FRAMES:
            shown.append(f"… and {len(frames) - FRAMES} more")
    except NullmodemError as error:
        shown = [f"(the stack cannot be shown: {error.message})"]
    return title, "\n".join([f"stopped ({stop.reason.value}) at {stop.describe()}", *shown])


def _frame(frame: Frame) -> str:
    described = frame.describe()
    if frame.file is None or frame.line is None:
        return described
    first, *variables = described.replace(frame.file, shown_path(frame.file)).splitlines()
    if len(variables) > VARIABLE_LINES:
        variables[VARIABLE_LINES:] = [f"    … {len(variables) - VARIABLE_LINES} lines more"]
    return "\n".join([first, *_source(Path(frame.file), frame.line), *variables])


def _source(file: Path, line: int) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    first = max(1, line - AROUND)
    excerpt = lines[first - 1 : line + AROUND]
    return [f"  {'>' if number == line else ' '} {number:5} {text}" for number, text in enumerate(excerpt, first)]


def console(text: str) -> Section:
    """What the console has shown since the test began."""
    lines = text.splitlines()
    if len(lines) > _LONGEST_CONSOLE:
        lines = [f"… {len(lines) - _LONGEST_CONSOLE} lines before", *lines[-_LONGEST_CONSOLE:]]
    return "kernel console since the test began", "\n".join(lines) or "(nothing)"


def troubles(bench: Bench, found: Sequence[Trouble], before: Sequence[Module]) -> list[Section]:
    """Each report of the kernel's, with source lines. ``before``: the modules that were loaded when it was made."""
    if not found:
        return []
    try:
        decoder = decoder_of_session(bench.machine.live, before)
    except NullmodemError as error:
        return [("kernel report", f"(it cannot be decoded: {error.message})")]
    return [(f"kernel report: {trouble.headline}", show_decoded(trouble, decoder)) for trouble in found]


def load_maps(modules: Sequence[Module]) -> list[Section]:
    """Where modules are, or were."""
    texts = [load_map_text(load_map_facts(module)) for module in modules]
    return [("load map", "\n\n".join(text.rstrip() for text in texts))] if texts else []


def keep(bench: Bench, name: str, console_text: str, directory: Callable[[], Path]) -> tuple[list[Section], list[Path]]:
    """Copy the wire's recording, and the console's text, to where they stay after the machine has gone."""
    place = directory()
    stem = _UNFIT.sub("_", name).strip("_")[-100:]
    kept = []
    lines = []
    try:
        recording = _free(place / f"{stem}.rec")
        shutil.copyfile(bench.recording, recording)
        kept.append(recording)
        lines.append(f"{recording}   (nullmodem replay shows its stops again)")
        text = _free(place / f"{stem}.console.txt")
        text.write_text(console_text + "\n", encoding="utf-8")
        kept.append(text)
        lines.append(str(text))
    except OSError as error:
        lines.append(f"(nothing more could be kept in {place}: {error.strerror})")
    return [("kernel attachments", "\n".join(lines))], kept


def _free(path: Path) -> Path:
    """A path that no earlier failure of the same test has."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{number}-{path.name}")
    return free
