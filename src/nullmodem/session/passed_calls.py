# SPDX-License-Identifier: Apache-2.0
"""Which functions a debugger steps over, as far as it has shown that.

A debugger that steps over a line asks to run while the pc is in a range, whether its user typed ``next`` or ``step``;
which it was shows at the first call. With ``next`` it has a breakpoint set where the call returns to and continues, and
comes back to the line with another range. As long as it is on its way through that line it would do the same at every
further call of that function, so those need not be reported any more: a loop is then run through in one go.

That holds until the command ends. gdb then lists the threads, which it never does on its way (infrun.c normal_stop).
"""

from __future__ import annotations

from dataclasses import dataclass

from nullmodem.session.model import Resume, ResumeKind, StopReason


@dataclass(frozen=True, slots=True)
class Call:
    """A call that ended a step through a range: the function, where it returns to, the stack pointer before it."""

    function: int
    returns_to: int
    sp: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a client has the target go on from: why it stood there, in which thread, and the call that led there."""

    reason: StopReason
    thread: int | None
    pc: int
    sp: int
    call: Call | None = None


class PassedCalls:
    """What the client that runs the target has shown in its present command."""

    def __init__(self) -> None:
        self._who: tuple[str, int | None] | None = None
        self._passed: set[int] = set()
        self._awaited: Call | None = None
        self._users: dict[str, frozenset[int]] = {}

    @property
    def is_on_its_way(self) -> bool:
        """Whether a function that was called from a line is being run to its return."""
        return self._awaited is not None

    @property
    def awaited_alone(self) -> int | None:
        """Where that function returns to, if the client's user has not asked for a stop there: then it is the one
        thread that is waited for."""
        if self._awaited is None or self._who is None:
            return None
        at = self._awaited.returns_to
        return None if at in self._users.get(self._who[0], frozenset()) else at

    def forget(self) -> None:
        """The command has ended, or may have."""
        self._who = self._awaited = None
        self._passed.clear()

    def resumed(
        self,
        client: str,
        request: Resume,
        standing: Standing,
        *,
        has_stop_at_return: bool,
        stops_at: frozenset[int] = frozenset(),
    ) -> frozenset[int]:
        """A client has the target go on; the functions it steps over, if it steps.

        ``has_stop_at_return``: it has a breakpoint where the call that led here returns to; ``stops_at``: all it has.
        """
        if self._who != (client, standing.thread):
            self.forget()
            self._who = client, standing.thread
        awaited, self._awaited = self._awaited, None
        call = standing.call
        if request.kind is ResumeKind.RANGE:
            if awaited is not None:
                if self._has_returned(awaited, standing):
                    self._passed.add(awaited.function)
                else:
                    self._passed.clear()
        elif request.kind is ResumeKind.CONTINUE and call is not None and has_stop_at_return:
            self._awaited = call
        else:
            self.forget()
        if self._awaited is None:
            # What it has set now, its user wants. The one where it stands is left out, to be stepped off.
            self._users[client] = stops_at | (self._users.get(client, frozenset()) & {standing.pc})
        return frozenset(self._passed)

    @staticmethod
    def _has_returned(call: Call, standing: Standing) -> bool:
        there = (standing.pc, standing.sp) == (call.returns_to, call.sp)
        return there and standing.reason is StopReason.BREAKPOINT
