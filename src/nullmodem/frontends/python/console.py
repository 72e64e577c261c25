# SPDX-License-Identifier: Apache-2.0
"""The target's console as text for a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import UsageError, WireTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nullmodem.api.machine import Machine
    from nullmodem.targets.console import Console


class ConsoleText:
    """What the target prints: an iterator of lines, from where it was made on, and the text so far.

    ``for line in target.console():`` waits for each line, and ends when the console does.
    """

    def __init__(self, machine: Machine, timeout: float, since: int | None = None) -> None:
        """``timeout``: seconds for each line. ``since``: a `position`; now, if it is not given.

        Raises UsageError for a target without a console.
        """
        console: Console | None = getattr(machine.target, "console", None)
        if console is None:
            raise UsageError("nullmodem has no console of this target", hint="Attach with console=, a line or 'same'.")
        self._console = console
        self._timeout = timeout
        self._position = console.position if since is None else since
        self._rest = b""

    @property
    def position(self) -> int:
        """How many bytes the console has printed: what ``since`` can be given later."""
        return self._console.position

    def text(self, since: int = 0) -> str:
        """What was printed from a position on, as far as it is kept: the last mebibyte."""
        return self._console.text(since)

    def wait(self, pattern: str) -> str:
        """Wait until the regular expression is found in what is printed from here on; what matched.

        Raises WireTimeout with the console's last lines; TargetLost when the target ends.
        """
        return self._console.wait(pattern, self._timeout, since=self._position)[0]

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next whole line. Raises WireTimeout when none comes in time."""
        while b"\n" not in self._rest:
            data, position = self._console.more(self._position, self._timeout)
            if data is None:
                raise WireTimeout(f"the console printed no line for {self._timeout:g} s; it ends with:\n{self._tail()}")
            if not data:
                raise StopIteration
            self._rest += data
            self._position = position
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r").decode(errors="replace")

    def _tail(self) -> str:
        return self._console.tail()
