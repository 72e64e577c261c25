# SPDX-License-Identifier: Apache-2.0
"""Two ways to debug the same kernel with the same gdb, each with a count of what travels on the kernel's wire.

``Plain`` is gdb straight on the kernel's stub, as the kernel's documentation describes it: booted with ``nokaslr``,
modules' symbols by the kernel's own scripts (``lx-symbols``) or by ``add-symbol-file``. ``Session`` is the same gdb on
a nullmodem session. A scenario does not know which of the two it has.
"""

from __future__ import annotations

import abc
import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

from nullmodem.api.boot import open_files, take_over
from nullmodem.bench.copies import copy_module, copy_name
from nullmodem.errors import SessionError
from nullmodem.frontends.gdb.launch import SETTINGS, find_gdb, index_cache
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.kbuild import cache_root
from nullmodem.symbols.module_file import ModuleFile
from nullmodem.symbols.store import ModuleStore
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.share import MOUNT_POINT
from nullmodem.targets.spec import QemuSpec
from nullmodem.testing.gdb import Gdb
from nullmodem.testing.relay import Relay
from nullmodem.wire.streams import SocketStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nullmodem.kbuild import BuiltModule, Kernel
    from nullmodem.targets.target import ExecResult
    from nullmodem.testing.relay import Exchange
    from nullmodem.testing.throttle import Speed
    from nullmodem.wire.meter import WireCost

PATIENCE = 120.0
"""Seconds for a command of a plain gdb that takes hundreds of round trips, on a machine that emulates."""


