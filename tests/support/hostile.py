# SPDX-License-Identifier: Apache-2.0
"""What the kernel's stub trusts its client with: each of these has overwritten memory, or made a kernel oops or die."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TRUSTED = {
    "an m beyond everything": b"m{text},ffffffffffffffff",
    "an m of a negative length": b"m{text},-1",
    "an m over the end of memory": b"mfffffffffffffff8,10",
    "an x beyond everything": b"x{text},ffffffffffffffff",
    "an M that carries less than it says": b"M{stack},ffff:00",
    "an M that carries other digits": b"M{stack},8:00",
    "an M of no hex": b"M{stack},1:zz",
    "an M that carries more": b"M{stack},1:0000",
    "an M of odd digits": b"M{stack},1:0",
    "an X that carries less than it says": b"X{stack},ffff:",
    "an X that carries more": b"X{stack},1:abc",
    "an M without a colon": b"M{stack},1",
    "a short G": b"G00",
    "an empty G": b"G",
    "a G of odd digits": b"G0",
    "a G of no hex": b"G" + b"zz" * 156,
    "a P without a value": b"P10=",
    "a P of too little": b"P10=00",
    "a P of too much": b"P10=" + b"00" * 9,
    "a P of no hex": b"P10=zzzzzzzzzzzzzzzz",
    "a P of no register": b"P18=0000000000000000",
    "a P of a huge number": b"Pffffffffffffffff=00",
    "a P of orig_rax": b"P39=0000000000000000",
    "a P without an equals sign": b"P10",
    "a c with an address": b"c{text}",
    "a c with junk": b"czz",
    "an s with an address": b"s{text}",
    "an s with junk": b"s;;;",
    "a C with an address": b"C05;{text}",
    "a reboot": b"R0",
    "a restart": b"R00",
    "kdb": b"3",
    "a breakpoint in data": b"Z0,{data},1",
    "a breakpoint in freed init code": b"Z0,{init},1",
    "a breakpoint in user space": b"Z0,1000,1",
    "a breakpoint nowhere": b"Z0,ffffffffffffe000,1",
    "a hardware breakpoint in data": b"Z1,{data},1",
    "a watchpoint of no length": b"Z2,{stack},0",
    "a watchpoint of every length": b"Z2,0,ffffffffffffffff",
    "a watchpoint over the end": b"Z2,ffffffffffffffff,8",
    "a breakpoint of no kind": b"Z9,{text},1",
    "a breakpoint with junk": b"Z0,{text},1;junk",
    "a breakpoint without a length": b"Z0,{text}",
    "a removal with junk": b"z0,zz,1",
    "a step of another thread": b"vCont;s:7a1201",
    "a step of no thread": b"vCont;s:dead",
    "a range backwards": b"vCont;r{text},0:{pid}",
    "a stop of one thread": b"vCont;t:{pid}",
    "a vCont of nothing": b"vCont;",
    "a vCont of junk": b"vCont;x",
    "a vCont of a huge thread": b"vCont;s:ffffffffffffffff",
    "a thread of a huge number": b"Hgffffffffffffffff",
    "a thread list's end": b"qsThreadInfo",
    "a document that is not there": b"qXfer:memory-map:read::0,100",
    "a document behind its end": b"qXfer:features:read:target.xml:ffffff,100",
    "a document written": b"qXfer:features:write:target.xml:0:00",
    "a document of a path": b"qXfer:features:read:../../etc/passwd:0,100",
    "a program to run": b"vRun;2f62696e2f7368",
    "a file": b"vFile:open:2f6574632f706173737764,0,0",
    "a search": b"qSearch:memory:0;ffffffffffffffff;x",
    "a checksum": b"qCRC:0,ffffffffffffffff",
    "monitor in half a byte": b"qRcmd,6",
    "monitor in no text": b"qRcmd,ff",
    "a feature in no text": b"qSupported:\xff\xfe",
}
"""Requests by what they are. ``{name}`` stands for a number that `fill` puts in."""


def fill(request: bytes, places: Mapping[str, int]) -> bytes:
    """The request with its places: ``text`` and ``init`` in the kernel's code, ``data``, ``stack``, and a ``pid``."""
    for name, value in places.items():
        request = request.replace(b"{%b}" % name.encode(), b"%x" % value)
    return request


def is_refusal(answer: bytes) -> bool:
    """Whether nothing was done: not supported, an error, or the end of a list."""
    return answer == b"" or answer.startswith((b"E", b"l"))
