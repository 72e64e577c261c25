# SPDX-License-Identifier: Apache-2.0
"""Showing a build on the terminal: a bar with the time left, or plain lines where there is no terminal."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from rich.markup import escape
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.progress import Task

    from nullmodem.kbuild import Progress, ProgressCallback

_INTERRUPTED: Final = 130
_LINE_EVERY: Final = 0.1  # without a terminal: a line for every tenth of the whole


@contextmanager
def building(console: Console) -> Iterator[ProgressCallback]:
    """Show the progress of what is built inside, on ``console``; the callback to give to the build.

    Ctrl-C ends the program with exit code 130 and one line, after the build has cleaned up; a termination signal does
    the same with the code a shell expects.
    """
    previous = {number: signal.signal(number, _terminate) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        if console.is_terminal:
            with Bar(*_columns(), console=console, transient=True) as bar:
                yield _BarDisplay(bar)
        else:
            yield _LineDisplay(console)
    except KeyboardInterrupt:
        console.print("nullmodem: interrupted; nothing half-built was kept", highlight=False)
        raise SystemExit(_INTERRUPTED) from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _terminate(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def time_left(seconds: float | None) -> str:
    """In words, as exact as an estimate deserves; empty when unknown."""
    if seconds is None:
        return ""
    if seconds < 5:
        return "a few seconds left"
    if seconds < 60:
        return f"about {5 * round(seconds / 5)} s left"
    if seconds < 600:
        return f"about {round(seconds / 30) / 2:g} min left"
    return f"about {round(seconds / 60)} min left"


class _TimeLeft(ProgressColumn):
    """Counts down between reports, so that a minute of linking does not look like a hang."""

    def render(self, task: Task) -> Text:
        left: float | None = task.fields["left"]
        if left is not None:
            left -= time.monotonic() - task.fields["at"]
        return Text(time_left(left), style="cyan")


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[percent]}"),
        _TimeLeft(),
        TextColumn("[dim]{task.fields[detail]}", markup=True),
    )


class _BarDisplay:
    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def __call__(self, progress: Progress) -> None:
        if self._task is None:
            self._task = self._bar.add_task("", total=1.0, percent="", left=None, at=0.0, detail="")
        self._bar.update(
            self._task,
            description=progress.stage.value,
            completed=progress.fraction or 0.0,
            percent="" if progress.fraction is None else f"{progress.fraction:>4.0%}",
            left=progress.seconds_left,
            at=time.monotonic(),
            detail=escape(progress.detail.rpartition("/")[2]),
        )


class _LineDisplay:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: tuple[object, int] | None = None

    def __call__(self, progress: Progress) -> None:
        now = (progress.stage, int((progress.fraction or 0.0) / _LINE_EVERY))
        if now == self._shown:
            return
        self._shown = now
        parts = [f"{progress.fraction:.0%}" if progress.fraction else "", time_left(progress.seconds_left)]
        facts = ", ".join(part for part in parts if part)
        line = f"{progress.stage.value}: {facts}" if facts else progress.stage.value
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
