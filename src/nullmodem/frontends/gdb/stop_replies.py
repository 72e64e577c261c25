# SPDX-License-Identifier: Apache-2.0
"""A stop as gdb reads it, with the registers that it would ask for next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError, StateError, WireClosed
from nullmodem.rsp import replies
from nullmodem.session.model import Access, StopReason
from nullmodem.session.signals import SIGINT, SIGTRAP

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.api.live import LiveSession
    from nullmodem.session.model import Stop

_BREAKS = {
    StopReason.BREAKPOINT: replies.StopReason.SWBREAK,
    StopReason.HARDWARE_BREAKPOINT: replies.StopReason.HWBREAK,
}
_WATCH = {
    Access.WRITE: replies.WatchKind.WRITE,
    Access.READ: replies.WatchKind.READ,
    Access.ACCESS: replies.WatchKind.ACCESS,
}


class StopReplies:
    """Makes them for one gdb. ``console`` shows a line in it while it waits for a stop."""

    def __init__(self, live: LiveSession, console: Callable[[str], None]) -> None:
        self._live = live
        self._console = console

    def encode(self, stop: Stop, client: str | None, *, library: bool, attaching: bool) -> bytes:
        """For a gdb that is ``client`` to the session. ``library``: as news that the modules are others; ``attaching``:
        gdb meets this stop by connecting.

        Raises StateError when the target runs again, WireClosed when it is lost.
        """
        shown, arch = self._registers(library=library, attaching=attaching), self._live.arch
        reason, signal = _BREAKS.get(stop.reason), stop.signal
        # A gdb that is told of a breakpoint where it has none takes it for one that it has just removed, and goes on
        # without a word (infrun.c handle_signal_stop, "delayed software breakpoint trap"); so it does after a bare trap
        # when it was about to leave a breakpoint of its own. Another client's breakpoint is an interruption to it.
        if reason is not None and not (client and self._live.has_breakpoint(client, stop.pc)):
            reason, signal = None, SIGINT
        elif reason is None and signal == SIGTRAP and not (stop.watched or attaching or self._runs(client)):
            signal = SIGINT  # the end of another's step, which would be such a bare trap
        watched = (_WATCH[stop.watched.access], stop.watched.address) if stop.watched else None
        return replies.StopReply(
            signal=0 if library else signal,
            thread=stop.thread,
            registers=tuple((r.number, r.encode(shown[r.name])) for r in arch.registers if r.name in shown),
            reason=None if library else reason,
            library=library,
            watch=None if library else watched,
        ).encode()

    def _runs(self, client: str | None) -> bool:
        """Whether it is this gdb that has the target run."""
        return client is None or any(each.holds_lease for each in self._live.clients() if each.id == client)

    def _registers(self, *, library: bool, attaching: bool) -> dict[str, int]:
        """None where they cannot be read: it has stopped all the same, and gdb asks for them itself."""
        try:
            return self._live.shown_registers(frame=not library)
        except (StateError, WireClosed):
            raise
        except NullmodemError as error:
            if attaching:
                raise  # gdb listens to no words before its first stop, and shows the error
            self._console(f"the target has stopped, but its registers cannot be read: {error}\n")
            return {}