@dataclass(frozen=True, slots=True)
class World:
    """What both sides have in common. ``modules``: built ones, by name. ``speed``: that of the wire; None: no limit."""

    kernel: Kernel
    gdb: str
    modules: Mapping[str, BuiltModule] = field(default_factory=dict)
    memory_mb: int = 256
    cpus: int = 1
    speed: Speed | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What one operation took: bytes and round trips, each request with its answer, and seconds of wall time."""

    cost: WireCost
    exchanges: tuple[Exchange, ...]
    seconds: float

    def __add__(self, other: Measured) -> Measured:
        return Measured(self.cost + other.cost, self.exchanges + other.exchanges, self.seconds + other.seconds)

    @property
    def bytes(self) -> int:
        return self.cost.bytes_out + self.cost.bytes_in

    @property
    def round_trips(self) -> int:
        return self.cost.round_trips


class OnTarget:
    """A command under way on the target, which may be stopped under it."""

    def __init__(self, target: QemuTarget, command: str) -> None:
        self._target = target
        self._command = command
        self._result: ExecResult | None = None
        self._thread = threading.Thread(target=self._run, name=command, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._result = self._target.exec(self._command)

    def wait(self) -> None:
        """Its end, which must be a good one."""
        self._thread.join(PATIENCE)
        if self._result is None:
            msg = f"`{self._command}` has not ended on the target within {PATIENCE:.0f} s"
            raise SessionError(msg)
        self._result.check()


def require(wanted: str, said: str) -> None:
    """Raise SessionError unless gdb, or the target, has said this."""
    if wanted not in said:
        msg = f"{wanted!r} was to be said, and this was: {said[-2000:]}"
        raise SessionError(msg)


class Side(abc.ABC):
    """A kernel that runs, the count on its wire, and the gdb on it. For ``with``: closed at its end.

    ``measured`` is filled by `counted`, in the order of a scenario.
    """

    name: ClassVar[str]
    kaslr: ClassVar[bool]
    gdb: Gdb

    def __init__(self, world: World, workdir: Path) -> None:
        self.world = world
        self.workdir = workdir
        self.measured: dict[str, Measured] = {}
        self._gdb = find_gdb(world.gdb)
        self._copies: Path | None = None
        with contextlib.ExitStack() as stack:
            workdir.mkdir(mode=0o700)
            spec = QemuSpec(kernel=world.kernel.image, kaslr=self.kaslr, memory_mb=world.memory_mb, cpus=world.cpus)
            self.target = stack.enter_context(QemuTarget.launch(spec, workdir / "target", cache=cache_root()))
            self.relay = Relay(self.target.kgdb, workdir / "wire", speed=world.speed)
            stack.callback(self.relay.close)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def counted(self, operation: str) -> Iterator[None]:
        """Count what happens inside as ``operation``."""
        cost, exchanges = self.relay.cost, len(self.relay.exchanges)
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        found = Measured(self.relay.cost - cost, self.relay.exchanges[exchanges:], seconds)
        before = self.measured.get(operation)
        self.measured[operation] = found if before is None else before + found

    # -- gdb -----------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def attach(self) -> None:
        """Connect a new gdb to the running target, which stops it; ``gdb`` is that gdb from here on."""

    @abc.abstractmethod
    def forget(self) -> None:
        """Let the running target go, as if nobody had debugged it yet; `begin` comes next."""

    @abc.abstractmethod
    def begin(self) -> None:
        """Attach to a target that nothing is known of; gdb has the symbols of all modules that are loaded."""

    @abc.abstractmethod
    def follow(self) -> None:
        """See that gdb gets modules' symbols when they are loaded."""

    @abc.abstractmethod
    def symbols(self, module: str) -> None:
        """See that gdb has the symbols of a module that is loaded."""

    @abc.abstractmethod
    def interrupt(self) -> None:
        """Stop the target that runs under gdb's ``continue``; gdb is at its prompt when this returns."""

    def type(self, command: str) -> str:
        """Type a command into gdb; what it says."""
        return self.gdb(command)

    def resume(self) -> None:
        """Continue in gdb; returns when the target runs."""
        self.gdb.send("continue")

    def leave(self) -> None:
        """Detach and end gdb; the target runs on."""
        self.gdb("detach")
        self.gdb.quit()

    # -- the target ----------------------------------------------------------------------------------------------

    def hit(self, command: str) -> tuple[str, OnTarget]:
        """Continue, have the target run ``command``, wait for gdb's prompt; what gdb said, and the command."""
        self.resume()
        running = OnTarget(self.target, command)
        return self.gdb.wait(PATIENCE), running

    def let_run(self, command: OnTarget) -> None:
        """Continue until the command has ended, and stop the target again."""
        self.resume()
        command.wait()
        self.interrupt()

    def run(self, command: str) -> str:
        """What a command prints on the running target."""
        return self.target.exec(command, timeout=PATIENCE).check().text

    def load(self, module: str) -> None:
        """Load a module, on the running target."""
        self.run(f"insmod {self.target.push(self.world.modules[module].ko)}")

    def unload(self, module: str) -> None:
        """Unload a module, on the running target."""
        self.run(f"rmmod {module}")

    @contextlib.contextmanager
    def crowded(self, tasks: int, copied: str, copies: int) -> Iterator[None]:
        """So many sleeping tasks, and so many copies of a module, on the running target."""
        names = " ".join(copy_name(copied, number) for number in range(copies))
        if copies:
            self._copies = self.target.share / copied
            copy_module(self.world.modules[copied].ko, self._copies, copies)
            self.run(f"for name in {names}; do insmod {MOUNT_POINT}/{copied}/$name.ko || exit; done")
        if tasks:
            self.run(f"for number in $(seq {tasks}); do sleep 1000000 </dev/null >/dev/null 2>&1 & done")
        yield
        # Not after an error: the target may be stopped, and would not answer.
        if tasks:
            self.run("killall sleep")
        if copies:
            self.run(f"for name in {names}; do rmmod $name || exit; done")

    def another_gdb(self) -> Gdb:
        """One more gdb on the target, connected. Raises SessionError where there can be only one."""
        msg = "kgdb serves one gdb"
        raise SessionError(msg, hint='Mark this step only = "nullmodem".')

    def _open_gdb(self, *arguments: str) -> Gdb:
        # Symbols from gdb's cache: that makes it start sooner, and costs the wire nothing either way.
        start = (*index_cache(self._gdb), *arguments)
        return self._stack.enter_context(Gdb(self._gdb.path, *start, patience=PATIENCE))


