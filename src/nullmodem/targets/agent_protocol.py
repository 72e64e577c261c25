# SPDX-License-Identifier: Apache-2.0
"""The exchange on one command port, as the host sees it. Pure: bytes in, events out.

::

    target: SECRET!\\n                     an agent is there; it knows nothing of any earlier command
    host:   TAG COMMAND\\n                 COMMAND with everything but plain characters as \\0ooo (printf %b)
    target: TAG+\\n OUTPUT TAG-CODE\\n      OUTPUT is the command's own bytes, CODE its exit status

SECRET is made for each boot, TAG for each command: 128 random bits in hexadecimal, so no output can hold the end mark
of its own command but by intent of somebody who reads the agent's memory. Whatever stands between CODE and the next
``TAG+`` comes from processes that a command left behind, and is dropped.

The other half is the shell script ``guest/agent``.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from nullmodem.errors import UsageError

TAG_LENGTH = 32

# `read` in the target's shell takes one byte per system call: a limit keeps that under a second on an emulated CPU.
# It also stays below the kernel's limit of 128 KiB for one argument (MAX_ARG_STRLEN) of `sh -c`.
COMMAND_LIMIT = 64 * 1024

# "-255\n" is the longest thing that follows a tag.
_LONGEST_MARK = TAG_LENGTH + 5

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !\"#$%&'()*+,-./:;<=>?@[]^_`{|}~")


@dataclass(frozen=True, slots=True)
class Ready:
    """An agent started on this port; a command that ran here before lost its shell."""


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes the command printed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Finished:
    """The command ended with this exit status."""

    code: int


AgentEvent = Ready | Output | Finished


def new_tag() -> bytes:
    """128 random bits, in hexadecimal."""
    return secrets.token_hex(TAG_LENGTH // 2).encode()


def encode_request(tag: bytes, command: str) -> bytes:
    """The line that makes the agent run ``command`` with ``sh -c``. Raises UsageError for what no shell can take."""
    raw = command.encode(errors="surrogateescape")
    if not raw.strip():
        raise UsageError("there is no command to run on the target")
    if b"\0" in raw:
        raise UsageError("a command for the target holds a NUL byte; no shell can take it")
    if len(raw) > COMMAND_LIMIT:
        raise UsageError(
            f"the command for the target is {len(raw)} bytes long; at most {COMMAND_LIMIT} fit",
            hint="push it as a script and run that",
        )
    return tag + b" " + b"".join(bytes((c,)) if c in _PLAIN else b"\\0%03o" % c for c in raw) + b"\n"


class PortDecoder:
    """Turns what one port says into events. The same events, with output merged, for any split of the bytes."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._tag: bytes | None = None
        self._in_output = False
        self._buffer = b""
        self._marks = self._compile()

    def expect(self, tag: bytes) -> None:
        """The next command's tag; call before its request is sent."""
        self._tag = tag
        self._in_output = False
        self._marks = self._compile()

    def feed(self, data: bytes) -> list[AgentEvent]:
        """What ``data`` completes. Output is passed on at once but for a tail that may be the start of a mark."""
        events: list[AgentEvent] = []
        self._buffer += data
        start = 0
        while mark := self._marks.search(self._buffer, start):
            self._output(events, self._buffer[start : mark.start()])
            start = mark.end()
            self._mark(events, mark)
        held = self._held(start)
        self._output(events, self._buffer[start:held])
        self._buffer = self._buffer[held:]
        return events

    def _output(self, events: list[AgentEvent], data: bytes) -> None:
        if data and self._in_output:
            events.append(Output(data))

    def _mark(self, events: list[AgentEvent], mark: re.Match[bytes]) -> None:
        if mark["code"] is not None:
            events.append(Finished(int(mark["code"])))
        elif mark["begin"] is not None:
            self._in_output = True
            return
        else:
            events.append(Ready())
        self._in_output = False
        self._tag = None
        self._marks = self._compile()

    def _held(self, start: int) -> int:
        """Index from which the buffer may be an incomplete mark."""
        for index in range(max(start, len(self._buffer) - _LONGEST_MARK + 1), len(self._buffer)):
            tail = self._buffer[index:]
            if any(token[: len(tail)] == tail[:TAG_LENGTH] for token in (self._secret, self._tag) if token):
                return index
        return len(self._buffer)

    def _compile(self) -> re.Pattern[bytes]:
        ready = rb"(?P<ready>" + re.escape(self._secret) + rb"!\n)"
        # Without a command nothing but an agent's start means anything; (?!) matches nowhere.
        tag = re.escape(self._tag) if self._tag is not None else rb"(?!)"
        return re.compile(ready + rb"|(?P<begin>" + tag + rb"\+\n)|" + tag + rb"-(?P<code>[0-9]{1,3})\n")
