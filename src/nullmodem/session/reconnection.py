# SPDX-License-Identifier: Apache-2.0
"""A session whose line has gone and is back: what became of the target is found out, and nothing is taken for granted.

* It stood, and stands where it stood: nothing has changed for anybody.
* It ran, and repeats a stop that nobody heard: that is a stop like any other.
* It ran, and does not answer: it is broken into once, which nobody sees. A stub that reports a stop has spoken to this
  session since the machine booted (kgdb_connected in kernel/debug/gdbstub.c), so it is the same boot.
* It stands somewhere else, or answers where it should run: the kernel is identified anew. Another boot is let go, and
  ends the session.

What the stub has armed is not believed: it is made to drop all of it and given it anew before the target runs on.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from nullmodem.errors import NullmodemError, TargetError, WireClosed
from nullmodem.session.model import State
from nullmodem.session.reboot import hear, meet_anew, require_same_boot, show_trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.rsp.replies import StopReply
    from nullmodem.session.session import Session
    from nullmodem.wire.streams import ByteStream

REPEAT_SECONDS: Final = 2.0
"""For a stop that is asked for again. On a line that the console shares, some of it is waited for silence."""
ANSWER_SECONDS: Final = 6.0
"""For a question: on a shared line it goes out when the target has said nothing for a second."""


class Reconnection:
    """Used in the engine's thread only. ``begin`` has somebody open the line again, and is what makes a session wait
    for that; without it a line that goes ends the session. ``heard`` is set with every stop, for any thread to wait."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.begin: Callable[[], None] | None = None
        self.is_away = False
        self.heard = threading.Event()
        self.last: StopReply | None = None
        self._stood = self._in_doubt = False
        self._checking = False  # a break-in is to show that it is the same
        self._was = State.DISCONNECTED

    @property
    def stood(self) -> bool:
        """Whether the target stood still when the line went."""
        return self._stood

    @property
    def ran(self) -> bool:
        """Whether the target ran when the line went, or was told to."""
        return self._was is State.RUNNING

    def noticed(self, reply: StopReply) -> None:
        """The target has said that it stopped."""
        self.last = reply
        self.heard.set()

    def dealt_with(self) -> None:
        """What that stop was for has been done."""
        if self._checking:
            self._checking = False
            self._session.say("the target is the same as before, and was given its breakpoints anew")

    def line_gone(self) -> bool:
        """The line may have ended. Whether it has, and is waited for."""
        session = self._session
        if self.is_away:
            return True
        met = session.state in (State.RUNNING, State.STOPPED)
        if self.begin is None or not met or session.stub.rebooted or not session.stub.renewal.is_due:
            return False
        self._was = session.state
        self._stood, self._in_doubt = session.stub.is_stopped, session.stub.renewal.is_in_doubt
        self.is_away = True
        session.state = State.DISCONNECTED
        session.say("the line to the target is gone; it is opened again as soon as it is there")
        self.begin()
        return True

    def give_up(self, error: NullmodemError) -> None:
        """Nobody opens the line any more. Raises WireClosed, which ends the session."""
        self.begin, self.is_away = None, False
        raise WireClosed(f"the line went away and did not come back: {error.message}")

    def line_is_back(self, stream: ByteStream) -> bool:
        """Find out what became of the target. False: that takes a break-in, by whoever called.

        Raises WireClosed: the line has gone again, and is still away; or another boot of the target was met, and let
        go, which ends the session.
        """
        session = self._session
        self.heard.clear()
        session.stub.renewal.renew(stream)
        session.table.doubt()
        found = self._met_standing() if self._stood else self._met_running()
        self.is_away = False
        return found

    def must_break_in(self) -> bool:
        """Whether a break-in has to show what the target does; it is counted as sent then."""
        if self.is_away or self.heard.is_set():
            return False
        self._session.break_ins.sent()
        self._checking = True
        return True

    def not_broken_into(self, error: NullmodemError) -> None:
        """The break-in that was to show what the target does seems to have shown nothing. Raises WireClosed when it has
        rebooted, or stood when the line went and does not answer any more."""
        session = self._session
        if isinstance(error, TargetError):
            require_same_boot(session)
        if self.heard.is_set():
            return
        self._checking = False
        session.break_ins.failed("")
        if self._stood:
            raise WireClosed(f"the target does not answer any more where it stood: {error.message}", hint=error.hint)
        session.say(
            "the target is taken to run on; whether it still has its breakpoints cannot be told before it stops: "
            f"{error.message}"
        )

    # -- it ran --------------------------------------------------------------------------------------------------

    def _met_running(self) -> bool:
        session, renewal = self._session, self._session.stub.renewal
        if renewal.repeats_its_stop(REPEAT_SECONDS):
            self._back("it had stopped meanwhile")
            session.state = State.RUNNING
            hear(session, session.on_wire)
            return True
        thread = renewal.standing_thread(ANSWER_SECONDS) if self._in_doubt else None
        if thread is not None:
            self._meet_anew(thread, "what was to set it running did not reach it, or it has stopped since")
            return True
        session.state = State.RUNNING
        self._back("the target is broken into once, to see that it is the same and has its breakpoints")
        return False

    # -- it stood ------------------------------------------------------------------------------------------------

    def _met_standing(self) -> bool:
        session = self._session
        thread = session.stub.renewal.standing_thread(ANSWER_SECONDS)
        if thread is None:
            session.target.end()
            session.runner.forget()
            session.news.wait_no_longer()
            session.state = State.RUNNING
            session.break_ins.want("")
            self._back("the target does not answer where it stood; it is broken into")
            return False
        target = session.target
        stop = self.last
        if not target.is_known and stop is not None and stop.thread == thread:
            self._back("it had stopped")
            session.state = State.RUNNING
            hear(session, lambda: session.take_stop(stop))
        elif thread == target.thread and target.is_known and target.stands_where_it_stood():
            session.state = self._was
            self._back("the target stands where it stood")
            if not session.still:
                session.say("the line went in the middle of a stop; what the target was on its way to is given up")
                self._show()
            session.unattended.leave()
        else:
            self._meet_anew(thread, "it does not stand where it stood")
        return True

    def _meet_anew(self, thread: int, why: str) -> None:
        """The target stands, and not as it was known. Raises WireClosed when it is another boot."""
        try:
            meet_anew(self._session, thread, "the target has rebooted while the line was away")
        except WireClosed:
            self.begin, self.is_away = None, False
            raise
        self._back(why)
        self._show()

    def _show(self) -> None:
        show_trouble(self._session)

    # -- both ----------------------------------------------------------------------------------------------------

    def _back(self, what: str) -> None:
        self.is_away = False
        self._session.say(f"the line is back; {what}")
