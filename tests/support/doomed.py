# SPDX-License-Identifier: Apache-2.0
"""A session with a journal, in a process of its own, to be killed: ``python -m support.doomed WIRE VMLINUX SEARCH``.

Says what it has done, a line each, and obeys its input: ``break MODULE:FUNCTION OFFSET``, ``continue``, ``step``,
``wait``.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from nullmodem.api.live import LiveSession
from nullmodem.api.sessions import SessionRecord, claim
from nullmodem.kbuild import cache_root
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.events import EventBus
from nullmodem.session.journal import Journal, JournaledStub, JournalHead
from nullmodem.session.model import Resume, ResumeKind
from nullmodem.session.session import Session
from nullmodem.session.world import Files
from nullmodem.stub.arch import by_elf_machine
from nullmodem.stub.client import KgdbStub
from nullmodem.symbols.finder import ModuleFinder
from nullmodem.symbols.for_gdb import vmlinux_for_gdb
from nullmodem.symbols.store import ModuleStore
from nullmodem.symbols.types import TypeInfo
from nullmodem.symbols.vmlinux import Vmlinux
from nullmodem.wire.opening import open_wire
from nullmodem.wire.spec import parse_wire

SECONDS = 60.0


def main(wire: str, vmlinux: str, search: str) -> None:
    record = SessionRecord(os.getpid(), time.time(), "0", 0, "test", "0", vmlinux, "", search)
    entry = claim("board", record, exact=True)
    kernel = Vmlinux.open(Path(vmlinux))
    store = ModuleStore(entry.session.directory / "modules")
    for_gdb = vmlinux_for_gdb(kernel, cache_root() / "vmlinux")
    files = Files(kernel, for_gdb, TypeInfo.open(kernel.path), ModuleFinder([search]), store)
    session = Session(KgdbStub(open_wire(parse_wire(wire)), by_elf_machine(kernel.machine)), files, EventBus())
    journal = Journal(entry.session.journal, JournalHead(wire, vmlinux, (search,), pid=os.getpid()))
    session.table.send_through(lambda inserter: JournaledStub(inserter, journal))
    live = LiveSession(session, lambda: print("break in", flush=True))
    live.start(SECONDS)
    print("stopped", flush=True)
    client = live.attach("doomed")
    obey(live, client)


def obey(live: LiveSession, client: str) -> None:
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        stop = live.stop
        assert stop is not None
        match command:
            case "break":
                place, _, offset = argument.partition(" ")
                module, _, function = place.partition(":")
                print(hex(set_breakpoint(live, client, module, function, int(offset or "0"))), flush=True)
                continue
            case "continue":
                live.resume(client, Resume())
            case "step":
                live.resume(client, Resume(ResumeKind.STEP))
            case "wait":
                pass
        if command != "continue":
            stop = live.wait_for_stop(SECONDS, after=stop.number if command == "step" else 0)
            print(stop.reason.value, live.describe(stop.pc), flush=True)
        else:
            print("running", flush=True)


def set_breakpoint(live: LiveSession, client: str, name: str, function: str, offset: int) -> int:
    """``offset`` bytes behind the beginning of a module's function."""
    module = live.module(name)
    assert module.file is not None
    symbol = module.file.symbol(function)
    assert symbol is not None
    section = next(s for s in module.sections if s.section.name == symbol.section)
    address = section.address + symbol.offset + offset
    live.insert(client, Breakpoint(BreakpointKind.SOFTWARE, address, 1))
    return address


if __name__ == "__main__":
    main(*sys.argv[1:])
