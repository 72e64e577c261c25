# SPDX-License-Identifier: Apache-2.0
"""Every request of the protocol that is known here, one class each, and ``parse_request``.

A request is frozen data with ``encode() -> bytes``, its payload. The classes live in one module a feature, beside
their grammar and a transcript; the tables of those modules, joined here, are the list of what is understood.
``encode`` raises ``LocalProtocolError`` rather than write what ``parse_request`` would not read back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nullmodem.errors import LocalProtocolError
from nullmodem.rsp import breakpoints, lifecycle, memory, queries, registers, resume, threads
from nullmodem.rsp.breakpoints import BreakpointKind, BreakpointRequest, InsertBreakpoint, RemoveBreakpoint
from nullmodem.rsp.hexadecimal import show
from nullmodem.rsp.lifecycle import (
    Detach,
    ExtendedMode,
    HaltReason,
    Kill,
    LifecycleRequest,
    MustReplyEmpty,
    Restart,
    StartNoAck,
    SwitchToKdb,
    VAttach,
    VRun,
)
from nullmodem.rsp.memory import Crc, MemoryRequest, ReadBinary, ReadMemory, SearchMemory, WriteBinary, WriteMemory
from nullmodem.rsp.queries import Attached, Monitor, Offsets, QueryRequest, Supported, Xfer
from nullmodem.rsp.registers import ReadRegister, ReadRegisters, RegisterRequest, WriteRegister, WriteRegisters
from nullmodem.rsp.resume import (
    Continue,
    ContinueWithSignal,
    ResumeRequest,
    Step,
    StepWithSignal,
    VCont,
    VContAction,
    VContQuery,
)
from nullmodem.rsp.threads import (
    ALL_THREADS,
    ANY_THREAD,
    CurrentThread,
    SelectThread,
    ThreadAlive,
    ThreadExtraInfo,
    ThreadInfoFirst,
    ThreadInfoNext,
    ThreadRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ALL_THREADS",
    "ANY_THREAD",
    "Attached",
    "BreakpointKind",
    "Continue",
    "ContinueWithSignal",
    "Crc",
    "CurrentThread",
    "Detach",
    "ExtendedMode",
    "HaltReason",
    "InsertBreakpoint",
    "Kill",
    "Monitor",
    "MustReplyEmpty",
    "Offsets",
    "ReadBinary",
    "ReadMemory",
    "ReadRegister",
    "ReadRegisters",
    "RemoveBreakpoint",
    "Request",
    "Restart",
    "SearchMemory",
    "SelectThread",
    "StartNoAck",
    "Step",
    "StepWithSignal",
    "Supported",
    "SwitchToKdb",
    "ThreadAlive",
    "ThreadExtraInfo",
    "ThreadInfoFirst",
    "ThreadInfoNext",
    "Unknown",
    "VAttach",
    "VCont",
    "VContAction",
    "VContQuery",
    "VRun",
    "WriteBinary",
    "WriteMemory",
    "WriteRegister",
    "WriteRegisters",
    "Xfer",
    "parse_request",
]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A request that is not known here. The answer to it is the empty packet."""

    payload: bytes

    def encode(self) -> bytes:
        """Refuse: what is not understood is never passed on.

        Raises:
            LocalProtocolError: always.
        """
        raise LocalProtocolError(f"the request {show(self.payload)} is not understood, so it cannot be sent")


Request: TypeAlias = (
    BreakpointRequest
    | LifecycleRequest
    | MemoryRequest
    | QueryRequest
    | RegisterRequest
    | ResumeRequest
    | ThreadRequest
    | Unknown
)

_WHOLE: dict[bytes, Request] = {**lifecycle.WHOLE, **queries.WHOLE, **registers.WHOLE, **resume.WHOLE, **threads.WHOLE}

_PARSERS: dict[bytes, Callable[[bytes], Request]] = {}
_TABLES: tuple[Mapping[bytes, Callable[[bytes], Request]], ...] = (
    breakpoints.PARSERS,
    lifecycle.PARSERS,
    memory.PARSERS,
    queries.PARSERS,
    registers.PARSERS,
    resume.PARSERS,
    threads.PARSERS,
)
for _table in _TABLES:
    _PARSERS.update(_table)

_LENGTHS = sorted({len(prefix) for prefix in _PARSERS}, reverse=True)


def parse_request(payload: bytes) -> Request:
    """Read the payload of a client's packet.

    A payload that begins like no known request is ``Unknown``, which is not an error: the protocol grows, and a
    stub's answer to what it does not know is the empty packet.

    Raises:
        RemoteProtocolError: it begins like a known request and goes on against its grammar, or out of bounds.
    """
    if payload in _WHOLE:
        return _WHOLE[payload]
    for length in _LENGTHS:
        parser = _PARSERS.get(payload[:length])
        if parser is not None:
            return parser(payload[length:])
    return Unknown(payload)
