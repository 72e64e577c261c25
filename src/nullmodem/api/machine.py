# SPDX-License-Identifier: Apache-2.0
"""A target that nullmodem started, with its session: what needs both the machine and the debugger."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nullmodem.api.commands import RunningCommand
from nullmodem.api.entry import init_function
from nullmodem.api.halting import halt
from nullmodem.api.insmod import insmod, require_done, rmmod
from nullmodem.api.notices import Notices
from nullmodem.api.parameters import parameters_for
from nullmodem.errors import (
    BuildError,
    CommandError,
    CommandTimeout,
    LeaseError,
    NullmodemError,
    StateError,
    TargetLost,
    UsageError,
)
from nullmodem.kbuild import Kernel, build_module
from nullmodem.kbuild.progress import silent
from nullmodem.session.model import State
from nullmodem.symbols.module_file import ModuleFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from nullmodem.api.entry import InitFunction
    from nullmodem.api.live import LiveSession
    from nullmodem.api.shipped import ShippedModules
    from nullmodem.kbuild import BuiltModule
    from nullmodem.kbuild.progress import ProgressCallback
    from nullmodem.session.model import Stop
    from nullmodem.targets.target import ExecResult, Target, TargetExit


INTERRUPT_SECONDS = 30.0
"""A target that is alive stops within a second; one that emulates many CPUs on a busy machine takes longer."""

EXIT_SECONDS = 5.0
"""A wire breaks a moment before the process at its other end is known to have ended."""


@dataclass(frozen=True, slots=True)
class Known:
    """A module this session can load by name: how it was built, and the parameters last given to load it."""

    built: BuiltModule
    parameters: tuple[str, ...] = ()


class Machine:
    """One machine under debugging. Methods may be called from any thread.

    Those that run something on the target raise StateError, naming who holds it, while it is stopped. ``shipped`` are
    modules that can be loaded as they are, when the kernel is somebody else's. ``tell`` of a method is told how far a
    copy to the target is, when that takes long.
    """

    def __init__(
        self,
        name: str,
        live: LiveSession,
        target: Target,
        kernel: Kernel | None,
        workdir: Path,
        shipped: ShippedModules | None = None,
    ) -> None:
        self.name = name
        self.live = live
        self.target = target
        self._kernel = kernel
        self._shipped = shipped
        self.workdir = workdir
        self._known: dict[str, Known] = {}
        self._exit: TargetExit | None = None
        self._gone = threading.Event()
        self._closing = contextlib.ExitStack()
        target.on_exit(self._ended)
        self._notices = Notices(live.subscribe(), target.announce)

    def _ended(self, how: TargetExit) -> None:
        self._exit = how
        self._gone.set()

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the target has ended by itself, in a thread of ours; at once if it has already."""
        self.target.on_exit(lambda _how: callback())

    def require_alive(self) -> None:
        """Raises TargetLost, with the target's last words, when it has ended or its wire is gone."""
        if self.live.state is not State.LOST and self.target.alive:
            return
        self._gone.wait(EXIT_SECONDS)
        if self._exit is None:
            msg = "the wire to the target is lost"
            raise TargetLost(msg)
        words = f"\n{self._exit.log}" if self._exit.log else ""
        msg = f"the target has ended: {self._exit.how}{words}"
        raise TargetLost(msg)

    @property
    def known(self) -> tuple[str, ...]:
        """The modules that were built or named in this session, by name."""
        return tuple(sorted(self._known))

    @property
    def known_modules(self) -> tuple[BuiltModule, ...]:
        """The same as they were built."""
        return tuple(known.built for known in self._known.values())

    @property
    def known_files(self) -> tuple[Path, ...]:
        """The .ko files of these modules, and of those built with them."""
        return tuple(path for known in self._known.values() for path in known.built.modules)

    @property
    def kernel(self) -> Kernel:
        """What modules are built against. Raises UsageError when no build tree of the target's kernel is known."""
        if self._kernel is None:
            msg = "no build tree of the target's kernel is known, so no module can be built for it"
            raise UsageError(msg, hint="Attach with --build-tree DIR, or build it there and name it with --modules.")
        return self._kernel

    def close(self) -> None:
        """End the session, and the machine if it is ours; another runs on, without breakpoints. Safe to call twice.

        Raises TargetError, WireTimeout when another's machine could not be stopped to lift them.
        """
        with self._closing:
            try:
                self.live.close(release=not self.target.ends_with_session)
            finally:
                self._notices.close()
                self.target.close()

    def closes(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called after everything else is closed."""
        self._closing.callback(callback)

    # -- modules -------------------------------------------------------------------------------------------------

    def add(self, built: BuiltModule) -> BuiltModule:
        """Remember a built module, so that it can be loaded by name and its symbols are found."""
        before = self._known.get(built.name)
        self._known[built.name] = Known(built, before.parameters if before else ())
        self.live.search(*built.modules)
        return built

    def build(self, path: Path, progress: ProgressCallback = silent, *, module: str | None = None) -> BuiltModule:
        """Build a module's directory, one .c, or take a .ko. Raises BuildError, UsageError."""
        if self._shipped is not None and self._shipped.is_one(path):
            return self.add(self._shipped.take(path))
        return self.add(build_module(path, self.kernel, self.workdir / "build", progress, module=module))

    def load(
        self, name: str, parameters: Sequence[str] = (), tell: Callable[[str], None] | None = None
    ) -> RunningCommand:
        """Have the target insmod a module and what it depends on; returns when its file is there, as a breakpoint
        may stop it.

        ``name`` is that of a module added before, or of one of the kernel's own.

        Raises:
            UsageError: no such module, it is loaded already, or a parameter is not ``name=value`` or none of its.
            StateError: the target is stopped.
        """
        self.require_running(f"load {name}")
        known = self._find(name)
        words = parameters_for(known.built, parameters)
        if self._is_loaded(known.built.name):
            own = known.built.name
            msg = f"{own} is loaded already"
            hint = f"`nullmodem reload {own}`, `target.reload({own!r})` in Python, unloads it first."
            raise UsageError(msg, hint=hint)
        self._known[known.built.name] = replace(known, parameters=tuple(parameters))
        return self._start(self._insmod(known.built, words, tell))

    def init_function(self, built: BuiltModule) -> InitFunction | None:
        """None for a module that has none. Raises SymbolError when the file has gone."""
        return init_function(built.ko)

    def unload(self, name: str, *, force: bool = False) -> RunningCommand:
        """Have the target rmmod a module; returns at once. Raises UsageError when it is not loaded; StateError."""
        self.require_running(f"unload {name}")
        loaded = self.live.module(name).name
        return self._start(rmmod(loaded, force=force))

    def reload(
        self, name: str, progress: ProgressCallback = silent, tell: Callable[[str], None] | None = None
    ) -> RunningCommand:
        """Rebuild a module from its source, unload it if it is loaded, and load it with the parameters it had.

        Breakpoints are kept: the clients' debuggers plant them in the new code. Raises BuildError (the old module
        stays loaded), UsageError, StateError.
        """
        self.require_running(f"reload {name}")
        known = self._find(name)
        loaded = self._is_loaded(known.built.name)
        try:
            built = self.build(known.built.source, progress, module=known.built.name)
        except BuildError as error:
            if not loaded:
                raise
            hint = f"{error.hint}\n" if error.hint else ""
            hint += f"{known.built.name} stays loaded as it was."
            raise BuildError(error.message, output=error.output, hint=hint) from None
        words = parameters_for(built, known.parameters)
        unload = f"{rmmod(built.name)} && " if loaded else ""
        return self._start(unload + self._insmod(built, words, tell))

    def _find(self, name: str) -> Known:
        wanted = name.replace("-", "_")
        if wanted in self._known:
            return self._known[wanted]
        if self._shipped is not None:
            return Known(self.add(self._shipped.find(wanted)))
        try:
            own = self.kernel.module(wanted)
        except UsageError as error:
            built = ", ".join(sorted(self._known))
            hint = f"Built here: {built}." if built else "Build one with `nullmodem run PATH`."
            raise UsageError(error.message, hint=hint) from None
        file = ModuleFile.open(own)
        return Known(self.add(self._in_tree(file)))

    def _in_tree(self, file: ModuleFile) -> BuiltModule:
        return build_module(file.path, self.kernel, self.workdir / "build")

    def _is_loaded(self, name: str) -> bool:
        return any(module.name == name for module in self.live.modules())

    def _insmod(self, built: BuiltModule, parameters: Sequence[str], tell: Callable[[str], None] | None) -> str:
        """A shell line that loads what the module needs and is not there yet, and then the module."""
        steps = []
        for path in built.load_order:
            name = ModuleFile.open(path).name
            if name == built.name or not self._is_loaded(name):
                pushed = self.target.push(path, tell=tell)
                steps.append(insmod(name, pushed, parameters if name == built.name else ()))
        return " && ".join(steps)

    def _start(self, line: str) -> RunningCommand:
        """Run what `insmod` and `rmmod` have written."""
        return RunningCommand(self.live, lambda: self.target.exec(line), require_done)

    # -- the machine ---------------------------------------------------------------------------------------------

    def require_running(self, doing: str) -> None:
        """Raises StateError, naming who holds it, unless the target runs."""
        state = self.live.state
        if state is State.RUNNING and not self.live.is_stopped:
            return
        if state is State.RUNNING or state is State.STOPPED:
            holder = self.holder()
            by = f", held by {holder}" if holder else ""
            msg = f"cannot {doing}: the target is stopped{by}"
            hint = (
                "Continue it there: `continue` in gdb, `stop.continue_()` in Python."
                if holder
                else "`nullmodem continue` lets it run."
            )
            raise StateError(msg, state=State.STOPPED.value, hint=hint)
        msg = f"cannot {doing}: the target is {state.value}"
        raise StateError(msg, state=state.value)

    def holder(self) -> str:
        """Who decides when the stopped target goes on: who holds it, else a debugger that is at its prompt, else ''."""
        at_prompt = (client.name for client in self.live.clients() if not client.waiting)
        return self.live.holder() or next(at_prompt, "")

    def answers(self, seconds: float) -> bool:
        """Whether the target, which runs, gets a command done within so many seconds beside what it does already."""
        try:
            self.target.exec("true", timeout=seconds)
        except CommandTimeout:
            return False
        except NullmodemError:
            return True  # it could not be asked, which says nothing
        return True

    def interrupt(self) -> Stop:
        """Stop the target, if it runs. Raises WireTimeout when it does not stop, StateError when it is lost."""
        if self.live.state is State.LOST:
            msg = "cannot interrupt: the target is lost"
            raise StateError(msg, state=State.LOST.value)
        return halt(self.live, INTERRUPT_SECONDS)

    def continue_target(self, *, force: bool = False) -> str:
        """Let the stopped target run; returns the name of whoever held it, or an empty string.

        Raises LeaseError when somebody does, unless ``force``: its debugger is not told until the next stop.
        """
        holder = self.holder()
        if holder and not force:
            msg = f"cannot continue: {holder} holds the target"
            raise LeaseError(msg, holder=holder, hint="Continue it there, or take it away with --force.")
        self.live.go()
        return holder

    def push(self, file: Path, destination: str | None = None, tell: Callable[[str], None] | None = None) -> str:
        """Copy a file to the target; see its Target.push. Raises StateError if that needs a target that runs."""
        if destination is not None or not self.target.ends_with_session:
            self.require_running(f"copy to {destination or 'the target'}")
        try:
            return self.target.push(file, destination, tell=tell)
        except CommandError as error:
            said = error.output.strip()
            msg = f"the target cannot copy {file} to {destination}: {said}"
            raise CommandError(msg, code=error.code, output=said) from None

    def execute(self, command: str | Sequence[str], on_output: Callable[[bytes], None]) -> RunningCommand:
        """Run a command of the user's, which can be cancelled: it has a process group of its own.

        Raises StateError while the target is stopped.
        """
        self.require_running("run a command")
        line = command if isinstance(command, str) else shlex.join(command)
        group = f"/run/nullmodem.{secrets.token_hex(8)}"
        script = self.target.in_group(line, group)

        def execute() -> ExecResult:
            return self.target.exec(script, on_output=on_output)

        def cancel() -> None:
            with contextlib.suppress(NullmodemError):  # it has ended meanwhile, or the target has
                self.target.end_group(group)

        return RunningCommand(self.live, execute, cancel=cancel)

    def run(
        self,
        command: str | Sequence[str],
        *,
        check: bool = False,
        on_output: Callable[[bytes], None] | None = None,
    ) -> RunningCommand:
        """Start a command in the target's shell. ``check``: an exit status other than 0 raises CommandError."""

        def execute() -> ExecResult:
            return self.target.exec(command, on_output=on_output)

        return RunningCommand(self.live, execute, _require_success if check else None)


def _require_success(result: ExecResult) -> None:
    if result.code != 0:
        output = result.text.strip()
        msg = f"`{result.command}` failed on the target with exit status {result.code}"
        raise CommandError(f"{msg}: {output}" if output else msg, code=result.code, output=output)
