# SPDX-License-Identifier: Apache-2.0
"""Real kernels with a session on them, and a real gdb."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.boot import BootOptions, boot
from nullmodem.api.remote import RemoteMachine
from nullmodem.api.sessions import find_session
from nullmodem.frontends.dap.capabilities import CAPABILITIES
from nullmodem.frontends.gdb.server import GdbServer, listen_unix
from nullmodem.kbuild import build_module, ensure_kernel
from nullmodem.session.model import Policy
from support.cli import Cli
from support.editing import Desk, adapter
from support.gdb import EVERY_KERNEL_AND_GDB, Gdb, debian, quick_start, wheel
from support.modules import copy_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nullmodem.api.commands import RunningCommand
    from nullmodem.api.machine import Machine
    from nullmodem.kbuild import Kernel
    from nullmodem.targets.target import ExecResult

KERNELS = ("6.1", "6.12")
SELDOM_TOGETHER = {("6.1", wheel), ("6.12", debian)}
"""Each kernel and each gdb is met in the other two pairs; these come in the long tests."""
NEWEST = ("6.12", wheel)


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is marked
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of pairs that are seldom together are long tests; those marked ``one_pair`` are with all but the newest."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        pair = parameters.get("booted", (parameters.get("kernel"), parameters.get("gdb_path")))
        one = item.get_closest_marker("one_pair") is not None
        if pair in SELDOM_TOGETHER or (one and pair not in (NEWEST, (None, None))):
            item.add_marker(pytest.mark.soak)


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
    policy: Policy = Policy.RELEASE

    def build(self, *names: str, module: str | None = None) -> None:
        """Build modules from a copy of their source, unless that was done before, and make them known."""
        for name in names:
            if name in self.sources:
                continue
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

    def hit(self, gdb: Gdb, command: str | Callable[[], RunningCommand]) -> tuple[str, RunningCommand]:
        """With a gdb that has continued and waits, start something and return what gdb says when that stops, and it."""
        running = self.machine.run(command) if isinstance(command, str) else command()
        return gdb.wait(), running

    def finish(self, gdb: Gdb, command: RunningCommand) -> ExecResult:
        """Continue in gdb until a command on the target has ended; gdb waits on. Raises what the command raised."""
        gdb.send("continue")
        result = command.wait(60, stops=False).result
        assert result is not None, "the command did not end"
        return result

    def interrupt(self, gdb: Gdb) -> str:
        """Ctrl-C in a gdb that waits."""
        gdb.interrupt()
        return gdb.wait()

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


@pytest.fixture(scope="module", params=EVERY_KERNEL_AND_GDB)
def booted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A machine for a whole file of tests; see `shared_bench`."""
    kernel, gdb, *more = request.param
    directory = tmp_path_factory.mktemp("booted")
    with contextlib.ExitStack() as stack:
        policy = more[0] if more else Policy.RELEASE
        machine = boot("test", BootOptions(kernel=ensure_kernel(kernel), policy=policy), directory / "work")
        stack.callback(machine.close)
        server = GdbServer(machine.live, listen_unix(directory / "gdb.sock"))
        stack.callback(server.close)
        yield Bench(machine, server, lambda name: copy_module(name, directory), gdb(), stack, policy=policy)


@pytest.fixture
def shared_bench(booted: Bench) -> Iterator[Bench]:
    """A machine that the tests of a file share: it runs, no gdb is on it, and the last test's modules are unloaded."""
    with contextlib.ExitStack() as stack:
        yield replace(booted, _stack=stack)
    booted.machine.live.wait_until_running(30)
    for module in reversed(booted.machine.live.modules()):
        booted.sh(f"rmmod {module.name}")


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A machine with one processor and KASLR."""
    return make_bench()


@pytest.fixture
def cli() -> Iterator[Cli]:
    """The program, with sessions of its own."""
    with Cli() as program:
        yield program


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A machine, and an editor that has joined its session."""
    directory = tmp_path_factory.mktemp("dap")
    modules = {name: copy_module(name, directory) for name in ("simple", "warns", "watched")}
    with Cli() as cli, pytest.MonkeyPatch.context() as environment:
        cli.serve(str(modules["simple"]), "-s", "room")
        environment.setenv("XDG_RUNTIME_DIR", str(cli.runtime))
        remote = RemoteMachine(find_session("room"))
        with adapter(cli) as editor:
            assert editor.begin("attach", session="room", stopOnEntry=False) == CAPABILITIES
            editor.configured()
            assert editor.event("module")["module"]["name"] == "vmlinux"
            editor.ask("threads")  # answered after the target was let run
            yield Desk(cli, remote, modules, editor)
            editor.ask("disconnect")
        assert remote.status().target.state == "running"


@pytest.fixture
def desk(room: Desk) -> Iterator[Desk]:
    yield room
    room.quiet()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example module as a .ko for the default kernel: a session with it begins a second sooner than with source."""
    work = tmp_path_factory.mktemp("built")
    return str(build_module(copy_module("simple", work), ensure_kernel(), work / "build").ko)


@pytest.fixture
def simple(module_source: Callable[[str], Path]) -> Path:
    """The source of the example module, where it may be changed."""
    return module_source("simple")
