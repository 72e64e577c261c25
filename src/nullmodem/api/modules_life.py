# SPDX-License-Identifier: Apache-2.0
"""Where the kernel tells of a module's life, for who wants to stop there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nullmodem.kernel.hooks import ModuleState
from nullmodem.session.hooks import HookPoint

if TYPE_CHECKING:
    from nullmodem.api.live import LiveSession
    from nullmodem.session.session import Session

_STATES: Final = {"coming": ModuleState.COMING, "live": ModuleState.LIVE, "going": ModuleState.GOING}
EVENTS: Final = ("coming", "init", "live", "going")
"""In the order of a life: its memory is laid out, its init is about to run, init has run, it is about to be freed."""


@dataclass(frozen=True, slots=True)
class ModuleHook:
    """Where an event can be stopped at, the registers that hold the state and the ``struct module``, and which state
    is meant: None where the place itself says it."""

    address: int
    arguments: tuple[str, str]
    state: int | None


def hook_of(live: LiveSession, event: str) -> ModuleHook:
    """The hook of one of EVENTS."""

    def look(session: Session) -> ModuleHook:
        wanted = HookPoint.INIT if event == "init" else HookPoint.EVENT
        address = next(hook.address for hook in session.world.hooks.values() if hook.point is wanted)
        if wanted is HookPoint.INIT:
            return ModuleHook(address, (live.arch.arguments[0], live.arch.arguments[0]), None)
        states = session.world.kernel.hooks.states
        number = next(number for number, state in states.items() if state is _STATES[event])
        return ModuleHook(address, (live.arch.arguments[1], live.arch.arguments[2]), number)

    return live.look_into(look)
