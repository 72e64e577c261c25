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


def unexplained(before: bytes, after: bytes) -> dict[int, int]:
    """The `differences` that are not the kernel's own doing: it turns jumps into nops of their size and back while it
    runs, where its static keys are (arch/x86/kernel/jump_label.c)."""
    found = differences(before, after)
    return {at: new for at, new in found.items() if not any(_is_key(after, at - back, back) for back in range(5))}


def _is_key(code: bytes, start: int, offset: int) -> bool:
    """Whether a static key's jump or nop stands at ``start`` and reaches ``offset`` bytes on."""
    if start < 0:
        return False
    short = code[start] == 0xEB or code[start : start + 2] == b"\x66\x90"
    long = code[start] == 0xE9 or code[start : start + 5] == b"\x0f\x1f\x44\x00\x00"
    return (short and offset < 2) or (long and offset < 5)
