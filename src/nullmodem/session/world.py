# SPDX-License-Identifier: Apache-2.0
"""The first meeting with a stopped target: which kernel it is, where it runs, and how its modules will be seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nullmodem.kernel.constants import Constants
from nullmodem.kernel.irq_regs import InterruptRegisters
from nullmodem.kernel.modules import ModuleReader
from nullmodem.kernel.program import KernelProgram
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint, BreakpointTable
from nullmodem.session.debug_registers import DebugRegisters
from nullmodem.session.hooks import Hook, HookPoint, place
from nullmodem.session.modules import ModuleTable
from nullmodem.session.source_lines import SourceLines
from nullmodem.session.threads import ThreadView
from nullmodem.session.view import KernelView

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nullmodem.session.model import Resume
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.stub.client import KgdbStub
    from nullmodem.symbols.finder import ModuleFinder
    from nullmodem.symbols.store import ModuleStore
    from nullmodem.symbols.types import TypeInfo
    from nullmodem.symbols.vmlinux import Vmlinux


@dataclass(frozen=True, slots=True)
class Files:
    """What the development machine knows: the kernel's file and types, and where modules' files are.

    ``for_gdb`` is the file gdb is given for the kernel: see `nullmodem.symbols.for_gdb`.
    """

    vmlinux: Vmlinux
    for_gdb: Path
    types: TypeInfo
    finder: ModuleFinder
    store: ModuleStore


@dataclass(frozen=True, slots=True)
class World:
    """What is known of one boot of the target. ``hooks`` are by run-time address."""

    kernel: KernelView
    program: KernelProgram
    modules: ModuleTable
    threads: ThreadView
    debug_registers: DebugRegisters
    lines: SourceLines
    irq_regs: InterruptRegisters
    hooks: dict[int, Hook]

    def can_hold_a_place(self) -> bool:
        """Make debug registers fit to stand in for a breakpoint that one thread is stepped off. False where that is not
        needed: on one processor no other thread comes by meanwhile."""
        if self.threads.processors > 1:
            self.debug_registers.enable(1)
        return self.threads.processors > 1

    def describe(self, address: int) -> str:
        """``function+0x12`` of the kernel, or ``module:function+0x12 (file.c:34)``."""
        module = self.modules.containing(address)
        if module is None:
            return self.kernel.describe(address)
        line = self.lines.line_at(module, address)
        text = module.describe(address)
        return f"{text} ({line.file.rpartition('/')[2]}:{line.line})" if line else text

    def function_at(self, pc: int) -> range:
        """The code of the function that holds ``pc``; empty where none is known."""
        module = self.modules.containing(pc)
        return self.kernel.function_at(pc) if module is None else self.lines.function_at(module, pc)

    def whole_line(self, request: Resume, pc: int, length_at: Callable[[int], int]) -> Resume:
        """A step's range from ``pc`` on, grown to a module's whole source line; anything else as it is."""
        module = self.modules.containing(pc)
        return request if module is None else self.lines.whole_line(module, request, pc, length_at)


def meet(
    stub: KgdbStub, target: StoppedTarget, table: BreakpointTable, files: Files, say: Callable[[str], None]
) -> World:
    """Look at a target that stands still, and have its module hooks armed whenever it runs.

    Raises:
        IdentityError: another kernel runs than ``files.vmlinux``.
        KernelDataError: no kernel was found, or it cannot be watched loading modules, or its module list is corrupt.
        MemoryFault: what must be readable is not.
    """
    kernel = KernelView.identify(files.vmlinux, files.types, target, target.own_pc, lambda: target.own_sp)
    modules = ModuleTable(ModuleReader(files.types, files.vmlinux, kernel.slide), files.finder, files.store, table)
    modules.read_all(target)
    constants = Constants(files.vmlinux, kernel.slide)
    target.constants = lambda address, length: constants.read(address, length) or modules.constant(address, length)
    hooks = {hook.address: hook for hook in _place(stub, target, kernel)}
    length = stub.arch.breakpoint_length
    table.keep(Breakpoint(BreakpointKind.SOFTWARE, address, length) for address in hooks)
    table.park = kernel.text.start  # code that runs once, before there is a debugger
    program = KernelProgram(files.vmlinux, kernel.slide, target)
    threads = ThreadView(stub, target, kernel, table, say)
    irq_regs = InterruptRegisters(files.types, files.vmlinux, kernel.slide)
    registers = DebugRegisters(target, kernel, threads.current_processor)
    return World(kernel, program, modules, threads, registers, SourceLines(), irq_regs, hooks)


def _place(stub: KgdbStub, target: StoppedTarget, kernel: KernelView) -> tuple[Hook, ...]:
    event = kernel.hooks.module_event + kernel.slide
    init = kernel.hooks.do_init_module + kernel.slide
    return (
        place(stub.arch, target, HookPoint.EVENT, event, kernel.twins(event)),
        place(stub.arch, target, HookPoint.INIT, init, ()),
    )
