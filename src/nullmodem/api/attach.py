# SPDX-License-Identifier: Apache-2.0
"""Attach to a kernel that runs already, on whatever machine, through whatever line."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.api.beginning import begin
from nullmodem.api.debuginfod import Debuginfod
from nullmodem.api.files import read_files, release_of, usual_places
from nullmodem.api.lines import ConsoleAt, open_lines
from nullmodem.api.machine import Machine
from nullmodem.api.shipped import ShippedModules
from nullmodem.api.ways import DEFAULT_WAYS, make_ways, parse_ways
from nullmodem.errors import TargetError, UsageError
from nullmodem.kbuild import open_build_tree
from nullmodem.session.events import EventBus
from nullmodem.session.journal import Journal, JournaledStub, JournalHead
from nullmodem.session.model import Lost, Policy
from nullmodem.session.session import Session
from nullmodem.stub.arch import by_elf_machine
from nullmodem.stub.client import KgdbStub, Patience
from nullmodem.symbols.plain import no_debug_info
from nullmodem.symbols.vmlinux import Vmlinux
from nullmodem.targets.board import BoardTarget
from nullmodem.targets.console_shell import ConsoleShell
from nullmodem.targets.ssh_shell import SshShell
from nullmodem.waiting import wait_readable
from nullmodem.wire.log import WireLog
from nullmodem.wire.recorder import Recorder
from nullmodem.wire.reopening import SECONDS
from nullmodem.wire.spec import Wire, baud_of, parse_wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.api.live import LiveSession
    from nullmodem.api.ways import WayName
    from nullmodem.kbuild import Kernel
    from nullmodem.session.breakpoints import Breakpoint
    from nullmodem.session.events import Subscription
    from nullmodem.targets.break_in import BreakInWays
    from nullmodem.targets.carrying import Shell
    from nullmodem.targets.console import Console
    from nullmodem.wire.streams import ByteStream

ATTACH_SECONDS = 45.0
RECONNECT_SECONDS = SECONDS


@dataclass(frozen=True, slots=True)
class AttachOptions:
    """The target. ``console`` is a line of its own, or whether it shares kgdb's. ``search`` are directories with
    modules' files; ``build_tree`` is where modules are built against, None when the vmlinux is not in one.
    ``debuginfod``: servers may be asked for debug info. ``record`` is a new file to which everything between the
    session and kgdb is recorded, ``wire_log`` one to which every packet is written. ``away``: seconds for a line that
    has gone to come back; 0: it ends the session.
    """

    wire: Wire
    vmlinux: Path
    console: Wire | ConsoleAt = ConsoleAt.SAME
    search: tuple[Path, ...] = ()
    build_tree: Path | None = None
    ways: tuple[WayName, ...] = parse_ways(DEFAULT_WAYS)
    policy: Policy = Policy.RELEASE
    debuginfod: bool = False
    record: Path | None = None
    wire_log: Path | None = None
    away: float = RECONNECT_SECONDS


def parse_console(text: str) -> Wire | ConsoleAt:
    """``same``, ``none`` or a line. Raises UsageError."""
    try:
        return ConsoleAt(text)
    except ValueError:
        return parse_wire(text)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out of the files, before a line is opened."""

    release: str
    kernel: Kernel | None
    search: tuple[Path, ...]


def look_at_files(options: AttachOptions) -> Found:
    """Raises UsageError, SymbolError: the vmlinux is none, or a directory is not there."""
    for directory in options.search:
        if not directory.exists():
            raise UsageError(f"there is no {directory} to look for modules in")
    vmlinux = Vmlinux.open(options.vmlinux)
    release = release_of(vmlinux)
    tree = options.build_tree or options.vmlinux.absolute().parent
    kernel = None
    try:
        kernel = open_build_tree(tree)
    except UsageError:
        if options.build_tree is not None:
            raise
    own = (kernel.build_tree,) if kernel is not None else ()
    return Found(release, kernel, (*options.search, *own, *usual_places(release)))


@dataclass(frozen=True, slots=True)
class Connection:
    """An open line with a session on it that has not met its target yet. ``shell`` runs commands there, if anything
    does. ``reopen`` opens the line once more, see `Lines.reopen`. ``resources`` closes what belongs to it.
    """

    session: Session
    ways: BreakInWays
    console: Console | None
    shell: Shell | None
    reopen: Callable[[bool], ByteStream]
    resources: contextlib.ExitStack


