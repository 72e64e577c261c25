# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of a module at one of the session's hooks, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import KernelDataError, MemoryFault
from nullmodem.kernel.hooks import ModuleState
from nullmodem.session.hooks import Hook, HookPoint
from nullmodem.session.model import Module, ModuleProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.session.world import World
    from nullmodem.stub.arch import Arch


def take_in(world: World, target: StoppedTarget, arch: Arch, hook: Hook, say: Callable[[str], None]) -> Module | None:
    """Note in the table of modules what the target, which stands at ``hook``, tells.

    Returns the module that is about to run its init, if that is the news.
    """
    try:
        if hook.point is HookPoint.EVENT:
            _note_event(world, target, arch)
            return None
        module = world.modules.appeared(target, target.value(arch.arguments[0]))
    except (KernelDataError, MemoryFault) as error:
        say(f"a module changed, but the kernel's record of it cannot be read: {error}")
        return None
    if module.problem is not ModuleProblem.NONE:
        say(f"module {module.name} has no symbols: {module.problem.value}\n{module.explanation}")
    return module


def _note_event(world: World, target: StoppedTarget, arch: Arch) -> None:
    """(nb, state, module). Most events of a module that is not loaded yet are its coming, of which nothing is made."""
    _nb, state, module = arch.arguments[: HookPoint.EVENT.arguments]
    if world.modules.is_loading:
        target.read_all_registers()  # it will be its end, and both are wanted
    told = world.kernel.hooks.states.get(target.value(state))
    if told in (ModuleState.LIVE, ModuleState.GOING):
        world.modules.event(told, target.value(module))
