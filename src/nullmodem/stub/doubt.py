# SPDX-License-Identifier: Apache-2.0
"""An answer that may be the last one, said once more: was the request carried out?

A request that was lost whole, in front of a stub that waits for the acknowledgement of its last answer, is met with
silence. The ``-`` that asks for the lost answer brings out the last one. Where that would be a good answer to the
request, too, such as ``OK`` behind ``OK``, nothing on the line tells the two apart. What the target says of itself
does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.errors import StubError, WireTimeout
from nullmodem.rsp import replies, requests
from nullmodem.rsp.hexadecimal import encode_hex

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.rsp.requests import Request

_ENOENT: Final = 2
_EEXIST: Final = 17


class Unconfirmed(WireTimeout):
    """Whether a request was carried out is not known, and cannot be found out."""


def settle(request: Request, reply: bytes, ask: Callable[[Request], bytes], stands: Callable[[], bool]) -> bytes:
    """The answer to ``request``, whose answer may have been ``reply``. It has been carried out once when this returns.

    ``ask`` is one more exchange, ``stands`` tells whether the target still answers.

    Raises StubError as ``ask`` does; Unconfirmed.
    """
    match request:
        case requests.InsertBreakpoint(kind=requests.BreakpointKind.SOFTWARE):
            return _again(request, reply, ask, _EEXIST)
        case requests.RemoveBreakpoint(kind=requests.BreakpointKind.SOFTWARE):
            return _again(request, reply, ask, _ENOENT)
        case requests.WriteMemory(address, data) if data:
            is_so = ask(requests.ReadMemory(address, len(data))) == encode_hex(data)
            return reply if is_so else ask(request)
        case requests.WriteRegister(number, data):
            is_so = ask(requests.ReadRegister(number)) == encode_hex(data)
            return reply if is_so else ask(request)
        case requests.Detach():
            return ask(request) if stands() else reply
        case requests.InsertBreakpoint() | requests.RemoveBreakpoint() | requests.Monitor() | requests.ThreadInfoNext():
            # The stub takes a second debug register for the same address, and runs a command a second time.
            raise Unconfirmed(f"whether {type(request).__name__} was carried out is not known: its answer was lost")
        case _:
            return ask(request)


def _again(request: Request, reply: bytes, ask: Callable[[Request], bytes], done: int) -> bytes:
    """Breakpoints in code are there or not: the second time is refused as ``done``, and changes nothing."""
    try:
        return ask(request)
    except StubError as error:
        if error.errno != done or reply != replies.OK:
            raise
        return reply
