# SPDX-License-Identifier: Apache-2.0
"""Resuming: ``c`` ``C`` ``s`` ``S`` and ``vCont``.

kgdb knows ``c`` and ``s``, and reads two signals of ``C`` as commands: 09 passes the exception on to the kernel, 15
does so and detaches (kernel/debug/gdbstub.c ``gdb_cmd_exception_pass``). gdb uses ``vCont`` only from a stub that
lists c, C, s and S in its answer to ``vCont?`` (gdb/remote.c ``remote_vcont_probe``).

::

    -> vCont?                      <- vCont;c;C;s;S;r
    -> vCont;r401000,401013:1;c    <- T05thread:01;   (when the step has left the range)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from nullmodem.errors import LocalProtocolError, RemoteProtocolError
from nullmodem.rsp.hexadecimal import encode_byte, encode_number, parse_number, show
from nullmodem.rsp.threads import ALL_THREADS, encode_thread_id, parse_thread_id

if TYPE_CHECKING:
    from collections.abc import Callable

ActionKind = Literal["c", "C", "s", "S", "t", "r"]

_SIGNAL = re.compile(rb"[0-9a-fA-F]{2}")
_ACTION = re.compile(rb"([cst])|([CS])([0-9a-fA-F]{2})|r([0-9a-fA-F]{1,16}),([0-9a-fA-F]{1,16})")


def _encode_address(address: int | None, before: bytes = b"") -> bytes:
    return b"" if address is None else before + encode_number(address)


@dataclass(frozen=True, slots=True)
class Continue:
    """``c``: run, from ``address`` when one is given."""

    address: int | None = None

    def encode(self) -> bytes:
        """Return the payload."""
        return b"c" + _encode_address(self.address)


@dataclass(frozen=True, slots=True)
class ContinueWithSignal:
    """``C``: run, and let the target have ``signal``."""

    signal: int
    address: int | None = None

    def encode(self) -> bytes:
        """Return the payload."""
        return b"C" + encode_byte(self.signal) + _encode_address(self.address, b";")


@dataclass(frozen=True, slots=True)
class Step:
    """``s``: run one instruction, from ``address`` when one is given."""

    address: int | None = None

    def encode(self) -> bytes:
        """Return the payload."""
        return b"s" + _encode_address(self.address)


@dataclass(frozen=True, slots=True)
class StepWithSignal:
    """``S``: run one instruction, and let the target have ``signal``."""

    signal: int
    address: int | None = None

    def encode(self) -> bytes:
        """Return the payload."""
        return b"S" + encode_byte(self.signal) + _encode_address(self.address, b";")


@dataclass(frozen=True, slots=True)
class VContQuery:
    """``vCont?``: which actions are known?"""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"vCont?"


@dataclass(frozen=True, slots=True)
class VContAction:
    """What ``thread`` shall do: continue, step, stop, or step while its pc is in [``start``, ``end``).

    ``signal`` is there for C and S alone, the range for r alone.
    """

    kind: ActionKind
    signal: int | None = None
    start: int | None = None
    end: int | None = None
    thread: int = ALL_THREADS

    def encode(self) -> bytes:
        """Return the action without its semicolon.

        Raises:
            LocalProtocolError: it lacks what its kind needs, has what it must not have, or a number does not fit.
        """
        text = self.kind.encode("ascii")
        match self.kind, self.signal, self.start, self.end:
            case "C" | "S", int(signal), None, None:
                text += encode_byte(signal)
            case "r", None, int(start), int(end) if start <= end:
                text += encode_number(start) + b"," + encode_number(end)
            case "c" | "s" | "t", None, None, None:
                pass
            case _:
                raise LocalProtocolError(f"{self} is no action of vCont")
        return text if self.thread == ALL_THREADS else text + b":" + encode_thread_id(self.thread)


@dataclass(frozen=True, slots=True)
class VCont:
    """``vCont``: for each thread the first of ``actions`` that names it, or that names all."""

    actions: tuple[VContAction, ...]

    def encode(self) -> bytes:
        """Return the payload."""
        if not self.actions:
            raise LocalProtocolError("vCont needs an action")
        return b"vCont;" + b";".join(action.encode() for action in self.actions)


def _parse_address(text: bytes) -> int | None:
    return parse_number(text, "an address to resume at") if text else None


def _parse_signal(body: bytes) -> tuple[int, int | None]:
    signal, semicolon, address = body.partition(b";")
    if _SIGNAL.fullmatch(signal) is None or (semicolon and not address):
        raise RemoteProtocolError(f"expected a signal of two hex digits and perhaps an address, not {show(body)}")
    return int(signal, 16), _parse_address(address)


def _parse_action(text: bytes) -> VContAction:
    action, colon, thread_text = text.partition(b":")
    thread = parse_thread_id(thread_text) if colon else ALL_THREADS
    found = _ACTION.fullmatch(action)
    if found is None:
        raise RemoteProtocolError(f"{show(action)} is no action of vCont")
    plain, signalled, signal, start, end = found.groups()
    if plain is not None:
        return VContAction(cast("ActionKind", plain.decode("ascii")), thread=thread)
    if signalled is not None:
        return VContAction(cast("ActionKind", signalled.decode("ascii")), signal=int(signal, 16), thread=thread)
    low, high = int(start, 16), int(end, 16)
    if low > high:
        raise RemoteProtocolError(f"a range to step in begins at {low:#x} after its end {high:#x}")
    return VContAction("r", start=low, end=high, thread=thread)


def _parse_vcont(body: bytes) -> VCont:
    return VCont(tuple(_parse_action(action) for action in body.split(b";")))


ResumeRequest = Continue | ContinueWithSignal | Step | StepWithSignal | VContQuery | VCont

WHOLE: dict[bytes, ResumeRequest] = {b"vCont?": VContQuery()}

PARSERS: dict[bytes, Callable[[bytes], ResumeRequest]] = {
    b"c": lambda body: Continue(_parse_address(body)),
    b"C": lambda body: ContinueWithSignal(*_parse_signal(body)),
    b"s": lambda body: Step(_parse_address(body)),
    b"S": lambda body: StepWithSignal(*_parse_signal(body)),
    b"vCont;": _parse_vcont,
}
