# SPDX-License-Identifier: Apache-2.0
"""A real target looked at from outside its debugger: its memory through QEMU, its log through its shell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nullmodem.symbols.vmlinux import Vmlinux

if TYPE_CHECKING:
    from pathlib import Path

    from nullmodem.api.machine import Machine
    from nullmodem.symbols.ranges import AddressRange

TROUBLE = re.compile("BUG:|Oops|WARNING:|Call Trace|general protection|Kernel panic")
"""What a kernel's log says when something is wrong with it."""


def read_memory(machine: Machine, where: AddressRange, directory: Path) -> bytes:
    """What is there while the target runs, with all that the stub has put in."""
    machine.target.exec("true", timeout=60).check()  # the stub puts it in when the machine goes on, and not before
    return peek(machine, where, directory)


def peek(machine: Machine, where: AddressRange, directory: Path) -> bytes:
    """What is there, without asking the kernel."""
    dump = directory / "memory"
    signed = where.start - (1 << 64)  # a kernel's address, as QMP's signed 64 bits take it
    machine.target.monitor("memsave", val=signed, size=where.size, filename=str(dump))
    return dump.read_bytes()


def kernel_text(machine: Machine) -> AddressRange:
    return Vmlinux.open(machine.kernel.vmlinux).text.shifted(machine.live.slide)


def differences(before: bytes, after: bytes) -> dict[int, int]:
    """Where they differ, and what is there after."""
    assert len(before) == len(after)
    if before == after:
        return {}
    return {at: new for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new}
