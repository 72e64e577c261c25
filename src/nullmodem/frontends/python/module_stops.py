# SPDX-License-Identifier: Apache-2.0
"""Stops at the events of a module's life, in the kernel functions that the session watches already."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

import drgn

from nullmodem.api.modules_life import EVENTS, hook_of
from nullmodem.errors import UsageError
from nullmodem.frontends.python.breakpoint import Breakpoint, execution

if TYPE_CHECKING:
    from nullmodem.frontends.python.frame import Frame
    from nullmodem.frontends.python.target import Target

ANY: Final = ""


class ModuleStop(Breakpoint):
    """A stop at one event of modules' lives. `Target.stop_at_module` makes them.

    Attributes:
        event: ``"coming"``, ``"init"``, ``"live"`` or ``"going"``.
        module: the name of the module it is about, or an empty string: of any.
        last: the name of the module the target has stopped for last.
    """

    def __init__(self, target: Target, module: str, event: str) -> None:
        """Raises UsageError for an event that there is not."""
        if event not in EVENTS:
            near = difflib.get_close_matches(event, EVENTS, 1)
            hint = f"Is {near[0]!r} meant? " if near else ""
            raise UsageError(f"modules have no event {event!r}", hint=f"{hint}Events: {', '.join(EVENTS)}.")
        self.event = event
        self.module = module.replace("-", "_")
        self.last = ""
        hook = hook_of(target.machine.live, event)
        point = execution(hook.address, target.machine.live.arch.breakpoint_length)
        where = f"{event} of {module or 'any module'}"
        super().__init__(target, where, None, self._is_meant, frozenset({point}))
        self._state = hook.state

    def _is_meant(self, frame: Frame) -> bool:
        del frame  # the function's arguments are still in their registers, whatever its debug info says of this place
        live = self._target.machine.live
        state, module = (live.register(name) for name in hook_of(live, self.event).arguments)
        if self._state is not None and state != self._state:
            return False
        program = self._target.debugger.inspection.program().drgn
        name = drgn.Object(program, "struct module *", module).name.string_().decode("utf-8", "replace")
        if self.module not in (ANY, name):
            return False
        self.last = name
        return True
