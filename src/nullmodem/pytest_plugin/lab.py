# SPDX-License-Identifier: Apache-2.0
"""The machine of one test process: booted for the first test that wants it, used by all that want the same, and booted
anew when a test has left it in a state that no test should begin with.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nullmodem.api.attach import attach, look_at_files
from nullmodem.api.attach_plan import AttachPlan, options_of
from nullmodem.api.boot import BootOptions, boot, check_host
from nullmodem.api.workdir import WorkDirectory
from nullmodem.errors import NullmodemError, TargetError
from nullmodem.frontends.python.target import Target
from nullmodem.kbuild import ensure_kernel
from nullmodem.kbuild.progress import silent
from nullmodem.pytest_plugin.modules import ModuleBuilds
from nullmodem.session.model import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.api.machine import Machine
    from nullmodem.kbuild import BuiltModule, Kernel
    from nullmodem.kbuild.progress import ProgressCallback
    from nullmodem.pytest_plugin.matrix import MachineSpec


@dataclass(slots=True)
class Bench:
    """A machine that runs, and why it must not be used any more: empty while it may.

    ``recording`` is the file to which its wire is recorded.
    """

    spec: MachineSpec
    target: Target
    recording: Path
    spoiled: str = ""
    resources: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def machine(self) -> Machine:
        return self.target.machine

    @property
    def is_gone(self) -> bool:
        """Whether it has ended or rebooted, or its wire is lost."""
        return not self.machine.target.alive or self.machine.live.state is State.LOST

    def close(self) -> None:
        self.resources.close()


class Lab:
    """Every machine a test process has, one after the other. ``tell`` gets a line for each step that takes long."""

    def __init__(self, tell: Callable[[str], None], progress: ProgressCallback = silent) -> None:
        self._tell = tell
        self._progress = progress
        self._closing = contextlib.ExitStack()
        self._work: Path | None = None
        self._builds: ModuleBuilds | None = None
        self._bench: Bench | None = None
        self._failed: dict[MachineSpec, NullmodemError] = {}
        self._count = 0

    def bench(self, spec: MachineSpec) -> Bench:
        """A machine as ``spec`` says, in which nothing is left of earlier tests.

        Raises what booting or attaching raises; what has failed once is not tried again.
        """
        bench = self._bench
        if bench is not None and bench.spec == spec and not bench.spoiled and not bench.is_gone:
            return bench
        if bench is not None and bench.spec.board and (why := bench.spoiled or ("it is gone" if bench.is_gone else "")):
            hint = "It has to be reset by hand: only machines of nullmodem's own are booted anew."
            self._failed[bench.spec] = TargetError(f"{bench.spec.board} cannot be used any more: {why}", hint=hint)
        self._end_bench()
        if spec in self._failed:
            raise self._failed[spec].with_traceback(None)
        self._tell(f"attaching to {spec.board}" if spec.board else f"booting Linux {spec.id}")
        try:
            self._bench = self._begin(spec)
        except NullmodemError as error:
            self._failed[spec] = error
            raise
        return self._bench

    def build(self, path: Path, kernel: Kernel, module: str | None = None) -> BuiltModule:
        """See `ModuleBuilds.build`."""
        if self._builds is None:
            self._builds = ModuleBuilds(self._directory() / "modules")
        return self._builds.build(path, kernel, module)

    def close(self) -> None:
        """End the machine and remove its files."""
        with self._closing:
            self._end_bench()

    def _directory(self) -> Path:
        if self._work is None:
            self._work = self._closing.enter_context(WorkDirectory("pytest")).path
        return self._work

    def _end_bench(self) -> None:
        bench, self._bench = self._bench, None
        if bench is not None:
            bench.close()

    def _begin(self, spec: MachineSpec) -> Bench:
        self._count += 1
        work = self._directory() / str(self._count)
        work.mkdir(mode=0o700)
        recording = work / "wire.rec"
        machine = _attached(spec, work, recording) if spec.board else self._booted(spec, work, recording)
        with contextlib.ExitStack() as stack:
            stack.callback(machine.close)
            target = Target(machine)
            stack.callback(target.close)
            return Bench(spec, target, recording, resources=stack.pop_all())

    def _booted(self, spec: MachineSpec, work: Path, recording: Path) -> Machine:
        check_host()
        options = BootOptions(
            kernel=ensure_kernel(spec.kernel, self._progress),
            memory_mb=spec.memory,
            cpus=spec.smp,
            kaslr=spec.kaslr,
            append=spec.append,
            record=recording,
        )
        return boot("pytest", options, work / "machine")


def _attached(spec: MachineSpec, work: Path, recording: Path) -> Machine:
    options = options_of(AttachPlan(spec.board, record=recording))
    return attach("pytest", options, look_at_files(options), work)
