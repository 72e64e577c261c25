# SPDX-License-Identifier: Apache-2.0
"""Threads that were set to step and have not reported it.

On x86 every processor runs during a step, so another thread's stop may come first, and the step is reported later,
whatever plan is followed by then. Where such a thread is to leave, breakpoints stay out until it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nullmodem.errors import MemoryFault
from nullmodem.stub.arch import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.stub.arch import Arch, Registers


@dataclass(frozen=True, slots=True)
class _Before:
    """A thread that was set to step: its pc, and where that leads; with its registers where that can be confused with
    having run into a breakpoint. ``sps``: its stack pointer there, where that is known without asking. ``held``: a
    debug register holds its place."""

    pc: int
    leads_to: frozenset[int]
    registers: Registers | None
    sps: dict[int, int] = field(default_factory=dict)
    held: bool = False


class Steps:
    """Those threads, by the stub's ids."""

    def __init__(self, arch: Arch, target: StoppedTarget) -> None:
        self._arch = arch
        self._target = target
        self._under_way: dict[int, _Before] = {}

    def __contains__(self, thread: object) -> bool:
        return thread in self._under_way

    @property
    def threads(self) -> frozenset[int]:
        """Which they are."""
        return frozenset(self._under_way)

    def begin(self) -> None:
        """The target's thread is about to step."""
        if self._target.thread is not None:
            self._under_way[self._target.thread] = self._before()

    def hold(self) -> None:
        """A debug register holds the place that the target's thread, which is about to step, leaves."""
        thread = self._target.thread or 0
        self._under_way[thread] = replace(self._under_way[thread], held=True)

    def forget(self) -> None:
        """The target's thread has stopped with a fault: the kernel forgets the step when that is handed back."""
        self._under_way.pop(self._target.thread or 0, None)

    def leads_to(self, thread: int | None) -> frozenset[int]:
        """Where a thread that steps comes, as far as that is known."""
        before = self._under_way.get(thread or 0)
        return before.leads_to if before is not None else frozenset()

    def is_reported(self, *, trapped: bool, by_register: bool) -> bool:
        """Whether the target's thread, if it is one of them, has done its step.

        ``trapped``: it was stopped by a breakpoint; ``by_register``: a debug register stands there. Then it may be an
        interrupt on top of the step, which has not the trap flag that the processor keeps for the thread, and shows
        when that one has stepped.
        """
        if self._target.thread not in self._under_way:
            return False
        if not (trapped or by_register):
            return True
        if self._arch.trap_flag is None:
            return not trapped
        name, bit = self._arch.trap_flag
        return bool(self._target.value(name) & bit)

    def ended(self) -> None:
        """The target's thread has reported its step."""
        assert self._target.thread is not None
        before = self._under_way.pop(self._target.thread)
        if (sp := before.sps.get(self._target.own_pc)) is not None:
            self._target.learn(self._arch.sp, sp)

    @property
    def places(self) -> set[int]:
        """Where they are to leave."""
        return {before.pc for before in self._under_way.values()}

    @property
    def held(self) -> frozenset[int]:
        """Those of `places` that a debug register holds."""
        return frozenset(before.pc for before in self._under_way.values() if before.held)

    def set_back_onto_trap(self, has_trap: Callable[[int], bool]) -> bool:
        """Whether the target's thread has executed one of our software breakpoints; its pc is set back onto it."""
        before = self._target.own_pc - self._arch.pc_after_breakpoint
        if not has_trap(before) or self.went_around(before):
            return False
        self._target.set_registers({self._arch.pc: before})
        return True

    def went_around(self, address: int) -> bool:
        """Whether the target's thread, just behind a breakpoint at ``address``, stepped there without executing it.

        Only where the instruction at the breakpoint is as short as the trap can code jump to just behind it.
        """
        before = self._under_way.get(self._target.thread or 0)
        if before is None:
            return False
        instructions, pc = self._arch.instructions, self._target.own_pc
        code = self._target.code_at(address)
        if not code or instructions.instruction_length(code, address) != pc - address:
            return False
        if before.registers is None:
            return pc in before.leads_to
        if before.pc == address:  # the trap changes nothing but the pc, the instruction does
            return len(self._target.own.changed_from(before.registers)) > 1
        code = self._target.code_at(before.pc)
        here = instructions.decode(code, before.pc)
        if here is None or here.kind is Kind.PLAIN:
            return False
        values = instructions.skip(code, before.registers)
        return values is None or values[self._arch.pc] == pc

    def _before(self) -> _Before:
        pc, arch = self._target.own_pc, self._arch
        code = self._target.code_at(pc)
        here = arch.instructions.decode(code, pc)
        if here is None:
            return _Before(pc, frozenset(), self._target.own)
        if here.kind is Kind.OTHER:
            returns_to = self._return_address() if arch.instructions.returns(code, pc) else None
            if returns_to is None:
                return _Before(pc, frozenset(), self._target.own)
            leads_to = frozenset({returns_to})
        else:
            leads_to = frozenset({pc + here.length} if here.target is None else {pc + here.length, here.target})
        confused = any(place + arch.pc_after_breakpoint in leads_to for place in (pc, *leads_to))
        sp = self._target.known(arch.sp)
        sps: dict[int, int] = {}
        if sp is not None and here.stack is not None:
            # A call that the kernel has patched away since its code was read (a static call, the tracer's) falls
            # through, and pushes nothing.
            places = leads_to if here.kind is not Kind.CALL or here.target is None else {here.target}
            sps = dict.fromkeys(places, sp + here.stack)
        return _Before(pc, leads_to, self._target.own if confused else None, sps)

    def _return_address(self) -> int | None:
        try:
            return int.from_bytes(self._target.read(self._target.own_sp, self._arch.word), "little")
        except MemoryFault:
            return None
