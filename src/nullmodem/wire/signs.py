# SPDX-License-Identifier: Apache-2.0
"""What is at the other end of a line, judged by what came off it. Pure."""

from __future__ import annotations

import enum
import re
from typing import Final

from nullmodem.errors import ProtocolError
from nullmodem.rsp.framing import Ack, Decoder, Packet
from nullmodem.rsp.replies import StopReply, parse_stop_reply
from nullmodem.wire.kdb_prompt import WAITS


class Sign(enum.Enum):
    """Who seems to be there."""

    KGDB = "kgdb"
    KDB = "kdb"
    LOGIN = "a login prompt"
    SHELL = "a shell"
    TEXT = "text"
    GARBAGE = "garbage"
    SILENCE = "silence"


# Colours, and what shells say to terminals about pasting (ECMA-48 control sequences; OSC for titles).
_TERMINAL: Final = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_LOGIN: Final = re.compile(rb"(?:login|username|password(?: for [^\r\n]{1,40})?):[ \t]*\Z", re.IGNORECASE)
_SHELL: Final = re.compile(rb"(?:^|[\r\n])[\x20-\x7e\x80-\xff]{0,120}[#$%>] ?\Z")
_PROMPTS: Final = ((Sign.KDB, WAITS), (Sign.LOGIN, _LOGIN), (Sign.SHELL, _SHELL))
_TEXT: Final = frozenset((*range(0x20, 0x7F), *b"\t\r\n\x07\x08\x1b"))
_FEW: Final = 3
_GARBLED: Final = 0.2


def read_signs(heard: bytes) -> Sign:
    """Judge all that was heard, from the first byte to the last.

    Garbage is what is mostly no text: two ends that disagree about the line's speed hear each other so. UTF-8 is text.
    """
    if not heard:
        return Sign.SILENCE
    if _is_stub(heard):
        return Sign.KGDB
    plain = _TERMINAL.sub(b"", heard)
    if len(heard) >= _FEW and _garbled(plain) > _GARBLED:
        return Sign.GARBAGE
    return next((sign for sign, prompt in _PROMPTS if prompt.search(plain)), Sign.TEXT)


def _is_stub(heard: bytes) -> bool:
    """Whether a stub's packet is in it: an answer behind a ``+``, or the report of a stop."""
    frames = Decoder(max_payload=1 << 14, notifications=False, text_only=True).feed(heard)
    for before, frame in zip([None, *frames], frames, strict=False):
        if isinstance(frame, Packet) and (isinstance(before, Ack) or _is_stop(frame.payload)):
            return True
    return False


def _is_stop(payload: bytes) -> bool:
    """The kernel's report of one, which names the thread."""
    try:
        stop = parse_stop_reply(payload)
    except ProtocolError:
        return False
    return isinstance(stop, StopReply) and stop.thread is not None


def _garbled(text: bytes) -> float:
    """The part of it that is no text."""
    decoded = text.decode("utf-8", "replace")
    wrong = sum(
        character == "\ufffd" or (ord(character) < 0x80 and ord(character) not in _TEXT) for character in decoded
    )
    return wrong / max(1, len(decoded))
