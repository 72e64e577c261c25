# SPDX-License-Identifier: Apache-2.0
"""What of a kernel's memory is as its file has it: constants, which need not be read from the target.

Of the kernel that is `.rodata` up to what its boot still writes (``__ro_after_init``). It is mapped read-only, and all
that differs from the file are the addresses in it: the kernel moves them by its slide when it starts. Some vmlinux no
longer tell where those are, so whatever may be a part of one is not taken from the file. Of a module it is the strings
of its code, to which nothing is added at loading. Text is never taken: the kernel patches it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.errors import SymbolError
from nullmodem.symbols.ranges import AddressRange

if TYPE_CHECKING:
    from nullmodem.symbols.vmlinux import Vmlinux

SECTION: Final = ".rodata"
STRINGS: Final = ".rodata.str"
"""How the names of a module's sections begin that hold strings alone (SHF_MERGE | SHF_STRINGS)."""
LONGEST: Final = 4096
"""Bytes. Who reads more wants to know what is in memory."""
_WRITTEN_AT_BOOT: Final = ("__start_ro_after_init", "__end_ro_after_init")
_ADDRESS: Final = 4
"""Bytes of the shortest address that is moved: 32 bits, sign-extended (arch/x86/tools/relocs.c)."""
_LOW: Final = (1 << 32) - 1


class Constants:
    """The constants of a vmlinux that was found to run ``slide`` bytes above its link-time address."""

    def __init__(self, vmlinux: Vmlinux, slide: int) -> None:
        self._vmlinux = vmlinux
        self._slide = slide
        self._range = _constant_range(vmlinux)
        image = vmlinux.image
        self._low = range(image.start & _LOW, (image.start & _LOW) + image.size + 1)

    def read(self, address: int, length: int) -> bytes | None:
        """Bytes that the running kernel has here, too; None where the file cannot tell."""
        start, whole = address - self._slide, self._range
        if whole is None or not (0 < length <= LONGEST and whole.start <= start and start + length <= whole.end):
            return None
        around = AddressRange(max(start - _ADDRESS + 1, whole.start), min(start + length + _ADDRESS - 1, whole.end))
        try:
            content = self._vmlinux.read_static(around.start, around.size)
        except SymbolError:
            return None
        if self._slide and self._may_hold_an_address(content):
            return None
        return content[start - around.start :][:length]

    def _may_hold_an_address(self, content: bytes) -> bool:
        starts = range(len(content) - _ADDRESS + 1)
        return any(int.from_bytes(content[at : at + _ADDRESS], "little") in self._low for at in starts)


def _constant_range(vmlinux: Vmlinux) -> AddressRange | None:
    """The constants in one piece; None in a kernel that does not tell what it writes when it boots."""
    section = vmlinux.section_ranges.get(SECTION)
    written = [vmlinux.symbol(name) for name in _WRITTEN_AT_BOOT]
    if section is None or written[0] is None or written[1] is None:
        return None
    if written[0].address in section:
        return AddressRange(section.start, written[0].address)
    return section if not section.overlaps(AddressRange(written[0].address, written[1].address)) else None
