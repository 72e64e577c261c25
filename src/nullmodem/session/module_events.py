# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of a module at one of the session's hooks, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import KernelDataError, MemoryFault
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
    arguments = [target.own[name] for name in arch.arguments[: hook.point.arguments]]
    try:
        if hook.point is HookPoint.EVENT:
            world.modules.event(world.kernel.hooks.states.get(arguments[1]), arguments[2])
            return None
        module = world.modules.appeared(target, arguments[0])
    except (KernelDataError, MemoryFault) as error:
        say(f"a module changed, but the kernel's record of it cannot be read: {error}")
        return None
    if module.problem is not ModuleProblem.NONE:
        say(f"module {module.name} has no symbols: {module.problem.value}\n{module.explanation}")
    return module
