# SPDX-License-Identifier: Apache-2.0
"""One cable for the console and for kgdb: which byte belongs to whom. Pure: no I/O, and the caller's clock.

What a kernel prints can hold a well-formed packet, so form proves nothing. What proves a stop is what only the stub
does: after its stop packet it waits, deaf to all else, and sends that packet again for any byte but ``+`` and ``$``
(put_packet in kernel/debug/gdbstub.c). So what looks like a stop, and is followed by silence as a stop is and a printed
line is not, is answered with one ``-``; a packet that comes back is a stop, and anything else was text.

While the target stands still the stub says one ``+`` and one packet for each request, and everything else is text.
While it runs nothing of the debugger's goes out to it: it would be typed into whatever reads the console.

::

    RUNNING    text; perhaps a stop
    KNOCKING   a debugger has come: is the target stopped already?
    STOPPED    acknowledgements and packets; text between them
    RESUMING   told to go on, not acknowledged yet
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from nullmodem.wire.farewell import Farewell
from nullmodem.wire.printed import Printed
from nullmodem.wire.standing import StandingStub
from nullmodem.wire.stop_forms import (
    end_of_copies,
    is_text_behind,
    match_current,
    match_exit,
    match_standing,
    match_stop,
    may_be_broken,
    may_become,
    may_become_standing,
    stop_within,
)
from nullmodem.wire.tokens import Tokens, asks_whether_it_stands, sets_running

if TYPE_CHECKING:
    import re

QUIET_SECONDS: Final = 0.02
"""A line goes on within that time where a program prints it: a USB adapter hands over what it has every 16 ms."""
PREFIX_SECONDS: Final = 0.25
"""For the rest of what begins like a stop. A shell's prompt may be a dollar sign, and then waits that long."""
CHALLENGE_SECONDS: Final = 1.0
CHALLENGES: Final = 4
KNOCK_SECONDS: Final = 1.0
"""Silence after which a target is asked whether it is stopped."""

_ERASE: Final = b"\x7f"  # erases the one character that a challenge has typed
_KILL_LINE: Final = b"\x15"  # Ctrl-U
_COPIES_LIMIT: Final = 2048


class SplitState(Enum):
    RUNNING = auto()
    KNOCKING = auto()
    STOPPED = auto()
    RESUMING = auto()


