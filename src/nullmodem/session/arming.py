# SPDX-License-Identifier: Apache-2.0
"""What the stub is to have while the target runs: breakpoints, and traps for who would lack a debug register."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from nullmodem.errors import StubError
from nullmodem.rsp.requests import BreakpointKind
from nullmodem.session.breakpoints import Breakpoint
from nullmodem.session.stale_registers import StaleRegisters

if TYPE_CHECKING:
    from collections.abc import Set

    from nullmodem.session.breakpoints import BreakpointTable
    from nullmodem.session.steps import Steps
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.stub.arch import Arch


class Arming:
    """Has the stub set before each move of a target that stands still."""

    def __init__(self, arch: Arch, target: StoppedTarget, table: BreakpointTable, steps: Steps) -> None:
        self.registers = StaleRegisters(table.slots)
        self._length = arch.breakpoint_length
        self._target = target
        self._table = table
        self._steps = steps

    def __call__(
        self,
        addresses: Set[int],
        without: Set[int],
        *,
        trapped: bool,
        watching: bool = True,
        keeping: bool = False,
        dropping: Set[int] = frozenset(),
    ) -> None:
        """Have temporary breakpoints at ``addresses``; ``without`` and what follows ``trapped`` are as for
        `BreakpointTable.synchronise`, that itself as for `StaleRegisters.before_leaving`.

        Processors that would lack a debug register run onto a trap, where one may stand and no thread is to step from.
        """
        arm = partial(
            self._table.synchronise, held=self._steps.held, watching=watching, keeping=keeping, dropping=dropping
        )
        arm(extra=self._traps(addresses), without=without)
        lacking = self.registers.before_leaving(self._target.own_pc, trapped=trapped) - self._steps.places
        for pc in sorted(lacking):
            with contextlib.suppress(StubError):  # where no trap may stand it goes on as it is
                arm(extra=self._traps(addresses | {pc}), without=without - {pc})
                addresses, without = addresses | {pc}, without - {pc}

    def _traps(self, addresses: Set[int]) -> tuple[Breakpoint, ...]:
        return tuple(Breakpoint(BreakpointKind.SOFTWARE, address, self._length) for address in addresses)
