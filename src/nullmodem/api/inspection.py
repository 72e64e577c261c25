# SPDX-License-Identifier: Apache-2.0
"""drgn's view of the stopped target for a user's program, in that program's own threads.

The session has a drgn program of its own, which its thread alone uses; this is a second one, whose every read is a
question to the session, so that what was read once at a stop is not read again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from nullmodem.errors import MemoryFault, StateError, StopOver
from nullmodem.kernel.program import KernelProgram, MappedModule
from nullmodem.kernel.unwind import stack_trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    import drgn

    from nullmodem.api.live import LiveSession

BLOCK: Final = 64
"""Bytes, and the alignment, of what is read for a small read: drgn asks for one member after the other of an object,
and the kernel puts its objects on lines of the processor's cache."""
MOST_MERGED: Final = 256
"""Bytes of the longest read that is widened to whole blocks."""


class StopMemory:
    """The target's memory while it stands still. Implements `nullmodem.kernel.memory.Memory`."""

    def __init__(self, live: LiveSession) -> None:
        self._live = live

    def read(self, address: int, length: int) -> bytes:
        """Raises MemoryFault; StopOver while the target runs."""
        try:
            start, end = address & -BLOCK, (address + length + BLOCK - 1) & -BLOCK
            if length <= MOST_MERGED:
                try:
                    return self._live.read_memory(start, end - start)[address - start : address - start + length]
                except MemoryFault:
                    pass
            return self._live.read_memory(address, length)
        except StateError as error:
            raise over(error) from None


def over(error: StateError) -> StopOver:
    """What a program is told that looks at a target that does not stand still (any more)."""
    return StopOver(
        f"the stop is over, the target is {error.state}: its memory, registers and frames cannot be looked at",
        state=error.state,
        hint="Keep values of a stop with int(object) or object.read_(), or stop the target again.",
    )


class Inspection:
    """The drgn program of one session, with the modules as they are. Methods may be called from any thread."""

    def __init__(self, live: LiveSession) -> None:
        self._live = live
        self._lock = threading.Lock()
        self._program: KernelProgram | None = None

    def prepare(self) -> None:
        """Make the program beforehand and have drgn read the index of the kernel's debug info, some 0.3 s."""
        with self._lock:
            self._made().registers_object({})

    def program(self) -> KernelProgram:
        """The program, with every module that is loaded now and whose file is known.

        When a module has gone it is another one, and objects of the old one must not be used any more.
        """
        with self._lock:
            program = self._made()
            program.set_modules(
                MappedModule(module.loaded, module.instance, module.sections)
                for module in self._live.modules()
                if module.instance is not None
            )
            return program

    def trace(self, registers: Mapping[str, int]) -> drgn.StackTrace:
        """The stack of what runs with these registers. Raises KernelDataError when it cannot be followed."""
        return stack_trace(self.program(), registers)

    def _made(self) -> KernelProgram:
        if self._program is None:
            kernel = self._live.look_into(lambda session: session.world.kernel)
            self._program = KernelProgram(kernel.vmlinux, kernel.slide, StopMemory(self._live))
        return self._program
