# SPDX-License-Identifier: Apache-2.0
"""Break-ins: who asked for one, which are still to arrive, and what code each of them met."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from nullmodem.errors import KernelDataError, MemoryFault, SymbolError
from nullmodem.kernel.program import MappedModule
from nullmodem.kernel.unwind import InterruptedFrame, break_in_caller, interrupted_frames
from nullmodem.session.model import StopReason
from nullmodem.session.threads import is_idle
from nullmodem.stub.arch import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.session.world import World
    from nullmodem.stub.arch import Arch


LATE_SECONDS: Final = 30.0
"""Seconds of the target's running time after which a break-in that has not arrived never will: the BREAK or the key
behind it was lost. Taken for lost too early it is shown as a stop that nobody asked for; waited for too long, it
swallows another's."""

PASSED_BY_DEBUGGERS: Final = frozenset(
    {StopReason.STEP, StopReason.BREAKPOINT, StopReason.HARDWARE_BREAKPOINT, StopReason.WATCHPOINT}
)
"""What gdb goes on from by itself: a step in the middle of a line, a breakpoint of its own where a call returns to, and
one whose condition it looks at itself."""


class BreakIns:
    """A break-in is asked for from outside the wire, so another stop may come first; the break-in still arrives later,
    when nobody wants it any more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.works = False  # the target was stopped by one before
        self._wanted_by: set[str] = set()
        self._under_way: deque[float] = deque()
        self._ran = 0.0  # seconds up to the last time it stood
        self._runs_since: float | None = None

    @property
    def wanted(self) -> bool:
        """Whether somebody wants the target stopped."""
        return bool(self._wanted_by)

    def want(self, who: str) -> None:
        """Somebody wants the target stopped: a client, or empty for anybody else."""
        self._wanted_by.add(who)

    def forget(self, who: str) -> None:
        """A client is gone, and wants nothing any more."""
        self._wanted_by.discard(who)

    def goes(self) -> None:
        """The target runs from now on."""
        if self._runs_since is None:
            self._runs_since = self._clock()

    def stands(self) -> None:
        """The target stands still: nothing arrives meanwhile."""
        self._ran = self._running_time()
        self._runs_since = None

    def _running_time(self) -> float:
        return self._ran + (0.0 if self._runs_since is None else self._clock() - self._runs_since)

    def sent(self) -> None:
        """The target is about to be broken into from outside."""
        self._under_way.append(self._running_time())

    def failed(self, who: str) -> None:
        """The last that was to be sent could not be; who wanted it was told."""
        self._wanted_by.discard(who)
        if self._under_way:
            self._under_way.pop()

    def shown(self, reason: StopReason, *, in_command: bool) -> None:
        """The target stands still for all to see. In the middle of a command gdb goes on from some stops by itself,
        such as a breakpoint of its own: who wanted it stopped for good has yet to see that."""
        if not in_command or reason not in PASSED_BY_DEBUGGERS:
            self.satisfied()

    def satisfied(self) -> None:
        """Nobody wants it stopped any more: it is, or was let go on purpose."""
        self._wanted_by.clear()

    def arrived(self) -> bool:
        """The kernel has stopped itself. Whether that was one of ours."""
        if not self.under_way:
            return False
        self._under_way.popleft()
        self.works = True
        return True

    @property
    def under_way(self) -> bool:
        """Whether one is still to arrive; what is overdue is lost."""
        overdue = self._running_time() - LATE_SECONDS
        while self._under_way and self._under_way[0] < overdue:
            self._under_way.popleft()
        return bool(self._under_way)

    def lost(self) -> None:
        """What has not arrived by now never will."""
        self._under_way.clear()

    def met(self, world: World, target: StoppedTarget, say: Callable[[str], None]) -> StopReason | None:
        """The kernel has stopped itself. Why that is to be shown; None for a break-in of ours that nobody wants any
        more."""
        ours = self.arrived()
        if ours and not self.wanted:
            return None
        return StopReason.INTERRUPT if show_interrupted(world, target, say) or ours else StopReason.TRAP


def called_by_module(world: World, target: StoppedTarget, arch: Arch) -> bool:
    """Whether a module called for the stop: a breakpoint compiled into it, and nobody's break-in."""
    if not world.modules.all:
        return False
    try:
        caller = _return_address(world, target, arch) or break_in_caller(world.program, target.own.as_dict())
    except (KernelDataError, MemoryFault):
        return False
    return caller is not None and world.modules.containing(caller) is not None


def _return_address(world: World, target: StoppedTarget, arch: Arch) -> int | None:
    """What is on top of the stack, if the function has put nothing there up to its trap: two small reads where
    following the stack would take many. None otherwise.

    The file's code is good enough: what the kernel patches in it leaves the stack as it is, or calls."""
    pc = target.own_pc
    at, trap = world.kernel.function_at(pc).start, pc - len(arch.trap)
    while at < trap:
        here = arch.instructions.decode(world.kernel.static_code(at, trap - at) or target.code_at(at, trap - at), at)
        if here is None or (here.stack != 0 and here.kind is not Kind.CALL):
            return None
        at += here.length
    return int.from_bytes(target.read(target.own_sp, arch.word), "little") if at == trap else None


def show_interrupted(world: World, target: StoppedTarget, say: Callable[[str], None]) -> bool:
    """After a break-in, have the target show the interrupted code instead of the debugger's own entry path.

    gdb cannot unwind from there: the kernel's entry code has no call frame information. drgn does it with ORC. False
    when nothing was interrupted, or it cannot be told.
    """
    if not world.kernel.in_break_function(target.own_pc):
        return False
    try:
        found = _from_interrupt(world, target) or _from_stack(world, target)
    except (KernelDataError, MemoryFault, SymbolError) as error:
        say(f"where the break-in met the processor cannot be told: {error}")
        return False
    if found is None:
        return False
    if found.user:
        say("the processor was running user code; what is shown is the kernel's own path into the debugger")
    else:
        target.show_interrupted(target.with_registers(found.registers))
    return True


def _from_interrupt(world: World, target: StoppedTarget) -> InterruptedFrame | None:
    """What the kernel itself notes of the interrupt it is in, where that is the whole answer: an idle processor was
    interrupted in no module, however many interrupts lie one on the other."""
    cpu = world.threads.current_processor()
    if cpu is None:
        return None
    # Where no module is loaded, none can have been interrupted further down.
    innermost = is_idle(target.thread) or not world.modules.all
    registers = world.irq_regs.read(target, cpu, lambda: target.own_sp, innermost=innermost)
    return None if registers is None else InterruptedFrame(registers, world.irq_regs.is_user(registers))


def _from_stack(world: World, target: StoppedTarget) -> InterruptedFrame | None:
    """What lies under the debugger's entry path on the stack."""
    world.program.set_modules(
        MappedModule(module.loaded, module.instance, module.sections)
        for module in world.modules.all
        if module.instance is not None
    )
    with target.following_the_stack():
        frames = interrupted_frames(world.program, target.own.as_dict())
    return _meant(world, frames) if frames else None


def _meant(world: World, frames: tuple[InterruptedFrame, ...]) -> InterruptedFrame:
    """The serial interrupt is often taken on top of a timer's. Who interrupts a module means the module."""
    in_module = (frame for frame in frames if any(world.modules.containing(pc) for pc in frame.pcs))
    return next(in_module, frames[0])