class Splitter:
    """The state of one shared line. Feed it, then take what is in `text`, `protocol` and `line`.

    ``text`` is for the console, ``protocol`` for the debugger, ``line`` for the target. ``character`` is how many
    seconds one character takes on the line. All times are readings of the caller's monotonic clock.
    """

    def __init__(self, *, character: float = 0.0) -> None:
        self.state = SplitState.RUNNING
        self._quiet = QUIET_SECONDS + 4 * character
        self._text = bytearray()
        self._protocol = bytearray()
        self._line = bytearray()
        self._held = bytearray()
        self._deadline: float | None = None
        self._printed = Printed()
        # Running: how often it was asked for its stop again, and where in what is held the answer begins.
        self._challenges = self._mark = 0
        self._fresh = False  # nothing has come since it was told to go on
        self._acknowledged = True
        self._questioned = False  # and it was asked something since: what is acknowledged may be that
        self._farewell = Farewell()
        self._stub = StandingStub()
        self._written = Tokens()
        self._knock = b""
        self._detaching = False

    # -- what the caller does ------------------------------------------------------------------------------------

    def take(self) -> tuple[bytes, bytes, bytes]:
        """What is due, each byte once: (text, protocol, line)."""
        out = bytes(self._text), bytes(self._protocol), bytes(self._line)
        for part in (self._text, self._protocol, self._line):
            part.clear()
        return out

    def rest(self) -> bytes:
        """What was held back, which at the line's end is text."""
        return bytes(self._held)

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do, if nothing comes before; None: nothing."""
        return self._deadline

    def received(self, data: bytes, now: float) -> None:
        """Bytes have come from the target."""
        if not data:
            return
        match self.state:
            case SplitState.RUNNING:
                self._held += data
                self._run(now)
            case SplitState.STOPPED:
                self._stopped(data)
            case SplitState.KNOCKING:
                self._knocking(data, now)
            case _:
                self._resuming(data, now)

    def sent(self, data: bytes, now: float) -> None:
        """The debugger has written bytes: they go to the target if it listens."""
        for token in self._written.feed(data):
            self._send(token, now)

    def broke_in(self, now: float) -> None:
        """The target was told to stop, from outside this line or through its sysrq key."""
        if self._knock:
            self._deadline = now + KNOCK_SECONDS

    def tick(self, now: float) -> None:
        """Time has passed, perhaps beyond the deadline."""
        if self._deadline is None or now < self._deadline:
            return
        self._deadline = None
        if self.state is SplitState.KNOCKING:
            self._enter_running()
        elif self.state is SplitState.RESUMING:  # it has taken what set it running, not the question after that
            self._go_on(b"", now, fresh=True)
        elif self.state is SplitState.RUNNING:
            self._silence(now)

    # -- from the debugger ---------------------------------------------------------------------------------------

    def _send(self, token: bytes, now: float) -> None:
        if self.state is SplitState.RUNNING:
            if asks_whether_it_stands(token):
                self._knock, self._deadline = token, now + KNOCK_SECONDS
            return
        self._line += token
        if token == b"+" and self._detaching and not self._stub.awaited:
            self._enter_running()
        if not token.startswith(b"$"):
            return
        self._stub.asked()
        self._detaching = token.startswith(b"$D")
        if sets_running(token) and not self._detaching:
            self.state = SplitState.RESUMING
            self._acknowledged = self._questioned = False
        elif self.state is SplitState.RESUMING:
            self._questioned = True

    def _enter_running(self, *, fresh: bool = False) -> None:
        self.state = SplitState.RUNNING
        self._held.clear()
        self._challenges, self._mark, self._fresh = 0, 0, fresh
        self._deadline, self._detaching = None, False
        self._farewell.forget()
        self._drop_doubt()

    def _drop_doubt(self) -> None:
        self._knock = self._knock if self._knock.startswith(b"$?") else b""

    # -- is it stopped already -----------------------------------------------------------------------------------

    def _do_knock(self, now: float) -> None:
        self._line += self._knock
        self.state = SplitState.KNOCKING
        self._held.clear()
        self._deadline = now + CHALLENGE_SECONDS

    def _knocking(self, data: bytes, now: float) -> None:
        """``+`` and a stop, or its thread, are the answer of a stub; a terminal echoes what we sent."""
        self._held += data
        self._release(self._held.rfind(b"\n") + 1)
        held = bytes(self._held)
        if held == b"-":  # it was in the acknowledgement of a debugger that has gone, and took our $ for it
            self._do_knock(now)
            return
        answer = held[held.startswith(b"+") :]
        if match_standing(answer) is not None:
            self.state, self._knock, self._deadline = SplitState.STOPPED, b"", None
            self._stub.begin(b"")
            self._stub.asked()
            self._held.clear()
            self._stopped(held)
        elif answer and not may_become_standing(answer):
            echoed = held.startswith(self._knock[: len(held)])
            if echoed and len(held) < len(self._knock):
                return
            if echoed:
                self._line += _KILL_LINE
            self._enter_running()
            self._held += held
            self._run(now)

    # -- while it stands still -----------------------------------------------------------------------------------

    def _stopped(self, data: bytes) -> None:
        for at in range(len(data)):
            self._stub.take(data[at : at + 1], self._text, self._protocol)

    # -- while it is told to go on -------------------------------------------------------------------------------

    def _resuming(self, data: bytes, now: float) -> None:
        for at in range(len(data)):
            first = byte = data[at : at + 1]
            if self._stub.in_packet or byte in (b"$", b"-"):  # its last answer once more; not understood; a stop
                before = len(self._protocol)
                first = self._stub.take_resuming(byte, self._text, self._protocol)
                if match_current(bytes(self._protocol[before:])):  # it stands, and never went on
                    self._acknowledged, self._deadline = False, None
                if not first:
                    continue
            elif byte == b"+":
                self._protocol += byte
                self._acknowledged, first = True, b""
                if self._questioned:
                    self._deadline = now + CHALLENGE_SECONDS
                    continue
            # Else it runs, and its acknowledgement was lost.
            self._go_on(first + data[at + 1 :], now, fresh=first != byte)
            return

    def _go_on(self, rest: bytes, now: float, *, fresh: bool) -> None:
        self._enter_running(fresh=fresh)
        self._held += rest
        self._run(now)

    # -- while it runs -------------------------------------------------------------------------------------------

    def _run(self, now: float) -> None:
        while self.state is SplitState.RUNNING:
            if self._challenges:
                if not self._judge_answer(now):
                    return
            elif not self._held:
                break
            elif self._held[0] != 0x24:
                end = self._held.find(b"$")
                self._release(len(self._held) if end < 0 else end)
            elif not self._judge(now):
                return
        if self.state is SplitState.RUNNING:
            self._watch_text(now)

    def _judge(self, now: float) -> bool:
        """What is held begins with a dollar sign. False: wait for more of it."""
        held = bytes(self._held)
        if (found := match_exit(held)) is not None:
            return self._judge_exit(found, held, now)
        found = match_stop(held, fresh=self._fresh)
        if found is not None:
            return self._judge_stop(found, held, now)
        if may_become(held, fresh=self._fresh):
            self._deadline = now + PREFIX_SECONDS
            return False
        torn = stop_within(held)  # what was being printed when it stopped
        if not torn and may_be_broken(held):
            self._deadline = now + self._quiet
            return False
        following = torn or held.find(b"$", 1)
        self._release(len(held) if following < 0 else following)
        return True

    def _judge_stop(self, found: re.Match[bytes], held: bytes, now: float) -> bool:
        """By its form it is a stop. Nothing follows one but itself, when something was typed; and a little noise."""
        end = end_of_copies(found, held)
        if end > _COPIES_LIMIT:  # said over and over: if it is a stub's, its last will do
            self._release(end - found.end())
            return True
        if is_text_behind(found[0], held[end:]):
            self._release(found.end())
            return True
        if self._fresh and not held[end:]:
            self._challenge(now)
        else:
            self._deadline = now + self._quiet
        return False

    def _judge_exit(self, found: re.Match[bytes], held: bytes, now: float) -> bool:
        """By its form the kernel says that it reboots."""
        meant = self._farewell.is_meant(held[found.end() :], now)
        if meant is None:
            self._deadline = self._farewell.deadline
            return False
        if meant:
            self._protocol += found[0]
            del self._held[: found.end()]
        else:
            self._release(found.end())
        return True

    def _judge_answer(self, now: float) -> bool:
        """The stub was asked to send its stop again. False: wait for it. It says nothing behind it but that."""
        answer, asked = bytes(self._held[self._mark :]), match_stop(bytes(self._held), fresh=self._fresh)
        found = match_stop(answer, fresh=self._fresh)
        if found is not None:
            rest = answer[found.end() :]
            if (asked is not None and asked[0] != found[0]) or is_text_behind(found[0], rest):
                self._dismiss()
            else:
                self._stop_at(found[0], rest)
            return True
        if not answer or may_become(answer, fresh=self._fresh):
            self._deadline = now + CHALLENGE_SECONDS
            return False
        if may_be_broken(answer):
            self._deadline = now + self._quiet
            return False
        self._dismiss()
        return True

    def _dismiss(self) -> None:
        """What was challenged is text. What the challenges have typed is erased."""
        self._line += _ERASE * self._challenges
        mark, self._challenges, self._mark = self._mark, 0, 0
        self._printed.clear_line()
        self._release(mark)

    def _challenge(self, now: float) -> None:
        self._line += b"-"
        self._challenges += 1
        self._mark = len(self._held)
        self._deadline = now + CHALLENGE_SECONDS

    def _silence(self, now: float) -> None:
        """Nothing has come for a while."""
        held = bytes(self._held)
        if self._challenges:
            if self._challenges < CHALLENGES:
                self._challenge(now)
            else:
                self._dismiss()
                self._run(now)
        elif match_exit(held):
            self._run(now)
        elif held and (match_stop(held, fresh=self._fresh) or may_be_broken(held)):
            self._challenge(now)
        elif held:
            self._release(len(held))
            self._watch_text(now)
        elif self._printed.may_be_a_stop:
            self._challenge(now)
        elif self._knock:
            self._do_knock(now)

    def _stop_at(self, packet: bytes, rest: bytes) -> None:
        """It stands still: ``packet`` is the debugger's, and what was held before it was a copy of it, or its ruin."""
        if not self._acknowledged:
            self._protocol += b"+"
            self._acknowledged = True
        self._held.clear()
        self._printed.stop()
        self._challenges, self._mark, self._fresh, self._deadline = 0, 0, False, None
        self.state = SplitState.STOPPED
        self._stub.begin(packet)
        if not self._knock.startswith(b"$?"):
            self._protocol += packet
        if self._knock:  # the debugger has asked already: its question gets its answer
            self._line += b"+" + self._knock
            self._knock = b""
            self._stub.asked()
        self._stopped(rest)

    def _release(self, length: int) -> None:
        text = bytes(self._held[:length])
        del self._held[:length]
        if text:
            self._text += text
            self._fresh = False
            self._printed.add(text)

    def _watch_text(self, now: float) -> None:
        """All that came is text: does it mean that the target has entered the debugger?"""
        if self._held:
            return
        if self._knock and self._printed.says_it_has_entered():
            self._do_knock(now)
        elif self._printed.may_be_a_stop:
            self._deadline = now + self._quiet
        else:
            self._drop_doubt()  # it prints, so it runs
            self._deadline = now + KNOCK_SECONDS if self._knock else None
