# SPDX-License-Identifier: Apache-2.0
"""Real kernels with a session on them, and a real gdb."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.boot import BootOptions, boot
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.kbuild import ensure_kernel
from support.gdb import Gdb, debian, quick_start, wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nullmodem.api.commands import RunningCommand
    from nullmodem.api.machine import Machine
    from nullmodem.kbuild import Kernel

KERNELS = ("6.1", "6.12")


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """Every kernel the project builds; `make setup` has built them."""
    return ensure_kernel(request.param)


@pytest.fixture(params=[debian, wheel], ids=["gdb-13.1", "gdb-18.1"])
def gdb_path(request: pytest.FixtureRequest) -> str:
    """Every gdb that is supported."""
    return str(request.param())


@dataclass
class Bench:
    """A machine under debugging, modules to load, and gdbs on it."""

    machine: Machine
    server: GdbServer
    module_source: Callable[[str], Path]
    gdb_path: str
    _stack: contextlib.ExitStack
    sources: dict[str, Path] = field(default_factory=dict)

    def build(self, *names: str, module: str | None = None) -> None:
        """Build modules from a copy of their source and make them known."""
        for name in names:
            self.sources[name] = self.module_source(name)
            self.machine.build(self.sources[name], module=module)

    def gdb(self, *arguments: str, attach: bool = True, path: str | None = None) -> Gdb:
        """A gdb on the kernel's vmlinux; ``attach`` connects it, which stops the target."""
        path = path or self.gdb_path
        options = (*quick_start(path), self.machine.live.vmlinux, *arguments)
        gdb = self._stack.enter_context(Gdb(path, *options))
        if attach:
            gdb(f"target remote {self.server.address}")
        return gdb

    def start(self, gdb: Gdb, command: str | Callable[[], RunningCommand]) -> RunningCommand:
        """Continue in gdb and, once the target runs, start something on it."""
        gdb.send("continue")
        self.machine.live.wait_until_running(60)
        return self.machine.run(command) if isinstance(command, str) else command()

    def load(self, gdb: Gdb, name: str, *parameters: str) -> tuple[str, RunningCommand]:
        """Continue in gdb, load a module, and return what gdb says when it stops, and the insmod."""
        command = self.start(gdb, lambda: self.machine.load(name, parameters))
        return gdb.wait(), command

    def finish(self, gdb: Gdb, command: RunningCommand) -> None:
        """Continue in gdb until a command on the target has ended."""
        gdb.send("continue")
        command.wait(60, stops=False)

    def sh(self, command: str) -> str:
        """Run something on the running target."""
        return self.machine.target.exec(command, timeout=60).check().text


@pytest.fixture
def make_bench(
    kernel: Kernel, gdb_path: str, tmp_path: Path, module_source: Callable[[str], Path]
) -> Iterator[Callable[..., Bench]]:
    """A function that boots a machine; its arguments are those of BootOptions."""
    with contextlib.ExitStack() as stack:
        count = 0

        def make(**options: object) -> Bench:
            nonlocal count
            count += 1
            machine = boot("test", BootOptions(kernel=kernel, **options), tmp_path / f"work{count}")
            stack.callback(machine.close)
            server = GdbServer(machine.live, listen_unix(tmp_path / f"gdb{count}.sock"))
            stack.callback(server.close)
            return Bench(machine, server, module_source, gdb_path, stack)

        yield make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A machine with one processor and KASLR."""
    return make_bench()
