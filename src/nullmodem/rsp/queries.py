# SPDX-License-Identifier: Apache-2.0
"""Queries about the stub and what it serves: ``qSupported``, ``qXfer``, ``qOffsets``, ``qAttached``, ``qRcmd``.

::

    -> qSupported:swbreak+;hwbreak+;vContSupported+   <- PacketSize=4000;qXfer:libraries:read+;vContSupported+
    -> qXfer:libraries:read::0,1000                   <- l<library-list version="1.0"/>
    -> qOffsets                                       <- TextSeg=ffffffffa1e00000
    -> qRcmd,6c736d6f64 (lsmod)                       <- O4d6f64756c65...  <- OK
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.errors import LocalProtocolError, RemoteProtocolError
from nullmodem.rsp.hexadecimal import (
    encode_hex,
    encode_number,
    encode_range,
    parse_hex,
    parse_number,
    parse_range,
    show,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_OBJECT = re.compile(rb"[a-zA-Z0-9_-]{1,64}")
_ANNEX = re.compile(rb"[\x20-\x7e]{0,4096}")
_XFER = re.compile(rb"(%b):read:(%b):([^:]*)" % (_OBJECT.pattern, _ANNEX.pattern))
_FEATURE = re.compile(rb"[\x20-\x3a\x3c-\x7e]+")
_FEATURES = re.compile(rb"[\x20-\x7e]*")


def _encode_text(text: str, pattern: re.Pattern[bytes]) -> bytes:
    data = text.encode("utf-8", "replace")
    if pattern.fullmatch(data) is None:
        raise LocalProtocolError(f"{text!a} cannot be a field of a query")
    return data


@dataclass(frozen=True, slots=True)
class Supported:
    """``qSupported``: what the client can do, such as ``swbreak+``, as it wrote it; empty ones left out."""

    features: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Return the payload."""
        features = b";".join(_encode_text(feature, _FEATURE) for feature in self.features)
        return b"qSupported:" + features if features else b"qSupported"


@dataclass(frozen=True, slots=True)
class Xfer:
    """``qXfer:OBJECT:read``: ``length`` bytes from ``offset`` on of the document ``annex`` of ``object``."""

    object: str
    annex: str
    offset: int
    length: int

    def encode(self) -> bytes:
        """Return the payload."""
        names = (_encode_text(self.object, _OBJECT), _encode_text(self.annex, _ANNEX))
        return b"qXfer:%b:read:%b:" % names + encode_range(self.offset, self.length)


@dataclass(frozen=True, slots=True)
class Offsets:
    """``qOffsets``: where do the executable's segments lie?"""

    def encode(self) -> bytes:
        """Return the payload."""
        return b"qOffsets"


@dataclass(frozen=True, slots=True)
class Attached:
    """``qAttached``: did the stub attach to what it debugs (1) or start it (0)?"""

    pid: int | None = None

    def encode(self) -> bytes:
        """Return the payload."""
        return b"qAttached" if self.pid is None else b"qAttached:" + encode_number(self.pid)


@dataclass(frozen=True, slots=True)
class Monitor:
    """``qRcmd``: a line for the stub's own command interpreter: gdb's ``monitor``, the kernel's kdb."""

    command: str

    def encode(self) -> bytes:
        """Return the payload."""
        try:
            return b"qRcmd," + encode_hex(self.command.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"the command {self.command!a} is no text") from error


def _parse_supported(body: bytes) -> Supported:
    if _FEATURES.fullmatch(body) is None:
        raise RemoteProtocolError(f"the features in {show(body)} are not text")
    return Supported(tuple(feature for feature in body.decode("ascii").split(";") if feature))


def _parse_xfer(body: bytes) -> Xfer:
    found = _XFER.fullmatch(body)
    if found is None:
        raise RemoteProtocolError(f"qXfer needs object:read:annex:offset,length, not {show(body)}")
    return Xfer(found[1].decode("ascii"), found[2].decode("ascii"), *parse_range(found[3]))


def _parse_monitor(body: bytes) -> Monitor:
    try:
        return Monitor(parse_hex(body).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("a monitor command must be UTF-8 text") from error


QueryRequest = Supported | Xfer | Offsets | Attached | Monitor

WHOLE: dict[bytes, QueryRequest] = {b"qSupported": Supported(), b"qOffsets": Offsets(), b"qAttached": Attached()}

PARSERS: dict[bytes, Callable[[bytes], QueryRequest]] = {
    b"qSupported:": _parse_supported,
    b"qXfer:": _parse_xfer,
    b"qAttached:": lambda body: Attached(parse_number(body, "a process id")),
    b"qRcmd,": _parse_monitor,
}
