# SPDX-License-Identifier: Apache-2.0
"""Where the processor was when it was broken into.

The stub reports its own entry path, under the serial interrupt, and gdb cannot unwind from there: the kernel's entry
code has no call frame information. drgn unwinds it with ORC and finds the interrupted code's registers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nullmodem.errors import NullmodemError
from nullmodem.kernel.program import kernel_program
from nullmodem.kernel.unwind import interrupted_frame

if TYPE_CHECKING:
    from nullmodem.session.stopped import StoppedTarget
    from nullmodem.session.view import KernelView
    from nullmodem.symbols.vmlinux import Vmlinux


def interrupted_registers(vmlinux: Vmlinux, kernel: KernelView, target: StoppedTarget) -> dict[str, int] | None:
    """The interrupted kernel code's registers by name; None when there is none, or it was user code."""
    try:
        program = kernel_program(vmlinux, kernel.slide, target)
        return interrupted_frame(program, target.own.as_dict())
    except NullmodemError:
        # The stop can be looked at without it: what the stub reported is shown then.
        return None
