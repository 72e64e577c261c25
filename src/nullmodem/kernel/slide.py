# SPDX-License-Identifier: Apache-2.0
"""Where the running kernel stands: KASLR's slide, found from a stop and proved by the kernel's own identity.

The slide is a multiple of 2 MiB (x86-64 CONFIG_PHYSICAL_ALIGN, arm64 MIN_KIMG_ALIGN), so a program counter in kernel
text leaves a handful of candidates. At each one the build-id (or the banner) must stand where the file has it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from nullmodem.errors import IdentityError, KernelDataError, MemoryFault, SymbolError
from nullmodem.kernel.fields import read_up_to
from nullmodem.symbols.elf import find_build_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nullmodem.kernel.memory import Memory
    from nullmodem.symbols.vmlinux import Vmlinux

GRANULE: Final = 2 << 20
WINDOW: Final = 1 << 30  # x86-64 KERNEL_IMAGE_SIZE: the image with its slide stays in the GiB it was linked into

_STOP_FUNCTIONS: Final = ("kgdb_breakpoint", "kgdb_initial_breakpoint", "do_init_module", "module_event")
_STACK_BYTES: Final = 504  # one read on the wire
_BANNER_BYTES: Final = 240


def find_slide(vmlinux: Vmlinux, pc: int, memory: Memory, *, stack: Callable[[], int] | None = None) -> int:
    """How many bytes above its link-time address the kernel runs, proved by build-id or banner.

    ``pc`` is the program counter of the stop, ``stack`` gives the stack pointer, asked for when ``pc`` is not in the
    kernel's own text (in a module, in user code). One read of memory when ``pc`` stands where kgdb stops; a few more
    anywhere else in the kernel; at most one per granule of the whole range.

    Raises IdentityError when the running kernel is another build than ``vmlinux``, KernelDataError when no kernel is
    found at all.
    """
    tried: set[int] = set()
    other: int | None = None
    for slide in _candidates(vmlinux, pc, memory, stack):
        if slide in tried:
            continue
        tried.add(slide)
        verdict = _matches(vmlinux, slide, memory)
        if verdict:
            return slide
        if verdict is False and other is None:
            other = slide
    if other is not None:
        raise _another_kernel(vmlinux, other, memory)
    msg = f"{vmlinux.path} is not the running kernel: at {len(tried)} possible places in memory there was no sign of it"
    raise KernelDataError(msg, hint="give the vmlinux of the build that was booted; on the target: cat /proc/version")


def check_slide(vmlinux: Vmlinux, slide: int, memory: Memory) -> None:
    """Prove that ``vmlinux`` runs at ``slide``. Raises IdentityError when another kernel does, or none."""
    if not _matches(vmlinux, slide, memory):
        raise _another_kernel(vmlinux, slide, memory)


def _candidates(vmlinux: Vmlinux, pc: int, memory: Memory, stack: Callable[[], int] | None) -> Iterator[int]:
    near = _slides_for(vmlinux, pc)
    yield from sorted(near, key=lambda slide: _likely(vmlinux, pc - slide))
    if near:
        return
    if stack is not None:
        yield from _from_stack(vmlinux, memory, stack())
    yield from range(0, _highest(vmlinux) + 1, GRANULE)


def _slides_for(vmlinux: Vmlinux, address: int) -> list[int]:
    """Every slide that puts ``address`` into the kernel's text, or the init text behind it."""
    image = vmlinux.image
    highest = min(address - image.start, _highest(vmlinux))
    lowest = max(address - image.end + 1, 0)
    first = (lowest + GRANULE - 1) // GRANULE * GRANULE
    slides = range(first, highest + 1, GRANULE)
    return [slide for slide in slides if address - slide in vmlinux.text or address - slide in vmlinux.init]


def _highest(vmlinux: Vmlinux) -> int:
    """The largest slide that keeps the image in its window."""
    return max(0, (vmlinux.image.start & -WINDOW) + WINDOW - vmlinux.image.end)


def _likely(vmlinux: Vmlinux, address: int) -> int:
    """Order of candidates: kgdb's own stops, then addresses inside some function, then the rest."""
    symbol = vmlinux.symbol_at(address)
    if symbol is None:
        return 2
    return 0 if symbol.name in _STOP_FUNCTIONS else 1


def _from_stack(vmlinux: Vmlinux, memory: Memory, stack: int) -> list[int]:
    """Slides that the return addresses on the stack vote for, most votes first."""
    try:
        words = struct.unpack(f"<{_STACK_BYTES // 8}Q", memory.read(stack & ~7, _STACK_BYTES))
    except MemoryFault:
        return []
    votes: dict[int, int] = {}
    for word in words:
        for slide in _slides_for(vmlinux, word):
            votes[slide] = votes.get(slide, 0) + 1
    return sorted(votes, key=lambda slide: -votes[slide])


def _matches(vmlinux: Vmlinux, slide: int, memory: Memory) -> bool | None:
    """True: this kernel is here. False: another kernel is. None: nothing is, or nothing that can be told."""
    notes = vmlinux.section_ranges.get(".notes")
    try:
        if vmlinux.build_id is not None and notes is not None and notes.size <= 4096:
            offset = _build_id_offset(vmlinux)
            found = memory.read(notes.start + slide + offset, 16 + len(vmlinux.build_id))
            running = find_build_id(found)
            return None if running is None else running == vmlinux.build_id
        address = _symbol(vmlinux, "linux_banner") + slide
        text = memory.read(address, len(vmlinux.banner) + 2)
    except MemoryFault:
        return None
    if text == vmlinux.banner + b"\n\0":
        return True
    return False if text.startswith(b"Linux version ") else None


def _build_id_offset(vmlinux: Vmlinux) -> int:
    """Where in .notes the note with the build-id starts: other notes may stand before it."""
    notes = vmlinux.section_ranges[".notes"]
    content = vmlinux.read_static(notes.start, notes.size)
    assert vmlinux.build_id is not None
    at = content.find(b"GNU\0" + vmlinux.build_id)
    if at < 12:
        msg = f"{vmlinux.path} is broken: its build-id is not in its .notes section"
        raise SymbolError(msg)
    return at - 12


def _another_kernel(vmlinux: Vmlinux, slide: int, memory: Memory) -> IdentityError:
    try:
        address = _symbol(vmlinux, "linux_banner") + slide
        text = read_up_to(memory, address, _BANNER_BYTES, len(vmlinux.banner))
    except MemoryFault:
        text = b""
    running = text.partition(b"\0")[0].strip() if text.startswith(b"Linux version ") else b""
    return IdentityError(
        f"{vmlinux.path} is not the running kernel\n  running: {printable(running) or 'unknown'}\n"
        f"  vmlinux: {printable(vmlinux.banner)}",
        hint="give the vmlinux of the build that was booted, or boot the kernel this vmlinux belongs to",
    )


def _symbol(vmlinux: Vmlinux, name: str) -> int:
    symbol = vmlinux.symbol(name)
    if symbol is None:
        msg = f"{vmlinux.path} has no symbol {name}"
        raise SymbolError(msg)
    return symbol.address


def printable(raw: bytes) -> str:
    """Text from the target, safe for a terminal: what is not printable is shown as an escape."""
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
