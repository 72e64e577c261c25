# SPDX-License-Identifier: Apache-2.0
"""Where a user's Python runs: a namespace with a target in it, for a shell line by line or for a whole script.

The names are drgn's own (``prog``, its types and helpers), and ``target``, ``stop``, ``nullmodem``. ``prog`` and
``stop`` are those of the present: they are set anew before everything that is run.
"""

from __future__ import annotations

import code
import contextlib
import rlcompleter
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final, NoReturn

import drgn
from drgn.cli import default_globals

import nullmodem
from nullmodem.errors import NullmodemError
from nullmodem.frontends.python.frame import shown
from nullmodem.frontends.python.tracebacks import without_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nullmodem.frontends.python.target import Target

BANNER: Final = """\
nullmodem {version} with drgn's helpers: target, stop, prog. `help(target)` tells more; Ctrl-D ends.
{where}"""
MOST_COMPLETIONS: Final = 500
INTERRUPTED: Final = 130


class Room:
    """One user's Python on one target. Used by one thread at a time.

    Args:
        target: left to the caller to close.
        write: takes what is displayed and the tracebacks; what the code prints goes to sys.stdout as everywhere.
    """

    def __init__(self, target: Target, write: Callable[[str], None]) -> None:
        self._target = target
        self._write = write
        self.names: dict[str, Any] = default_globals(target.debugger.inspection.program().drgn)
        self.names |= {"nullmodem": nullmodem, "target": target, "exit": _leave, "quit": _leave, "__name__": "__main__"}
        self._interpreter = _Interpreter(self.names, write)
        self._completer = rlcompleter.Completer(self.names)

    def banner(self) -> str:
        """What a shell says first."""
        stop = self._target.stop
        where = "The target runs; target.interrupt() stops it." if stop is None else f"The target {_where(stop)}."
        return BANNER.format(version=nullmodem.__version__, where=where)

    def feed(self, source: str) -> bool:
        """Run one or more lines as typed; whether the statement wants more lines. Raises SystemExit."""
        with self._present():
            return self._interpreter.runsource(source, "<shell>", "single")

    def run_script(self, path: Path, source: str, arguments: Sequence[str]) -> int:
        """Run a whole file; the exit code of whoever runs it."""
        with self._present():
            return run_script(path, source, arguments, self.names, self._write)

    def complete(self, text: str) -> list[str]:
        """What ``text``, a name or names with dots between, may become."""
        found: list[str] = []
        # Completing looks at attributes, and those of a stop that is over raise.
        with self._present(), contextlib.suppress(Exception):
            while len(found) < MOST_COMPLETIONS and (one := self._completer.complete(text, len(found))) is not None:
                found.append(one)
        return found

    def _present(self) -> _Present:
        return _Present(self._target, self.names)


class _Present:
    """While something runs: the program and the stop of now, drgn's default program, and how values are displayed."""

    def __init__(self, target: Target, names: dict[str, Any]) -> None:
        self._target = target
        self._names = names

    def __enter__(self) -> None:
        try:
            self._names["prog"] = self._target.debugger.inspection.program().drgn
            self._names["stop"] = self._target.stop
        except NullmodemError:
            self._names["stop"] = None  # the target is lost: whoever uses it is told
        drgn.set_default_prog(self._names["prog"])

    def __exit__(self, *_exception: object) -> None:
        drgn.set_default_prog(None)


class _Interpreter(code.InteractiveInterpreter):
    """Python's own, with values shown as drgn shows them, and tracebacks of the user's code alone."""

    def __init__(self, names: dict[str, Any], write: Callable[[str], None]) -> None:
        super().__init__(names)
        self._write = write

    def write(self, data: str) -> None:
        self._write(data)

    def runcode(self, code_: Any) -> None:
        before, sys.displayhook = sys.displayhook, self._display
        try:
            exec(code_, self.locals)  # noqa: S102  # this is what a shell does
        except SystemExit:
            raise
        except BaseException as error:
            self._write(told(error))
        finally:
            sys.displayhook = before

    def _display(self, value: object) -> None:
        if value is None:
            return
        self.locals["_"] = value
        self._write(_displayed(value) + "\n")


def _displayed(value: object) -> str:
    if isinstance(value, drgn.Object):
        try:
            return str(value)
        except drgn.FaultError as error:
            return f"{value!r}  # {error}"
        except NullmodemError:
            return shown(value)
    if isinstance(value, (drgn.StackTrace, drgn.Type, drgn.StackFrame, drgn.SourceLocationList)):
        return str(value)
    return repr(value)


def run_script(
    path: Path, source: str, arguments: Sequence[str], names: dict[str, Any], write: Callable[[str], None]
) -> int:
    """Run a file's text with these names; its exit code. An error is told as a traceback of the script's own lines."""
    argv, place = sys.argv, list(sys.path)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.parent))
    try:
        exec(compile(source, str(path), "exec"), names | {"__file__": str(path)})  # noqa: S102  # a user's script
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        write(f"{end.code}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as error:
        write(told(error))
        return error.exit_code if isinstance(error, NullmodemError) else 1
    finally:
        sys.argv, sys.path[:] = argv, place
    return 0


def told(error: BaseException) -> str:
    """An error as Python tells it, with the user's lines of the traceback alone."""
    if isinstance(error, KeyboardInterrupt):
        return "KeyboardInterrupt\n"
    trace = without_ours(error.__traceback__)
    lines = traceback.format_exception(type(error), error, trace, chain=not isinstance(error, NullmodemError))
    return "".join(lines)


def _where(stop: Any) -> str:
    return f"stands ({stop.reason.value}) at {stop.describe()}"


def _leave(code: int | None = None) -> NoReturn:
    """End the shell; the target runs on. Python's own would close the standard input, too."""
    raise SystemExit(code)
