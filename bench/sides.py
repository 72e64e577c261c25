# SPDX-License-Identifier: Apache-2.0
"""Two ways to debug the same kernel with the same gdb, each with a count of what travels on the kernel's wire.

``Plain`` is gdb straight on the kernel's stub, as the kernel's documentation describes it: booted with ``nokaslr``,
modules' symbols by the kernel's own scripts (``lx-symbols``) or by ``add-symbol-file``. ``Session`` is the same gdb on
a nullmodem session. A scenario does not know which of the two it has.
"""

from __future__ import annotations

import abc
import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from nullmodem.api.boot import BootOptions, boot
from nullmodem.frontends.gdb.launch import find_gdb, index_cache
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.symbols.module_file import ModuleFile
from nullmodem.symbols.store import ModuleStore
from nullmodem.targets.qemu import QemuTarget
from nullmodem.targets.spec import QemuSpec
from nullmodem.testing.gdb import Gdb
from nullmodem.testing.relay import Relay

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from nullmodem.kbuild import BuiltModule, Kernel
    from nullmodem.targets.target import ExecResult
    from nullmodem.testing.relay import Exchange
    from nullmodem.wire.meter import WireCost

PATIENCE = 120.0
"""Seconds for a command of a plain gdb that takes hundreds of round trips, on a machine that emulates."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one operation took: bytes and round trips, and each request with its answer."""

    cost: WireCost
    exchanges: tuple[Exchange, ...]

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
        assert self._result is not None, f"`{self._command}` has not ended"
        self._result.check()


class Side(abc.ABC):
    """A kernel that runs, the count on its wire, and the gdb on it. For ``with``: closed at its end.

    ``measured`` is filled by `counted`, in the order of a scenario.
    """

    target: QemuTarget
    relay: Relay
    gdb: Gdb

    def __init__(self, kernel: Kernel, gdb_path: str, modules: tuple[BuiltModule, ...]) -> None:
        self.kernel = kernel
        self.modules = {module.name: module for module in modules}
        self.measured: dict[str, Measured] = {}
        self._gdb = find_gdb(gdb_path)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def counted(self, operation: str) -> Iterator[None]:
        """Count what happens inside as ``operation``."""
        cost, exchanges = self.relay.cost, len(self.relay.exchanges)
        yield
        self.measured[operation] = Measured(self.relay.cost - cost, self.relay.exchanges[exchanges:])

    # -- gdb -----------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def attach(self) -> None:
        """Connect a new gdb to the running target, which stops it; ``gdb`` is that gdb from here on."""

    @abc.abstractmethod
    def follow_modules(self) -> None:
        """See that gdb gets modules' symbols when they are loaded."""

    @abc.abstractmethod
    def learn(self, module: str) -> None:
        """See that gdb has the symbols of a module that is loaded."""

    @abc.abstractmethod
    def interrupt(self) -> None:
        """Stop the target that runs under gdb's ``continue``; gdb is at its prompt when this returns."""

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

    def insmod(self, module: str) -> str:
        """The command that loads a module."""
        return f"insmod {self.target.push(self.modules[module].ko)}"

    def _open_gdb(self, *arguments: str) -> Gdb:
        # Symbols from gdb's cache: that makes it start sooner, and costs the wire nothing either way.
        start = (*index_cache(self._gdb), *arguments)
        return self._stack.enter_context(Gdb(self._gdb.path, *start, patience=PATIENCE))


class Plain(Side):
    """gdb on the kernel's stub, with nothing but a count between."""

    def __init__(self, kernel: Kernel, gdb_path: str, modules: tuple[BuiltModule, ...], workdir: Path) -> None:
        super().__init__(kernel, gdb_path, modules)
        with contextlib.ExitStack() as stack:
            spec = QemuSpec(kernel=kernel.image, kaslr=False)
            self.target = stack.enter_context(QemuTarget.launch(spec, workdir / "target"))
            self.relay = Relay(self.target.kgdb, workdir / "wire")
            stack.callback(self.relay.close)
            self._stack = stack.pop_all()
        self._noted: dict[str, str] = {}
        self._copies = ModuleStore(workdir / "copies")

    def attach(self) -> None:
        # What a user of `add-symbol-file` writes down before the target stops: it costs the wire nothing.
        for module in self.run("cut -d' ' -f1 /proc/modules").split():
            self._noted[module] = self.run(f"cd /sys/module/{module}/sections && grep . .[a-z]*")
        scripts = f"add-auto-load-safe-path {self.kernel.build_tree}"
        self.gdb = self._open_gdb("-iex", scripts, str(self.kernel.vmlinux))
        self._break_in()
        said = self.gdb(f"target remote {self.relay.address}")
        assert "Remote debugging using" in said, said

    def follow_modules(self) -> None:
        said = self.gdb("lx-symbols " + " ".join(str(module.ko.parent) for module in self.modules.values()))
        assert "loading vmlinux" in said, said

    def learn(self, module: str) -> None:
        sections = dict(line.split(":") for line in self._noted[module].splitlines())
        text = sections.pop(".text")
        others = " ".join(f"-s {name} {address}" for name, address in sections.items())
        # Of a .ko as 6.12 links it gdb finds no data; the copy is one without what misleads it.
        copy = self._copies.instance(ModuleFile.open(self.modules[module].ko))
        said = self.gdb(f"add-symbol-file {copy} {text} {others}")
        assert "Reading symbols" in said, said

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

    def __init__(self, kernel: Kernel, gdb_path: str, modules: tuple[BuiltModule, ...], workdir: Path) -> None:
        super().__init__(kernel, gdb_path, modules)
        with contextlib.ExitStack() as stack:

            def through(kernel_end: socket.socket) -> socket.socket:
                self.relay = Relay(kernel_end, workdir / "wire")
                stack.callback(self.relay.close)
                return stack.enter_context(self.relay.connect())

            workdir.mkdir(mode=0o700)
            self.machine = boot("bench", BootOptions(kernel=kernel), workdir, through=through)
            stack.callback(self.machine.close)
            for module in modules:
                self.machine.add(module)
            self.server = GdbServer(self.machine.live, listen_unix(workdir / "gdb"))
            stack.callback(self.server.close)
            self._stack = stack.pop_all()
        self.target = self.machine.target

    def attach(self) -> None:
        self.gdb = self.second_gdb()

    def second_gdb(self) -> Gdb:
        """One more gdb on the target, connected."""
        gdb = self._open_gdb(self.machine.live.vmlinux)
        said = gdb(f"target remote {self.server.address}")
        assert "Remote debugging using" in said, said
        return gdb

    def follow_modules(self) -> None:
        """It does."""

    def learn(self, module: str) -> None:
        """It has."""

    def interrupt(self) -> None:
        self.gdb.interrupt()
        self.gdb.wait(PATIENCE)

    def resume(self) -> None:
        super().resume()
        self.machine.live.wait_until_running(PATIENCE)
