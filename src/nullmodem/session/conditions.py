# SPDX-License-Identifier: Apache-2.0
"""Conditions of breakpoints and what they print, evaluated here and not by a debugger that is shown every hit.

A condition that is false costs what it looks at and the way past the breakpoint: the debugger hears nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import MemoryFault, RemoteProtocolError, UsageError
from nullmodem.rsp.agent import AgentError, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Set

    from nullmodem.session.breakpoints import Breakpoint
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.stub.arch import Arch


@dataclass(frozen=True, slots=True)
class Terms:
    """What one client has attached to a breakpoint: it counts when any of ``conditions`` is true, or when there are
    none; then ``commands`` run and the target goes on, or, without any, it stops."""

    conditions: tuple[Program, ...] = ()
    commands: tuple[Program, ...] = ()


def terms_of(arch: Arch, conditions: tuple[bytes, ...], commands: tuple[bytes, ...]) -> Terms | None:
    """Check bytecode and the registers it names; None where there is none. Raises RemoteProtocolError."""
    if not conditions and not commands:
        return None
    terms = Terms(tuple(map(Program.parse, conditions)), tuple(map(Program.parse, commands)))
    for program in (*terms.conditions, *terms.commands):
        for number in program.registers:
            if arch.numbered(number) is None:
                raise RemoteProtocolError(f"an agent expression looks at register {number}, which the stub has not")
    return terms


class _Looking:
    """`agent.Machine` on a target that stands still."""

    def __init__(self, target: StoppedTarget, arch: Arch) -> None:
        self._target = target
        self._arch = arch

    def register(self, number: int) -> int:
        register = self._arch.numbered(number)
        if register is None:
            msg = f"there is no register {number}"
            raise AgentError(msg)
        return self._target.value(register.name)

    def memory(self, address: int, length: int) -> bytes:
        return self._target.read(address, length)


class Conditions:
    """The terms of every client's breakpoints.

    ``printed`` is told the client and the text of what its commands print, ``say`` what went wrong.
    """

    def __init__(
        self, target: StoppedTarget, arch: Arch, printed: Callable[[str, str], None], say: Callable[[str], None]
    ) -> None:
        self._target = target
        self._looking = _Looking(target, arch)
        self._printed = printed
        self._say = say
        self._terms: dict[Breakpoint, dict[str, Terms]] = {}

    def set(self, client: str, breakpoint_: Breakpoint, terms: Terms | None) -> None:
        """The client's terms for a breakpoint are these from now on; None: it always counts, and stops the target."""
        self._terms.setdefault(breakpoint_, {}).pop(client, None)
        if terms is not None:
            self._terms[breakpoint_][client] = terms
        elif not self._terms[breakpoint_]:
            del self._terms[breakpoint_]

    def keep_only(self, wanted: Callable[[str, Breakpoint], bool]) -> None:
        """Forget the terms of breakpoints that are not ``wanted`` by their clients any more."""
        for breakpoint_, owners in list(self._terms.items()):
            for client in [client for client in owners if not wanted(client, breakpoint_)]:
                self.set(client, breakpoint_, None)

    def stops(self, owners: Set[tuple[str, Breakpoint]]) -> bool:
        """Whether the target, which has come to breakpoints of these clients, is to stop there. Runs their commands."""
        return bool([client for client, breakpoint_ in sorted(owners) if self._stops(client, breakpoint_)])

    def _stops(self, client: str, breakpoint_: Breakpoint) -> bool:
        terms = self._terms.get(breakpoint_, {}).get(client)
        if terms is None:
            return True
        if not self._holds(terms, breakpoint_):
            return False
        for program in terms.commands:
            self._printed(client, self._text_of(program))
        return not terms.commands

    def _holds(self, terms: Terms, breakpoint_: Breakpoint) -> bool:
        if not terms.conditions:
            return True
        try:
            return any(program.run(self._looking).value for program in terms.conditions)
        except (AgentError, MemoryFault, UsageError) as error:
            # As gdb does: what cannot be told is shown to the user.
            self._say(f"the condition of the breakpoint at {breakpoint_.address:#x} cannot be evaluated: {error}")
            return True

    def _text_of(self, program: Program) -> str:
        try:
            return program.run(self._looking).printed
        except (AgentError, MemoryFault, UsageError) as error:
            return f"<cannot be printed: {error}>\n"
