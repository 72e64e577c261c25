# SPDX-License-Identifier: Apache-2.0
"""One test on a machine: judged after its call and after its teardown, with the evidence for its report."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from nullmodem.api.oops import TroubleKind
from nullmodem.errors import NullmodemError
from nullmodem.pytest_plugin import evidence
from nullmodem.pytest_plugin.loaded import KernelModule
from nullmodem.pytest_plugin.watch import Watch

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from nullmodem.api.oops import Trouble
    from nullmodem.frontends.python.breakpoint import Breakpoint
    from nullmodem.frontends.python.target import Target
    from nullmodem.pytest_plugin.evidence import Section
    from nullmodem.pytest_plugin.lab import Bench, Lab
    from nullmodem.pytest_plugin.loaded import Wanted
    from nullmodem.session.model import Module


class KernelRun:
    """A test that has a machine.

    Args:
        bench: the machine, which runs and has nothing of earlier tests in it.
        name: the test's.
        allowed: see `Watch`.
        directory: where recordings of failed tests are kept; made when one is.
    """

    def __init__(
        self, bench: Bench, name: str, allowed: Sequence[re.Pattern[str]], directory: Callable[[], Path]
    ) -> None:
        self.bench = bench
        self.sections: list[Section] = []
        self.kept: list[Path] = []
        self._name = name
        self._directory = directory
        self._before = bench.target.modules
        self._watch = Watch(bench, name, allowed)
        self._unloading: list[str] = []
        self._unloaded: list[Module] = []
        self._kept: Sequence[Breakpoint] = ()
        self._left: list[str] = []
        self._failed = False

    @property
    def target(self) -> Target:
        return self.bench.target

    def module(self, lab: Lab, wanted: Wanted) -> KernelModule:
        """Build a module for the machine. Raises BuildError, UsageError."""
        machine = self.bench.machine
        if self.bench.spec.board:
            built = machine.build(wanted.path, module=wanted.module)
        else:
            built = machine.add(lab.build(wanted.path, machine.kernel, wanted.module))
        return KernelModule(self.target, built, wanted.parameters)

    def begin_call(self) -> None:
        """The test's own code is about to run. What stands by now is its fixtures', and theirs to take back."""
        self._kept = self.target.breakpoints

    def judge(self, *, failed: bool, hold: bool = False) -> list[str]:
        """After the test's call: what it has done wrong, besides having ``failed``.

        What stood there is in ``sections``. Afterwards the machine runs, without a breakpoint of the test's; with
        ``hold`` it stays as it is, for whoever looks.
        """
        stop = None if self.bench.is_gone else self.target.stop
        stack = [evidence.stack(stop)] if stop is not None else []
        if hold:
            self._failed = True
            self._report(stack, (), self._modules())
            return []
        return self._judged(failed, stack, lambda: self._watch.tidy(self._kept))

    def abandon(self) -> None:
        """The run of tests is being ended: nothing more is waited for."""
        self.bench.spoiled = self.bench.spoiled or "the test was interrupted"
        self._failed = True

    def unload(self, name: str) -> None:
        """Unload the test's module, if it has not done so. What goes wrong is told at the `end`."""
        self._left += self._watch.tidy(self.target.breakpoints)
        if name in self.target.modules:
            self._unloaded += self.bench.machine.live.modules()
            self._unloading += self._watch.unload([other for other in self.target.modules if other != name])

    def take_evidence(self) -> tuple[list[Section], list[Path]]:
        """What there is to say of the phase that is over, and files that are kept of it."""
        taken = self.sections, self.kept
        self.sections, self.kept = [], []
        return taken

    def end(self) -> list[str]:
        """After everything of the test's own is torn down: what went wrong with that. No module of it stays loaded."""

        def clear() -> list[str]:
            left = [*self._left, *self._watch.tidy(), *self._watch.commands_left()]
            self._unloading += self._watch.unload(self._before)
            return left

        return self._judged(self._failed, [], clear)

    def _judged(self, failed: bool, stack: list[Section], clear: Callable[[], list[str]]) -> list[str]:
        """``clear`` takes back what is left, and says what it was."""
        bench, watch = self.bench, self._watch
        lost = self._last_words() if bench.is_gone else ""
        modules = self._modules()
        if watch.has_panicked:
            bench.spoiled = bench.spoiled or "the kernel has panicked"  # nothing answers any more
            if self.target.stop is not None:
                self.target.continue_()  # for its last words
        left = clear()
        problems = [] if failed else [f"the test left {what}" for what in left]
        problems += self._unloading
        self._unloading = []
        watch.mark(f"{self._name} is judged")
        troubles = watch.new_troubles()
        for trouble in troubles:
            named = "" if trouble.kind is TroubleKind.WARNING else f" ({trouble.kind.value})"
            problems.append(f"the kernel reported{named}: {trouble.headline}")
        if bench.spoiled and not failed and not problems:
            problems.append(lost or f"the machine cannot be used for the next test: {bench.spoiled}")
        if problems or (failed and not self._failed):
            self._failed = True
            self._report(stack, troubles, modules)
        return problems

    def _report(self, stack: list[Section], troubles: Sequence[Trouble], modules: Sequence[Module]) -> None:
        console = self._watch.text()
        self.sections += [*stack, *evidence.troubles(self.bench, troubles, modules), evidence.console(console)]
        self.sections += evidence.load_maps(modules)
        sections, kept = evidence.keep(self.bench, self._name, console, self._directory)
        self.sections += sections
        self.kept += kept

    def _modules(self) -> tuple[Module, ...]:
        """Those that are loaded, and those that the test's own fixture has unloaded."""
        try:
            present = self.bench.machine.live.modules()
        except NullmodemError:  # the session has ended with its target
            present = ()
        names = {module.name for module in present}
        return (*present, *(module for module in self._unloaded if module.name not in names))

    def _last_words(self) -> str:
        try:
            self.bench.machine.require_alive()
        except NullmodemError as error:
            return error.message
        return ""


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """An error of nullmodem's, while a fixture is made, as a few words in a report and no traceback of the plugin's."""
    try:
        yield
    except NullmodemError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
