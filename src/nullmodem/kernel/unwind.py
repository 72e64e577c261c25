# SPDX-License-Identifier: Apache-2.0
"""Stack traces through the kernel's entry code, and the frame a break-in interrupted.

After a break-in kgdb reports itself: ``kgdb_breakpoint`` under sysrq under the serial interrupt. gdb cannot unwind from
there to the code that was running, for the kernel's entry assembly has no CFI; drgn can, with ORC.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import drgn

from nullmodem.errors import KernelDataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nullmodem.kernel.program import KernelProgram

BREAK_IN: Final = "kgdb_breakpoint"
"""The function whose compiled-in breakpoint every request to stop ends in (kernel/debug/debug_core.c)."""

MAX_FRAMES: Final = 256


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stack trace, innermost first.

    ``function`` is None in assembly without a symbol; ``file`` and ``line`` are None without debug info. ``inlined``:
    it has no frame of its own in memory. ``interrupted``: an interrupt or exception stopped it here, so ``pc`` is the
    next instruction rather than a return address.
    """

    pc: int
    sp: int
    function: str | None
    file: str | None
    line: int | None
    inlined: bool
    interrupted: bool


@dataclass(frozen=True, slots=True)
class InterruptedFrame:
    """Registers of the code that a break-in interrupted, by gdb's names; ``user`` when that is user code.

    ``pcs`` are where this code and its callers stand, up to the next thing that was interrupted.
    """

    registers: Mapping[str, int]
    user: bool
    pcs: tuple[int, ...] = ()


def backtrace(program: KernelProgram, registers: Mapping[str, int], limit: int = MAX_FRAMES) -> tuple[Frame, ...]:
    """The stack of the code that ``registers`` stand in, innermost frame first, at most ``limit`` frames.

    Raises KernelDataError when the stack cannot be followed at all.
    """
    trace = stack_trace(program, registers)
    return tuple(_frame(trace[index]) for index in range(min(len(trace), limit)))


def interrupted_frame(program: KernelProgram, registers: Mapping[str, int]) -> InterruptedFrame | None:
    """What ran on the CPU that a break-in stopped: the first of `interrupted_frames`, or None."""
    return next(iter(interrupted_frames(program, registers)), None)


def interrupted_frames(program: KernelProgram, registers: Mapping[str, int]) -> tuple[InterruptedFrame, ...]:
    """Everything a break-in interrupted, innermost first, if ``registers`` are those of kgdb's own breakpoint.

    More than one when the break-in met an interrupt handler that had itself interrupted something: a processor that
    loops in a module is often met in the timer's soft interrupt. Empty when no interrupt lies between, as for a stop
    asked for through /proc/sysrq-trigger. Raises KernelDataError when the stack cannot be followed.
    """
    if not is_break_in(program, registers):
        return ()
    frames = iter(stack_trace(program, registers))
    for frame in frames:  # past kgdb's breakpoint itself
        if not frame.interrupted:
            break
    found: list[InterruptedFrame] = []
    for frame in frames:
        if frame.interrupted:
            values = _registers(program, frame)
            if values is None:
                break
            found.append(InterruptedFrame(values, program.processor.is_user(values), (frame.pc,)))
        elif found:
            found[-1] = replace(found[-1], pcs=(*found[-1].pcs, frame.pc))
    return tuple(found)


def break_in_caller(program: KernelProgram, registers: Mapping[str, int]) -> int | None:
    """Where the caller of kgdb's own breakpoint stands, if ``registers`` are those of that.

    Raises KernelDataError when the stack cannot be followed.
    """
    if not is_break_in(program, registers):
        return None
    trace = stack_trace(program, registers)
    return next((int(frame.pc) for frame in trace if not frame.interrupted), None)


def _registers(program: KernelProgram, frame: drgn.StackFrame) -> dict[str, int] | None:
    values = frame.registers()
    unwound = program.processor.unwound
    result = {name: values[theirs] for name, theirs in unwound.items() if theirs in values}
    complete = program.processor.pc in result and program.processor.sp in result
    return result if complete else None


def is_break_in(program: KernelProgram, registers: Mapping[str, int]) -> bool:
    """Whether these registers are those of kgdb's compiled-in breakpoint."""
    pc = registers.get(program.processor.pc, 0) - program.slide
    symbol = program.vmlinux.symbol_at(pc)
    return symbol is not None and symbol.name == BREAK_IN


def stack_trace(program: KernelProgram, registers: Mapping[str, int]) -> drgn.StackTrace:
    """drgn's own trace of the code that ``registers`` stand in. Raises KernelDataError when it cannot be followed."""
    try:
        return program.drgn.stack_trace(program.registers_object(registers))
    except (LookupError, ValueError, drgn.FaultError, drgn.BadDataError) as error:
        pc = registers.get(program.processor.pc, 0)
        msg = f"cannot follow the stack from {pc:#x}: {error}"
        raise KernelDataError(msg) from error


def _frame(frame: drgn.StackFrame) -> Frame:
    try:
        source: drgn.SourceLocation | None = frame.source()
    except LookupError:
        source = None
    return Frame(
        pc=frame.pc,
        sp=frame.sp,
        function=_function(frame),
        file=source.filename or None if source else None,
        line=source.line or None if source else None,
        inlined=frame.is_inline,
        interrupted=frame.interrupted,
    )


def _function(frame: drgn.StackFrame) -> str | None:
    name: str | None = frame.function_name
    if name is None:
        try:
            name = frame.symbol().name
        except LookupError:
            return None
    return name
