# SPDX-License-Identifier: Apache-2.0
"""A machine under debugging, as a program has it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from nullmodem.errors import CommandTimeout, StateError, UnexpectedStop, UsageError
from nullmodem.frontends.python.breakpoint import Breakpoint
from nullmodem.frontends.python.console import ConsoleText
from nullmodem.frontends.python.debugger import Debugger
from nullmodem.frontends.python.module_stops import ModuleStop
from nullmodem.frontends.python.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    import drgn

    from nullmodem.api.commands import RunningCommand
    from nullmodem.api.machine import Machine
    from nullmodem.frontends.python.breakpoint import Condition
    from nullmodem.frontends.python.controller import Arrival
    from nullmodem.kbuild import BuiltModule
    from nullmodem.targets.target import ExecResult

_KEPT: Final = 8
"""Commands that were started and have ended, of which more than the result can be had."""


class Target:
    """A machine under debugging: `nullmodem.boot` and `nullmodem.attach` make one.

    At the end of a ``with`` block, or with `close`, one that was booted ends, and one that was attached to runs on
    without breakpoints. Methods may be called from any thread, but one program, one thread at a time, has it run.

    Attributes:
        machine: the same machine as every front end has it (`nullmodem.api.machine.Machine`).
        name: what it is called in messages.
    """

    def __init__(
        self, machine: Machine, again: Callable[[], Machine] | None = None, debugger: Debugger | None = None
    ) -> None:
        """``again`` boots another machine like it, for `reboot`; ``debugger`` is one that is on the machine already."""
        self.machine = machine
        self._again = again
        self.name = machine.name
        self.debugger = debugger or Debugger(machine)
        self._shown: Stop | None = None
        self._started: list[RunningCommand] = []
        self._awaited: set[RunningCommand] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; see the class. Safe to call twice. Raises what `Machine.close` does."""
        try:
            self.debugger.close()
        finally:
            self.machine.close()
            for running in self._started:
                running.close()
            self._started.clear()

    # -- stopping it ---------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self.debugger.controller.arrival is None

    @property
    def stop(self) -> Stop | None:
        """The stop it stands at, None while it runs."""
        arrival = self.debugger.controller.arrival
        return None if arrival is None else self._stop_of(arrival)

    @property
    def breakpoints(self) -> tuple[Breakpoint, ...]:
        """Those of this program, in the order they were made."""
        return tuple(self.debugger.breakpoints)

    def break_at(
        self,
        where: str | int,
        *,
        condition: Condition | str | None = None,
        module: str = "",
        pending: bool = False,
    ) -> Breakpoint:
        """Stop the target wherever this place is, in the kernel and in modules, loaded now or later.

        Args:
            where: ``"function"``, ``"file.c:42"``, or an address.
            condition: stop only when it is true: a function of the frame, or an expression of Python with the names of
                the code, such as ``"len > 4"``. It is evaluated here, so every hit stops the target for a moment.
            module: look in this module only; ``"vmlinux"`` is the kernel itself.
            pending: take a place that neither the kernel nor a module known so far has: one will.

        Raises:
            UnknownPlace: there is no such function, or no code for the line; ``nearest`` has what there is.
            UsageError: the text is no place, no such module is known, the condition is no expression.
            BreakpointRefused: no breakpoint may stand there.
        """
        place = self.debugger.place(where, module, pending=pending)
        breakpoint_ = Breakpoint(self, str(place), place, condition)
        self.debugger.add(breakpoint_)
        return breakpoint_

    def watch(
        self, object_: drgn.Object, *, access: str = "write", condition: Condition | str | None = None
    ) -> Breakpoint:
        """Stop the target when a variable changes: ``target.watch(stop.prog["simple_count"])``.

        The processor watches it, in its debug registers: four pieces of eight bytes at most. When the module it is in
        goes, so does the watchpoint.

        Args:
            object_: a global, a member, an element, in memory.
            access: ``"write"``; ``"access"`` for reads too.
            condition: as for `break_at`; the frame is that behind the instruction that touched it.

        Raises:
            UsageError: it is in no memory, or there is no such access.
            BreakpointRefused: it is too large, or the debug registers are all in use.
        """
        watchpoint = self.debugger.watchpoint(self, object_, access, condition)
        self.debugger.add(watchpoint)
        return watchpoint

    def stop_at_module(self, module: str = "", *, event: str = "init") -> ModuleStop:
        """Stop the target at an event of a module's life, in the kernel's own code.

        Args:
            module: its name; an empty string is any module.
            event: ``"coming"`` (its memory is laid out), ``"init"`` (init is about to run), ``"live"`` (init has run),
                ``"going"`` (it is about to be freed; its variables are no longer in ``stop.prog``).

        Raises UsageError for an event that there is not.
        """
        stop = ModuleStop(self, module, event)
        self.debugger.add(stop)
        return stop

    def wait(
        self, after: Callable[[], object] | None = None, timeout: float = 60.0, *, for_: Breakpoint | None = None
    ) -> Stop:
        """Let the target run, if it stands at a stop that the program has, and return the next stop.

        Args:
            after: called when the target runs; see `Breakpoint.wait`.
            timeout: in seconds.
            for_: only a stop at this breakpoint is what is waited for.

        Raises:
            WaitTimeout: it did not stop in time; it runs.
            UnexpectedStop: it stopped, but not at ``for_``; it stands there.
            TargetLost: it is gone.
        """
        controller = self.debugger.controller
        what = f"waiting for a stop at {for_.where}" if for_ is not None else "waiting for a stop"
        arrival = controller.arrival
        known = self._shown is not None and arrival is not None and self._shown.is_at(arrival)
        if arrival is None or known:
            before = controller.count
            controller.trouble(None)
            if arrival is not None:
                self.debugger.go_on()
            if after is not None:
                self._lead(after, before)
            arrival = controller.await_arrival(before, timeout, what)
        return self._give(arrival, for_)

    def _lead(self, after: Callable[[], object], before: int) -> None:
        try:
            after()
        except (StateError, UnexpectedStop):
            if self.debugger.controller.count == before:
                raise  # it is not because the target has come to a stop already

    def _give(self, arrival: Arrival, for_: Breakpoint | None) -> Stop:
        stop = self._stop_of(arrival)
        if arrival.error is not None:
            raise arrival.error
        if for_ is not None and for_ not in arrival.verdict.hits:
            message = f"the target stopped at {stop.describe()} ({stop.reason.value}), and not at {for_.where}"
            raise UnexpectedStop(message, stop=stop, hint="It stands there: see .stop of this error.")
        return stop

    def interrupt(self, timeout: float = 30.0) -> Stop:
        """Stop the target, if it runs. Raises WaitTimeout, TargetLost."""
        arrival = self.debugger.controller.interrupt(timeout)
        return self._stop_of(arrival)

    def continue_(self) -> None:
        """Let the target run, if it stands."""
        if not self.is_running:
            self.debugger.go_on()

    def wake(self) -> None:
        """Have every thread that waits for the target execute some Python, and wait on.

        An exception that one thread raises in another is met between two instructions of Python, and a thread that
        waits executes none; a signal does not end the wait outside of the main thread (PEP 475).
        """
        self.debugger.controller.wake()
        for running in tuple(self._awaited):
            running.wake()

    def _stop_of(self, arrival: Arrival) -> Stop:
        if self._shown is None or not self._shown.is_at(arrival):
            self._shown = Stop(self.debugger, arrival)
        return self._shown

    # -- using it ------------------------------------------------------------------------------------------------

    def run(self, command: str | Sequence[str], *, timeout: float = 60.0, check: bool = True) -> ExecResult:
        """Run a command in the target's shell and wait for its end.

        Args:
            command: a line for the shell, or words.
            timeout: in seconds.
            check: an exit status other than 0 raises CommandError.

        Raises:
            StateError: the target is stopped.
            UnexpectedStop: the target stopped before the command ended, which goes on when the target does.
            CommandError, CommandTimeout, TargetLost.
        """
        self.machine.require_running("run a command")
        running = self.machine.run(command, check=check)
        return self._ended(running, f"`{command}`", timeout)

    def start(self, command: str | Sequence[str]) -> RunningCommand:
        """Start a command in the target's shell and do not wait.

        Its ``result()`` waits for its end and has what it printed. One that cannot be run ends a `wait` that is under
        way with its error. Four commands can run at the same time on a target in QEMU.

        Raises StateError when the target is stopped.
        """
        self.machine.require_running("start a command")
        running = self.machine.run(command)
        running.on_failure(self.debugger.controller.trouble)
        for ended in [other for other in self._started[:-_KEPT] if other.ended]:
            ended.close()
            self._started.remove(ended)
        self._started.append(running)
        return running

    def _ended(self, running: RunningCommand, what: str, timeout: float) -> ExecResult:
        deadline = time.monotonic() + timeout
        try:
            self._awaited.add(running)
            while (remaining := deadline - time.monotonic()) > 0:
                outcome = running.wait(remaining)
                if outcome.result is not None:
                    return outcome.result
                if outcome.stop is None:
                    break
                if arrival := self.debugger.controller.shown(outcome.stop, remaining):
                    stop = self._stop_of(arrival)
                    raise UnexpectedStop(f"the target stopped at {stop.describe()} before {what} had ended", stop=stop)
        finally:
            self._awaited.discard(running)
            running.close()
        raise CommandTimeout(f"{what} has not ended within {timeout:g} s", code=124, output="")

    def build(self, path: str | Path, *, module: str | None = None) -> BuiltModule:
        """Build a module's directory or one .c file for the target, or take a .ko; so that it can be loaded by name.

        Raises BuildError with the compiler's words; UsageError.
        """
        return self.machine.build(Path(path), module=module)

    def load(self, name: str, *parameters: str, timeout: float = 60.0) -> None:
        """Load a module that was built, or is the kernel's own, with ``name=value`` parameters; wait for its init.

        Raises UsageError; CommandError when the kernel or its init refuses; UnexpectedStop when a breakpoint is met
        on the way: the load goes on when the target does.
        """
        self._ended(self.machine.load(name, parameters), f"loading {name}", timeout)

    def unload(self, name: str, *, timeout: float = 60.0) -> None:
        """Unload a module and wait for it. Raises UsageError when it is not loaded; CommandError when it is in use."""
        self._ended(self.machine.unload(name), f"unloading {name}", timeout)

    def reload(self, name: str, *, timeout: float = 60.0) -> None:
        """Build a module again from its source, unload it, and load it with the parameters it had.

        Raises BuildError: the old one stays loaded; what `load` raises.
        """
        self._ended(self.machine.reload(name), f"reloading {name}", timeout)

    @property
    def modules(self) -> tuple[str, ...]:
        """The names of the modules that are loaded, in the order they were."""
        return tuple(module.name for module in self.machine.live.modules())

    def console(self, *, timeout: float = 60.0, since: int | None = None) -> ConsoleText:
        """The console's lines from now on, or from a position on, as an iterator: see `ConsoleText`.

        Raises UsageError for a target without a console.
        """
        return ConsoleText(self.machine, timeout, since)

    def reboot(self) -> None:
        """Boot the same kernel again, in a new machine. No module is loaded then; those built are known still, and
        breakpoints are pending until their module is loaded, or armed in the kernel. Stops of before are over.

        Raises UsageError for a machine that was attached to; what `nullmodem.boot` raises.
        """
        if self._again is None:
            raise UsageError(
                f"{self.name} cannot be rebooted from here: it was not booted from here",
                hint="Reboot it yourself, for one with start('reboot'), and attach again.",
            )
        kept, known = self.debugger.breakpoints, self.machine.known_modules
        self.close()
        self.machine = self._again()
        for built in known:
            self.machine.add(built)
        self.debugger = Debugger(self.machine)
        for breakpoint_ in kept:
            breakpoint_.armed = frozenset()
            if breakpoint_.place is not None:
                self.debugger.add(breakpoint_)

    def push(self, file: str | Path, destination: str | None = None) -> str:
        """Copy a file to the target; returns its path there. Raises UsageError, CommandError, StateError."""
        return self.machine.push(Path(file), destination)
