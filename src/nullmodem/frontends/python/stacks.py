# SPDX-License-Identifier: Apache-2.0
"""Stacks of others than the thread that stopped: what the other processors do, and where tasks sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import drgn
from drgn.helpers.linux.pid import find_task

from nullmodem.errors import KernelDataError, UsageError
from nullmodem.frontends.python.frame import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.frontends.python.debugger import Debugger
    from nullmodem.session.model import Stop, Thread


class Stacks:
    """The stacks of one session, at its present stop. ``require`` of a method raises once that is over."""

    def __init__(self, debugger: Debugger) -> None:
        self._debugger = debugger

    def of_processor(self, cpu: int, stop: Stop, require: Callable[[], None]) -> Frames:
        """What a processor did when it was stopped. Raises UsageError for one that is not online."""
        threads = {thread.cpu: thread for thread in self._debugger.live.threads(names=False) if thread.cpu is not None}
        if cpu not in threads:
            online = ", ".join(map(str, sorted(threads)))
            raise UsageError(f"processor {cpu} is not online", hint=f"Online: {online}.")
        return self._of_running(threads[cpu], stop, require)

    def of_task(self, pid: int, stop: Stop, require: Callable[[], None]) -> Frames:
        """Where a task goes on, or what it does. Raises UsageError for one that there is not."""
        running = {thread.pid: thread for thread in self._debugger.live.threads(names=True) if thread.cpu is not None}
        if pid in running:
            return self._of_running(running[pid], stop, require)
        program = self._debugger.inspection.program().drgn
        task = find_task(program, pid)
        if not task:
            raise UsageError(f"there is no task {pid}", hint="Tasks: drgn.helpers.linux.pid.for_each_task(stop.prog).")
        try:
            trace = program.stack_trace(task)
        except (ValueError, LookupError, drgn.FaultError) as error:
            raise KernelDataError(f"cannot follow the stack of task {pid}: {error}") from None
        return self._frames(trace, require)

    def _of_running(self, thread: Thread, stop: Stop, require: Callable[[], None]) -> Frames:
        if thread.id == stop.thread:
            return self._debugger.frames(stop, require)
        registers = self._debugger.live.registers(thread.id).as_dict()
        return self._frames(self._debugger.inspection.trace(registers), require)

    def _frames(self, trace: drgn.StackTrace, require: Callable[[], None]) -> Frames:
        return Frames(trace, require, None, self._debugger.module_of)
