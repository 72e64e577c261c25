# SPDX-License-Identifier: Apache-2.0
"""A prompt for Python, wherever that runs: line editing, a history and completion here, the code there."""

from __future__ import annotations

import contextlib
import os
import readline
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from nullmodem.frontends.cli.program import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HISTORY_LINES = 1000


class Interpreter(Protocol):
    """See `nullmodem.frontends.python.room.Room`."""

    def banner(self) -> str: ...

    def feed(self, source: str) -> bool: ...

    def complete(self, text: str) -> list[str]: ...

    def run_script(self, path: Path, source: str, arguments: Sequence[str]) -> int: ...


def converse(interpreter: Interpreter) -> int:
    """Read and run until the end of the input, or an ``exit()``; its exit code."""
    interactive = sys.stdin.isatty()
    with _editing(interpreter) if interactive else contextlib.nullcontext():
        if interactive:
            click.echo(printable(interpreter.banner()))
        lines: list[str] = []
        while True:
            prompt = ("... " if lines else ">>> ") if interactive else ""
            try:
                lines.append(input(prompt))
                code = _fed(interpreter, lines)
            except EOFError:
                if interactive:
                    click.echo()
                elif lines:  # what is piped need not end in an empty line
                    interpreter.feed("\n".join([*lines, ""]))
                return 0
            except KeyboardInterrupt:
                lines = []
                click.echo("\nKeyboardInterrupt")
            else:
                if code is not None:
                    return code


def _fed(interpreter: Interpreter, lines: list[str]) -> int | None:
    """Have the lines run, and forget them unless more are wanted; the exit code if that was an ``exit()``."""
    try:
        if not interpreter.feed("\n".join(lines)):
            lines.clear()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return None


@contextlib.contextmanager
def _editing(interpreter: Interpreter) -> Iterator[None]:
    found: list[str] = []

    def complete(text: str, state: int) -> str | None:
        if state == 0:
            found[:] = interpreter.complete(text) if text.strip() else ["\t"]
        return found[state] if state < len(found) else None

    history = _history_file()
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    readline.set_history_length(_HISTORY_LINES)
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    try:
        yield
    finally:
        readline.set_completer(None)
        with contextlib.suppress(OSError):  # a history that cannot be kept is no reason to fail
            history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            readline.write_history_file(history)


def _history_file() -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path("~/.local/state").expanduser()
    return base / "nullmodem" / "python_history"
