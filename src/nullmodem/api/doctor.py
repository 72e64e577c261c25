# SPDX-License-Identifier: Apache-2.0
"""Looking at a line: who is at its other end, and what stands in the way of debugging over it.

Nothing is changed there. A character is typed and taken back, at which kdb shows its prompt again (kdb_io.c kdb_read).
Where none shows, a return key is pressed, for a login and a shell; to kdb it would be its last command once more, which
may be a step (kdb_parse). Where nobody shows himself, the stub is asked for the current thread, the question that
changes least; and a shell is asked a few facts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nullmodem.errors import WireClosed
from nullmodem.rsp.framing import encode_packet
from nullmodem.rsp.requests import CurrentThread
from nullmodem.targets.checkup import PROBE, Finding, Verdict, judge, read_probe
from nullmodem.waiting import wait_readable
from nullmodem.wire.opening import open_wire
from nullmodem.wire.signs import Sign, read_signs
from nullmodem.wire.spec import Rfc2217Wire, SerialWire, parse_wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.wire.spec import Wire
    from nullmodem.wire.streams import ByteStream

__all__ = ["Examination", "Finding", "Sign", "Verdict", "examine"]

QUIET_SECONDS: Final = 0.7
LONGEST_SECONDS: Final = 3.0
PROBE_SECONDS: Final = 10.0
_TYPED_AND_TAKEN_BACK: Final = b" \b"
_RETURN: Final = b"\r"
_ERASE_LINE: Final = b"\x15"
_QUESTION: Final = encode_packet(CurrentThread().encode())

_SILENT: Final = """\
A line that only kgdb has is silent while the target runs: stop it, by gdbstart on it or BREAK and g on its console.
Otherwise: is the cable a null modem, is the target on, is this the right device, at the right speed?"""
_SEEN: Final = {
    Sign.KGDB: ("kgdb answers: the target is stopped", "`nullmodem attach` takes it from here."),
    Sign.KDB: ("kdb's prompt: the target is stopped in the kernel's own debugger", "A session takes it from there."),
    Sign.LOGIN: ("a login prompt: the target runs", "Log in on this line, and look again: a shell tells more."),
    Sign.SHELL: ("a shell: the target runs", ""),
}
_NOT_SEEN: Final = {
    Sign.TEXT: (
        "text, and no prompt behind it: the target runs and prints, or boots",
        "Look again when it is up. Should the text be a menu or a boot loader's, the kernel does not run yet.",
    ),
    Sign.GARBAGE: (
        "bytes that are no text: the two ends do not have the same speed",
        "Try the target's: ?baud=9600, 38400, 57600, 115200, 921600 or 1500000 (console= on its command line says it).",
    ),
    Sign.SILENCE: ("nobody answers", _SILENT),
}


@dataclass(frozen=True, slots=True)
class Examination:
    """``wire`` as it was understood, who is there, and everything that was found."""

    wire: str
    sign: Sign
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings'."""
        found = {finding.verdict for finding in self.findings}
        return next((verdict for verdict in (Verdict.FAIL, Verdict.WARN) if verdict in found), Verdict.OK)


def examine(
    text: str,
    tell: Callable[[str], None] = lambda _text: None,
    *,
    sys: Path = Path("/sys"),
    quiet: float = QUIET_SECONDS,
) -> Examination:
    """Look at the line that ``text`` names. ``tell`` gets a line for each step; ``sys`` is where sysfs is; ``quiet`` is
    how long in seconds nothing comes from somebody who has finished.

    Raises what parsing and opening a wire do: UsageError, WireError.
    """
    wire = parse_wire(text)
    tell(f"opening {wire}")
    stream = open_wire(wire)
    try:
        examiner = _Examiner(stream, tell, quiet)
        sign = examiner.find_out()
        findings = [*_of_sign(sign, wire), *_of_adapter(wire, sys)]
        if sign is Sign.SHELL:
            findings += examiner.ask_shell()
    except WireClosed as error:
        lost = Finding("line", Verdict.FAIL, f"it was closed: {error.message}", "Does another program use it?")
        return Examination(str(wire), Sign.SILENCE, (lost,))
    finally:
        stream.close()
    return Examination(str(wire), sign, tuple(findings))