class Plain(Side):
    """gdb on the kernel's stub, with nothing but a count between."""

    name = "plain"
    kaslr = False

    def __init__(self, world: World, workdir: Path) -> None:
        super().__init__(world, workdir)
        self._noted: dict[str, str] = {}
        self._store = ModuleStore(workdir / "copies")

    def attach(self) -> None:
        # What a user of `add-symbol-file` writes down before the target stops: it costs the wire nothing.
        for module in self.world.modules:
            noted = f"/sys/module/{module}/sections"
            self._noted[module] = self.run(f"! test -d {noted} || (cd {noted} && grep . $(ls -A))")
        self._attach()

    def _attach(self) -> None:
        scripts = f"add-auto-load-safe-path {self.world.kernel.build_tree}"
        self.gdb = self._open_gdb("-iex", scripts, str(self.world.kernel.vmlinux))
        self._break_in()
        require("Remote debugging using", self.gdb(f"target remote {self.relay.address}"))

    def forget(self) -> None:
        """Nothing is known between one gdb and the next."""

    def begin(self) -> None:
        self._attach()
        self.follow()

    def follow(self) -> None:
        places = {str(module.ko.parent) for module in self.world.modules.values()}
        if self._copies is not None:
            places.add(str(self._copies))
        require("loading vmlinux", self.gdb(f"lx-symbols {' '.join(sorted(places))}"))

    def symbols(self, module: str) -> None:
        sections = dict(line.split(":") for line in self._noted[module].splitlines())
        text = sections.pop(".text")
        others = " ".join(f"-s {name} {address}" for name, address in sections.items())
        # Of a .ko as 6.12 links it gdb finds no data; the copy is one without what misleads it.
        copy = self._store.instance(ModuleFile.open(self.world.modules[module].ko))
        require("Reading symbols", self.gdb(f"add-symbol-file {copy} {text} {others}"))

    def interrupt(self) -> None:
        self._break_in()
        self.gdb.wait(PATIENCE)

    def resume(self) -> None:
        super().resume()
        self.run("true")  # it does run

    def _break_in(self) -> None:
        """gdb's own Ctrl-C does nothing to a kernel that runs."""
        printed = self.target.console.position
        self.target.break_in()
        self.target.console.wait("sysrq: DEBUG", PATIENCE, since=printed)


class Session(Side):
    """gdb on a session; the count is between the session and the kernel."""

    name = "nullmodem"
    kaslr = True

    def __init__(self, world: World, workdir: Path) -> None:
        super().__init__(world, workdir)
        self._files = open_files(world.kernel, workdir)
        self._session = self._stack.enter_context(contextlib.ExitStack())
        self._serve()

    def _serve(self) -> None:
        wire = self._session.enter_context(self.relay.connect())
        self.machine = take_over("bench", self.target, SocketStream(wire), self._files, self.world.kernel, self.workdir)
        self._session.callback(self.machine.live.close, release=False)
        for module in self.world.modules.values():
            self.machine.add(module)
        listener = listen_unix(self.workdir / "gdb")
        self._session.callback((self.workdir / "gdb").unlink)
        self.server = GdbServer(self.machine.live, listener)
        self._session.callback(self.server.close)

    def attach(self) -> None:
        self.gdb = self.another_gdb()

    def another_gdb(self) -> Gdb:
        """One more gdb on the target, connected."""
        gdb = self._open_gdb(*SETTINGS, self.machine.live.vmlinux)
        require("Remote debugging using", gdb(f"target remote {self.server.address}"))
        return gdb

    def connect(self) -> socket.socket:
        """A connection as gdb's, for a client in this process."""
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.server.address)
        return client

    def begin(self) -> None:
        # Where the files are is no secret: plain gdb is told, too.
        if self._copies is not None:
            self._files.finder.add(self._copies)
        self._serve()
        self.attach()

    def forget(self) -> None:
        self.run("true")  # it does run: what would stop it is lost on one that is about to
        self.machine.live.close(release=True)
        self._session.close()

    def follow(self) -> None:
        """It does."""

    def symbols(self, module: str) -> None:
        """It has."""

    def interrupt(self) -> None:
        self.gdb.interrupt()
        self.gdb.wait(PATIENCE)

    def resume(self) -> None:
        super().resume()
        self.machine.live.wait_until_running(PATIENCE)