def connect(
    options: AttachOptions,
    search: tuple[Path, ...],
    workdir: Path,
    journal: Path | None = None,
    armed: tuple[Breakpoint, ...] = (),
) -> Connection:
    """Open the lines. ``journal`` is where the session notes what it arms, for `nullmodem recover`, besides what is
    ``armed`` already.

    Raises WireError, UsageError.
    """
    fetch = Debuginfod(os.environ.get("DEBUGINFOD_URLS", "")) if options.debuginfod else no_debug_info
    files = read_files(options.vmlinux, search, workdir, fetch=fetch)
    with contextlib.ExitStack() as stack:
        arch = by_elf_machine(files.vmlinux.machine)
        recorder = None
        if options.record is not None:
            recorder = Recorder(options.record, arch.name, {"wire": str(options.wire)})
            stack.callback(recorder.close)
        lines = open_lines(options.wire, options.console, workdir / "console.log", recorder, lasting=options.away > 0)
        stack.callback(lines.close)
        typing = ConsoleShell(lines.console, _console_baud(options)) if lines.console is not None else None
        ways = make_ways(options.ways, lines.line, lines.console, typing)
        shell = _shell(options, typing, stack)
        log = WireLog(options.wire_log)
        stack.callback(log.close)
        stub = KgdbStub(lines.stub, arch, patience=Patience(baud=baud_of(options.wire)), log=log)
        session = Session(stub, files, EventBus(), policy=options.policy)
        if recorder is not None:
            recorder.on_trouble = session.say
        if journal is not None:
            kept = Journal(journal, _head(options, search), armed)
            session.table.send_through(lambda inserter: JournaledStub(inserter, kept))
        return Connection(session, ways, lines.console, shell, lines.reopen, stack.pop_all())


def meet(made: Connection, options: AttachOptions) -> LiveSession:
    """Stop the kernel behind an open line, verify it, watch its modules, and let it run.

    Raises what `attach` does when the line is open.
    """

    def prepare(live: LiveSession) -> None:
        made.ways.stopped = live.stopped_within
        if options.away > 0:
            live.survives(made.reopen, options.away)

    try:
        return begin(made.session, made.ways, ATTACH_SECONDS, prepare, recorded=options.record is not None)
    except TargetError as error:
        raise TargetError(f"{error.message}\nand it does not answer as a stopped kgdb does", hint=error.hint) from None


def attach(
    name: str,
    options: AttachOptions,
    found: Found,
    workdir: Path,
    progress: Callable[[str], None] | None = None,
    *,
    journal: Path | None = None,
) -> Machine:
    """Open the line, stop the kernel, verify it, watch its modules, and let it run. ``workdir`` must be ours alone.

    ``journal`` is left behind at the end if something is left in the target.

    Raises:
        WireError, UsageError: a line cannot be opened.
        TargetError: the kernel could not be stopped; the message says what was tried.
        WireTimeout: it does not answer.
        IdentityError: another kernel runs than ``options.vmlinux``. It runs on.
    """
    tell = progress if progress is not None else _nobody
    tell(f"opening {options.wire}")
    made = connect(options, found.search, workdir, journal)
    with made.resources as stack:
        if journal is not None:
            stack.callback(_forget_if_free, made.session, journal)

        tell("stopping the kernel")
        live = meet(made, options)
        resources = stack.pop_all()
    target = BoardTarget(made.ways, made.console, made.shell, resources)
    resources.push(_watch(live, target))
    shipped = ShippedModules(found.release, found.search, workdir)
    return Machine(name, live, target, found.kernel, workdir, shipped)


def _shell(options: AttachOptions, typing: ConsoleShell | None, stack: contextlib.ExitStack) -> Shell | None:
    """ssh, if the user has named a way by it: it is faster, and leaves the console to the user."""
    for way in options.ways:
        if way.kind == "ssh":
            shell = SshShell(way.place)
            stack.callback(shell.close)
            return shell
    return typing


def _console_baud(options: AttachOptions) -> int | None:
    return baud_of(options.wire if isinstance(options.console, ConsoleAt) else options.console)


def _forget_if_free(session: Session, journal: Path) -> None:
    if session.stub.rebooted or not session.table.armed:
        journal.unlink(missing_ok=True)


def _head(options: AttachOptions, search: tuple[Path, ...]) -> JournalHead:
    console = options.console.value if isinstance(options.console, ConsoleAt) else str(options.console)
    ways = tuple(str(way) for way in options.ways)
    places = tuple(str(place) for place in search)
    return JournalHead(str(options.wire), str(options.vmlinux), places, console, ways, os.getpid())


def _watch(live: LiveSession, target: BoardTarget) -> Callable[..., None]:
    """Tell the target when its line is lost. Returns what ends the watch."""
    events = live.subscribe()
    reader, writer = os.pipe()
    thread = threading.Thread(target=_follow, args=(events, reader, target), name="nullmodem-lost", daemon=True)
    thread.start()

    def end(*_exception: object) -> None:
        os.write(writer, b"x")
        if threading.current_thread() is not thread:
            thread.join()
        events.close()
        os.close(reader)
        os.close(writer)

    return end


def _follow(events: Subscription, closing: int, target: BoardTarget) -> None:
    while closing not in wait_readable([closing, events.fileno()]):
        match events.get():
            case Lost(reason):
                target.lost(reason)
            case _:
                pass


def _nobody(_line: str) -> None:
    """For callers that do not want to be told."""
