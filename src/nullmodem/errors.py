# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as a user sees it.

::

    NullmodemError
    ├── UsageError            the request itself is wrong; exit code 2
    │   ├── UnknownPlace      no such function, or a line without code (``.nearest``)
    │   └── UnknownVariable   the frame has no variable of that name; a KeyError too (``.nearest``)
    ├── WireError             the line under us
    │   ├── WireClosed        the other end is gone
    │   └── WireTimeout       nobody answered in time
    ├── ProtocolError         bytes that break the rules
    │   ├── LocalProtocolError    we were asked to send nonsense
    │   └── RemoteProtocolError   the peer sent nonsense
    ├── StubError             the kernel's stub refused a request (``.errno``)
    ├── MemoryFault           the target has no such memory (``.address``, ``.length``)
    ├── SymbolError           a file that should carry symbols does not
    │   └── IdentityError     file and running code are not the same build
    ├── KernelDataError       what the stopped kernel says of itself makes no sense
    ├── SessionError          the session cannot do this
    │   ├── SessionGone       it has ended, and with it what was asked of it
    │   ├── StateError        not in this state (``.state``)
    │   │   └── StopOver      what belongs to a stop was used after it
    │   ├── UnexpectedStop    the target stopped for something else than was waited for (``.stop``)
    │   ├── WaitTimeout       what was waited for did not come in time; the target runs
    │   ├── LeaseError        somebody else may run the target now (``.holder``)
    │   ├── BreakpointRefused no breakpoint may stand there (``.address``)
    │   └── NoSessionError    no such session, or several and none named
    ├── TargetError           the machine being debugged
    │   ├── BootError         it did not come up (``.command``, ``.output``)
    │   │   └── BootTimeout       it stood still, or was too slow
    │   ├── TargetStands      it is stopped, and its debugger has the line
    │   ├── TargetLost        it was there and is gone
    │   └── CommandError      a command on it failed (``.code``, ``.output``)
    │       └── CommandTimeout    it still runs, and nobody waits for it any more
    └── BuildError            a kernel or a module did not build (``.output``)

Every error says what was tried and what came back in its message, and, where something can be done about it, what to
do next in ``hint``. Anything else that leaves a public function is a bug in nullmodem.
"""

from __future__ import annotations


class NullmodemError(Exception):
    """Root of the tree. ``message`` is one sentence for a person; ``hint`` is the next thing to do, or empty."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(NullmodemError):
    """The request itself is wrong, whatever the target's state: a bad path, an unknown name, an option's value."""

    exit_code = 2


class UnknownPlace(UsageError):
    """No function has that name, or no code belongs to that line. ``nearest`` are places that there are."""

    def __init__(self, message: str, *, nearest: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.nearest = nearest


class UnknownVariable(UsageError, KeyError):
    """Neither the frame nor the kernel has a variable of that name. ``nearest`` are those of the frame that are near.

    Python's KeyError too, for whoever takes the frame for the mapping it is.
    """

    def __init__(self, message: str, *, nearest: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.nearest = nearest


class WireError(NullmodemError):
    """The line under us failed."""


class WireClosed(WireError):
    """The other end closed the line or went away."""


class WireTimeout(WireError):
    """Nobody answered within the deadline; what the peer did meanwhile is unknown."""


class ProtocolError(NullmodemError):
    """Bytes that break the rules of the protocol."""


class LocalProtocolError(ProtocolError):
    """We were asked to send something that may not be sent."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that cannot be understood."""


class StubError(NullmodemError):
    """The kernel's stub answered a well-formed request with an error.

    ``errno`` is the number in its ``Enn`` reply: decimal of the kernel's errno (kernel/debug/gdbstub.c error_packet).
    """

    def __init__(self, message: str, *, errno: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.errno = errno


class MemoryFault(NullmodemError):
    """The target has no readable (or writable) memory at ``address`` for ``length`` bytes."""

    def __init__(self, address: int, length: int, *, write: bool = False) -> None:
        verb = "write" if write else "read"
        super().__init__(f"cannot {verb} {length} bytes at {address:#x}")
        self.address = address
        self.length = length


class SymbolError(NullmodemError):
    """A file that should carry symbols is missing, broken, or not what it claims to be."""


class IdentityError(SymbolError):
    """A file and the code that runs are not the same build; using it would show wrong lines."""


class KernelDataError(NullmodemError):
    """What the stopped kernel says of itself makes no sense: a corrupt list, an impossible count, a wild pointer."""


class SessionError(NullmodemError):
    """The session cannot do what it was asked."""


class SessionGone(SessionError):
    """The session has ended, and with it what was asked of it."""


class StateError(SessionError):
    """The session is not in a state that allows this; ``state`` is the one it is in."""

    def __init__(self, message: str, *, state: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.state = state


class StopOver(StateError):
    """What belongs to one stop was used after it: its frames, its memory, its control."""


class UnexpectedStop(SessionError):
    """The target stopped, and for something else than was waited for. ``stop`` is the stop it stands at."""

    def __init__(self, message: str, *, stop: object, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.stop = stop


class WaitTimeout(SessionError):
    """What was waited for did not come within the time given. The target runs."""


class LeaseError(SessionError):
    """Another client holds the right to run or write the target; ``holder`` names it."""

    def __init__(self, message: str, *, holder: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.holder = holder


class BreakpointRefused(SessionError):
    """No breakpoint may stand at ``address``; the message says why."""

    def __init__(self, message: str, *, address: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.address = address


class NoSessionError(SessionError):
    """No session runs, none has that name, or several run and none was named."""

    exit_code = 2


class TargetError(NullmodemError):
    """The machine being debugged did not do what it should."""


class BootError(TargetError):
    """The machine did not come up. ``command`` is what was started, ``output`` what it said before it failed."""

    def __init__(self, message: str, *, command: tuple[str, ...] = (), output: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.command = command
        self.output = output


class BootTimeout(BootError):
    """Nothing says that it failed: it stood still, or was too slow."""


class TargetStands(TargetError):
    """It is stopped, and whatever is typed now would reach its debugger."""


class TargetLost(TargetError):
    """The machine was there and is gone: it powered off, reset, or its emulator ended."""


class CommandError(TargetError):
    """A command run on the target failed; ``code`` is its exit status, ``output`` what it printed."""

    def __init__(self, message: str, *, code: int, output: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.output = output


class CommandTimeout(CommandError):
    """The caller's time is over and the command still runs on the target. ``code`` is 124, as timeout(1) has it."""


class BuildError(NullmodemError):
    """A kernel or a module did not build; ``output`` holds the end of what the build printed, and ``str()`` has it."""

    def __init__(self, message: str, *, output: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.output = output

    def __str__(self) -> str:
        said = super().__str__()
        return f"{self.output.rstrip()}\n{said}" if self.output else said
