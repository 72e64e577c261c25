# SPDX-License-Identifier: Apache-2.0
"""Where the kernel should have put a module's sections, by the rules of its layout_sections.

Only a guess that the kernel's own addresses must confirm: reading a few of them is cheaper than reading all. The rules
are in kernel/module/main.c and are old; what differs between kernels shows in a section that is elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nullmodem.kernel.regions import RegionKind
from nullmodem.symbols.module_file import PER_CPU

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nullmodem.kernel.regions import ModuleRegion
    from nullmodem.symbols.module_file import ModuleSection

_RO_AFTER_INIT: Final = (".data..ro_after_init", "__jump_table")


def predict(regions: Iterable[ModuleRegion], sections: Sequence[ModuleSection]) -> dict[int, int]:
    """Address by section index, of those of ``sections`` (in header order) that are in these regions.

    In each region they follow each other in the order of their headers, each at the next address it may stand at.
    """
    free = {region.kind: region.range.start for region in regions}
    found = {}
    for section in sections:
        kind = _kind(section)
        if section.name == PER_CPU or not section.allocated or kind not in free:
            continue
        address = -(-free[kind] // section.alignment) * section.alignment
        found[section.index] = address
        free[kind] = address + section.size
    return found


def telling(sections: Sequence[ModuleSection], predicted: Mapping[int, int]) -> tuple[int, ...]:
    """Which of ``sections``, by their position, must be where they are predicted for all others to be there.

    All that hold code, as a wrong one would show a wrong line; and the last one of each region, which is elsewhere when
    any before it was left out, added, or put into another region.
    """
    last: dict[RegionKind, int] = {}
    code = set()
    for position, section in enumerate(sections):
        if section.index in predicted:
            last[_kind(section)] = position
            if section.executable:
                code.add(position)
    return tuple(sorted(code | set(last.values())))


def _kind(section: ModuleSection) -> RegionKind:
    if section.executable:
        return RegionKind.INIT_TEXT if section.is_init else RegionKind.TEXT
    if not section.writable:
        return RegionKind.INIT_RODATA if section.is_init else RegionKind.RODATA
    if section.is_init:
        return RegionKind.INIT_DATA
    return RegionKind.RO_AFTER_INIT if section.name in _RO_AFTER_INIT else RegionKind.DATA