def _of_sign(sign: Sign, wire: Wire) -> tuple[Finding, ...]:
    if sign in _SEEN:
        says, fix = _SEEN[sign]
        return (Finding("line", Verdict.OK, says, fix),)
    says, fix = _NOT_SEEN[sign]
    if isinstance(wire, SerialWire | Rfc2217Wire):
        says = f"{says} (at {wire.settings.baud} baud)"
    return (Finding("line", Verdict.WARN, says, fix),)


def _of_adapter(wire: Wire, sys: Path) -> tuple[Finding, ...]:
    """A USB adapter keeps what it receives until its timer ends, which each answer of the stub waits for."""
    if not isinstance(wire, SerialWire):
        return ()
    timer = sys / "bus" / "usb-serial" / "devices" / Path(wire.path).resolve().name / "latency_timer"
    try:
        milliseconds = int(timer.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return ()
    if milliseconds <= 1:
        return (Finding("adapter", Verdict.OK, f"its latency timer is {milliseconds} ms"),)
    says = f"its latency timer is {milliseconds} ms, which every round trip waits for"
    return (Finding("adapter", Verdict.WARN, says, f"As root: echo 1 > {timer}"),)


class _Examiner:
    def __init__(self, stream: ByteStream, tell: Callable[[str], None], quiet: float) -> None:
        self._stream = stream
        self._quiet = quiet
        self._tell = tell

    def find_out(self) -> Sign:
        self._tell("listening")
        heard = self._listen(LONGEST_SECONDS)
        self._tell("typing a space and taking it back")
        heard += self._say(_TYPED_AND_TAKEN_BACK)
        sign = read_signs(heard)
        if sign is Sign.KDB:
            return sign
        self._tell("pressing return")
        heard += self._say(_ERASE_LINE + _RETURN)  # a terminal's erase key may not be backspace
        sign = read_signs(heard)
        if sign in (Sign.SILENCE, Sign.TEXT, Sign.KGDB):
            self._tell("asking the kernel's stub")
            if self._stub_answers():
                return Sign.KGDB
            sign = Sign.TEXT if sign is Sign.KGDB else sign  # a line of text that looked like a stop's report
        return sign

    def _stub_answers(self) -> bool:
        """Asked twice: a stub that waits for the acknowledgement of its report takes the first question for it."""
        for _attempt in range(2):
            if read_signs(self._say(_QUESTION)) is Sign.KGDB:
                self._stream.write(b"+")  # or it would wait for that, deaf to whoever comes next
                return True
        self._stream.write(_ERASE_LINE)  # what was asked may stand in somebody's input
        return False

    def ask_shell(self) -> tuple[Finding, ...]:
        self._tell("asking the shell")
        self._stream.write(PROBE.encode() + _RETURN)
        heard = b""
        deadline = time.monotonic() + PROBE_SECONDS
        while (facts := read_probe(heard.decode("utf-8", "replace"))) is None:
            piece = self._read(deadline - time.monotonic())
            if piece is None:
                says = "it looks like one, but does not answer as one"
                return (Finding("shell", Verdict.WARN, says, "Is there a prompt of another program on the line?"),)
            heard += piece
        return judge(facts)

    def _say(self, data: bytes) -> bytes:
        self._stream.write(data)
        return self._listen(LONGEST_SECONDS)

    def _listen(self, seconds: float) -> bytes:
        """Everything up to a silence, or for so long."""
        heard = b""
        deadline = time.monotonic() + seconds
        while (piece := self._read(min(self._quiet, deadline - time.monotonic()))) is not None:
            heard += piece
        return heard

    def _read(self, seconds: float) -> bytes | None:
        """The next bytes; None when none come in time. Raises WireClosed."""
        if seconds <= 0 or not wait_readable([self._stream], seconds):
            return None
        data = self._stream.read()
        if data == b"":
            raise WireClosed("the other end is gone")
        return data or b""
