# SPDX-License-Identifier: Apache-2.0
"""What is typed into an editor's debug console beside gdb's own commands: nullmodem's, for the running session."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.control_protocol import Done
    from nullmodem.api.remote import RemoteMachine

_GOES_ON: Final = frozenset(
    {"c", "continue", "fg", "n", "next", "s", "step", "si", "stepi", "ni", "nexti", "fin", "finish", "u", "until",
     "advance", "j", "jump", "signal"}
)  # fmt: skip
"""gdb commands that have the target go on. gdb executes them to their end, and nothing else until then, unless they
end with ``&``."""

_USAGE: Final = """nullmodem load NAME|PATH [PARAMETER=VALUE]...
nullmodem unload NAME
nullmodem reload NAME
nullmodem exec COMMAND...
nullmodem modules"""


def in_background(command: str) -> str | None:
    """A command that has the target go on, as one that gdb does not wait for; None for any other."""
    words = command.split()
    if not words or words[0] not in _GOES_ON:
        return None
    return command if words[-1].endswith("&") else f"{command} &"


class Commands:
    """``say`` gets what is printed meanwhile."""

    def __init__(self, remote: RemoteMachine, say: Callable[[str], None]) -> None:
        self._remote = remote
        self._say = say

    def run(self, line: str) -> str:
        """A line that begins with ``nullmodem``; what came of it. Raises UsageError, and what the command raises."""
        try:
            words = shlex.split(line)[1:]
        except ValueError as error:
            raise UsageError(f"{line!r} cannot be read: {error}") from None
        match words:
            case ["load", name, *parameters]:
                if "/" in name or name.endswith((".c", ".ko")):
                    name = self._remote.build(Path(name).expanduser()).name
                return _outcome(self._remote.load(name, parameters, self._note), "is loaded")
            case ["unload", name]:
                return _outcome(self._remote.unload(name, on_note=self._note), "is unloaded")
            case ["reload", name]:
                return _outcome(self._remote.reload(name, on_note=self._note), "is reloaded")
            case ["exec", *command] if command:
                code = self._remote.execute(command, lambda data: self._say(data.decode("utf-8", "replace")))
                return f"exit status {code}" if code else ""
            case ["modules"]:
                return "\n".join(f"{each.name} {each.state} {each.file}" for each in self._remote.modules())
        raise UsageError(f"{line!r} is no command here", hint=_USAGE)

    def _note(self, text: str) -> None:
        self._say(f"nullmodem: {text}\n")


def _outcome(done: Done, text: str) -> str:
    return f"{done.module} {text}" if done.stopped is None else f"stopped at {done.stopped.where}"
