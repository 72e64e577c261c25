# SPDX-License-Identifier: Apache-2.0
"""What a program wants the target stopped at: a place or a piece of data, and on which condition."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from nullmodem.errors import UsageError
from nullmodem.frontends.python.expressions import compile_condition
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session import breakpoints as session

if TYPE_CHECKING:
    from types import TracebackType

    from nullmodem.api.places import Place
    from nullmodem.frontends.python.frame import Frame
    from nullmodem.frontends.python.stop import Stop
    from nullmodem.frontends.python.target import Target

Condition = Callable[["Frame"], Any]


class Breakpoint:
    """One breakpoint or watchpoint of a program. `Target.break_at` and `Target.watch` make them.

    It follows modules: while the module it is in is not loaded it is pending, and whenever that is loaded it is armed
    before the module's init runs. At the end of a ``with`` block it is taken back.

    Attributes:
        where: the place as it was asked for.
        hits: how often the target has stopped here with the condition true, or failing.
        enabled: whether it counts; set it as you like, it is looked at at every hit.
    """

    def __init__(
        self,
        target: Target,
        where: str,
        place: Place | None,
        condition: Condition | str | None,
        points: frozenset[session.Breakpoint] = frozenset(),
    ) -> None:
        """Of a place, or of ``points`` that do not move: data that is watched."""
        self.where = where
        self.place = place
        self.points = points
        self.module_instance: object = None
        self.hits = 0
        self.enabled = True
        self.armed: frozenset[session.Breakpoint] = frozenset()
        self._target = target
        self._condition = compile_condition(condition) if isinstance(condition, str) else condition
        if self._condition is not None and not callable(self._condition):
            raise UsageError(f"{condition!r} is no condition", hint="Give a function of the frame, or text.")

    def __repr__(self) -> str:
        where = ", ".join(f"{address:#x}" for address in self.addresses) or "pending"
        return f"<Breakpoint {self.where}: {where}>"

    @property
    def addresses(self) -> tuple[int, ...]:
        """Where it is armed now; empty while it is pending. A line, or an inlined function, can be in many places."""
        return tuple(sorted({armed.address for armed in self.armed}))

    @property
    def pending(self) -> bool:
        """Whether nothing of it is loaded yet."""
        return not self.armed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """At the end of a ``with`` block it is deleted."""
        self.delete()

    def wait(self, after: Callable[[], object] | None = None, timeout: float = 60.0) -> Stop:
        """Let the target run, if it stands, and return the next stop here.

        A stop here that no `wait` has returned yet is returned at once. ``after`` is called when the target runs: what
        is to lead here.

        Args:
            after: most often a `Target.start`. A `Target.run` or `Target.load` in it need not end.
            timeout: in seconds.

        Raises:
            WaitTimeout: the target did not come here in time; it runs.
            UnexpectedStop: it stopped for something else, and stands there.
            TargetLost: it is gone.
        """
        return self._target.wait(after, timeout, for_=self)

    def delete(self) -> None:
        """Take it back. Safe to call twice."""
        self._target.debugger.remove(self)

    def holds(self, frame: Callable[[], Frame]) -> bool:
        """Whether the target, which has come here, is to stop. Raises what the condition raises."""
        if not self.enabled:
            return False
        holds: Any = False
        try:
            holds = self._condition is None or self._condition(frame())
        except BaseException:
            self.hits += 1  # it has stopped the target as well
            raise
        self.hits += bool(holds)
        return bool(holds)


def execution(address: int, length: int) -> session.Breakpoint:
    """What the session calls a breakpoint in code."""
    return session.Breakpoint(BreakpointKind.SOFTWARE, address, length)
